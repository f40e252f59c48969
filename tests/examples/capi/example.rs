//! The library from Rust: curves evaluated and lending scenarios run on two threads.
//!
//!     rustc -O example.rs -L FOLDER -l escala
//!
//! Numbers are printed by their bits.

use std::ffi::{c_char, c_int, c_void, CStr};
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};

const PARAMS: usize = 4; // ESCALA_PARAMS

#[repr(C)]
struct Curves {
    n: i64,
    family: *const i8,
    params: *const f64,
    origin: *const f64,
    trusted_to: *const f64,
    steps: *const f64, // of ladders
    steps_size: i64,
}

#[repr(C)]
struct Fault {
    argument: *const c_char,
    other: *const c_char,
    index: i64,
    value: f64,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Input {
    value: f64,
    values: *const f64,
}

#[repr(C)]
struct Scenarios {
    n: i64,
    supply: Input,
    borrow: Input,
    target: Input,
    wallet: Input,
    strategy: [Input; 64], // room for the other fields of escala_scenarios, which keep their defaults here
}

#[repr(C)]
struct Outcomes {
    final_supply: *mut f64,
    others: [*mut f64; 9], // not wanted: null
    counts: [*mut i64; 7],
    stop: *mut i64,
}

extern "C" {
    fn escala_version() -> *const c_char;
    fn escala_check_abi(abi: c_int) -> c_int;
    fn escala_status_text(status: c_int) -> *const c_char;
    fn escala_efficiency(
        curves: *const Curves,
        capital: *const f64,
        rows: i64,
        m: i64,
        out: *mut f64,
        fault: *mut Fault,
    ) -> c_int;
    fn escala_scenarios_defaults(scenarios: *mut Scenarios);
    fn escala_simulate_workspace(n: i64) -> i64;
    fn escala_simulate(
        scenarios: *const Scenarios,
        outcomes: *const Outcomes,
        workspace: *mut c_void,
        size: i64,
        fault: *mut Fault,
    ) -> c_int;
}

fn text(chars: *const c_char) -> String {
    unsafe { CStr::from_ptr(chars) }.to_string_lossy().into_owned()
}

fn checked(status: c_int) -> Result<(), String> {
    match status {
        0 => Ok(()),
        _ => Err(text(unsafe { escala_status_text(status) })),
    }
}

fn efficiency(family: &[i8], params: &[f64], capital: &[f64]) -> Result<Vec<f64>, String> {
    let n = family.len();
    assert_eq!(params.len(), PARAMS * n);
    let origin = vec![0.0; n];
    let curves = Curves {
        n: n as i64,
        family: family.as_ptr(),
        params: params.as_ptr(),
        origin: origin.as_ptr(),
        trusted_to: null(),
        steps: null(),
        steps_size: 0,
    };
    let mut out = vec![0.0; n * capital.len()];
    let m = capital.len() as i64;
    checked(unsafe { escala_efficiency(&curves, capital.as_ptr(), 1, m, out.as_mut_ptr(), null_mut()) })?;
    Ok(out)
}

fn simulate(targets: &[f64]) -> Result<(Vec<f64>, Vec<i64>), String> {
    let mut scenarios = unsafe {
        let mut made = MaybeUninit::<Scenarios>::uninit();
        escala_scenarios_defaults(made.as_mut_ptr());
        made.assume_init()
    };
    scenarios.n = targets.len() as i64;
    scenarios.supply.value = 1000.0;
    scenarios.borrow.value = 600.0;
    scenarios.wallet.value = 200.0;
    scenarios.target.values = targets.as_ptr();
    let (mut supply, mut stop) = (vec![0.0; targets.len()], vec![0i64; targets.len()]);
    let outcomes = Outcomes {
        final_supply: supply.as_mut_ptr(),
        others: [null_mut(); 9],
        counts: [null_mut(); 7],
        stop: stop.as_mut_ptr(),
    };
    let size = unsafe { escala_simulate_workspace(scenarios.n) };
    let mut workspace = vec![0u8; size as usize];
    let room = workspace.as_mut_ptr() as *mut c_void;
    checked(unsafe { escala_simulate(&scenarios, &outcomes, room, size, null_mut()) })?;
    Ok((supply, stop))
}

fn print(name: &str, values: &[f64]) {
    let bits: Vec<String> = values.iter().map(|v| format!("{:016x}", v.to_bits())).collect();
    println!("{name} {}", bits.join(" "));
}

fn main() -> Result<(), String> {
    checked(unsafe { escala_check_abi(3) })?;
    println!("version {}", text(unsafe { escala_version() }));
    print("efficiency", &efficiency(&[0, 2], &[-1e-6, 1.0, 0.0, 0.0, 0.7, 3e-6, 0.2, 0.0], &[0.0, 1e5, 2e6])?);
    let targets: Vec<f64> = (0..1000).map(|i| 1000.0 + 3.0 * i as f64).collect();
    let (left, right) = targets.split_at(500);
    let (first, second) = std::thread::scope(|scope| {
        let other = scope.spawn(|| simulate(right));
        (simulate(left), other.join().expect("the thread ends"))
    });
    let (mut supply, mut stop) = first?;
    let (supply_of_second, stop_of_second) = second?;
    supply.extend(supply_of_second);
    stop.extend(stop_of_second);
    print("final_supply", &supply);
    println!("stop {}", stop.iter().map(|s| s.to_string()).collect::<Vec<_>>().join(" "));
    if let Err(refused) = simulate(&[-1.0]) {
        println!("refused {refused}");
    }
    Ok(())
}
