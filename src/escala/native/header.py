"""``kernels.h``: what the extension's C code has to know of each kernel."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from escala.native.levels import symbol

_TYPES: Final = {"d": ("double", 8), "i": ("int64_t", 8), "b": ("int8_t", 1), "w": ("int32_t", 4)}


def header(table: Mapping[str, Any], levels: Sequence[str], sources: str, python: str) -> str:
    """Write it.

    Parameters
    ----------
    table : mapping
        The signature, the identity and the line of documentation of each kernel, by its name.
    levels : sequence of str
        The processors that there is code for, in rising order.
    sources, python : str
        What the kernels were made of, and the Python whose bytecode their identities are hashes of.
    """
    lines = [_caller(place, one["signature"]) for place, one in enumerate(table.values())]
    lines.append("static const kernel KERNELS[] = {")
    lines += [_row(place, name, one) for place, (name, one) in enumerate(table.items())]
    most = max(len(one["signature"]) for one in table.values())
    lines += ["};", f"enum {{ KERNEL_COUNT = {len(table)}, LEVEL_COUNT = {len(levels)}, MOST_ARGUMENTS = {most} }};"]
    for level in levels:
        names = [symbol(level, name) for name in table]
        lines += [f'extern __attribute__((visibility("hidden"))) void {name}(void);' for name in names]
        lines.append(f"static const compiled KERNELS_{level}[] = {{{', '.join(names)}}};")
    rows = ", ".join(f'{{{level[1:]}, "{level}", KERNELS_{level}}}' for level in levels)
    lines.append(
        f"static const struct {{ int level; const char *name; const compiled *kernels; }} LEVELS[] = {{{rows}}};"
    )
    lines += [f"#define SOURCES {json.dumps(sources)}", f"#define PYTHON {json.dumps(python)}"]
    return "\n".join(lines) + "\n"


def _row(place: int, name: str, one: Mapping[str, Any]) -> str:
    module, _, within = name.rpartition(".")
    texts = (name, module, within, one["doc"], one["identity"])
    quoted = ", ".join(json.dumps(text) for text in texts)
    return f"    {{{quoted}, {len(one['signature'])}, SIGNATURE_{place}, call_{place}}},"


def _caller(place: int, signature: Sequence[str]) -> str:
    """Write the function that calls a kernel by numba's convention: a place for a result and for an error go first."""
    taken = [_argument(i, code) for i, code in enumerate(signature)]
    kinds = ", ".join(kind for one in taken for kind, _ in one)
    given = ", ".join(value for one in taken for _, value in one)
    codes = ", ".join(f'"{code}"' for code in signature)
    return f"""static const char *const SIGNATURE_{place}[] = {{{codes}}};
static void call_{place}(compiled function, const argument *t) {{
    void *result = 0, *error = 0;
    ((int32_t (*)(void **, void **, {kinds}))function)(&result, &error, {given});
}}"""


def _argument(place: int, code: str) -> list[tuple[str, str]]:
    """Give type and value of what an argument is handed on as; an array is ten numbers, or eight with one axis."""
    kind, size = _TYPES[code[0]]
    t = f"t[{place}]"
    if len(code) == 1:
        return [(kind, f"{t}.{'d' if code == 'd' else 'i'}")]
    whole = [
        ("void *", "0"),
        ("void *", "0"),
        ("int64_t", f"{t}.a.size"),
        ("int64_t", str(size)),
        ("void *", f"{t}.a.data"),
    ]
    shape = [f"{t}.a.rows", f"{t}.a.columns"][: int(code[1])]
    strides = [f"{size} * {t}.a.columns", str(size)][-int(code[1]) :]
    return [*whole, *(("int64_t", value) for value in (*shape, *strides))]
