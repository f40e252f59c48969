"""How far can capital grow before it stops working.

Names are attached when they are first used: importing escala loads neither numba nor scipy.
"""

import importlib
import sys
from typing import Any

if sys.platform == "win32":  # locks of files, threads' processors and the C library are those of POSIX
    raise ImportError("escala runs on Linux; on Windows use it within WSL")

__version__ = "0.2.0"

_ROOMS = {
    "DeFiSimulator": "lending.simulate",
    "LendingResult": "lending.result",
    "LendingStrategy": "lending.strategy",
    "StopReason": "lending.result",
    "LeveragePlan": "lending.plan",
    "UnwindPlan": "lending.unwind",
    "PlanAction": "lending.actions",
    "PlanStatus": "lending.actions",
    "plan_leverage": "lending.plan",
    "plan_unwind": "lending.unwind",
    "EMODES": "lending.preview",
    "Emode": "lending.preview",
    "Preview": "lending.preview",
    "Refusal": "lending.preview",
    "preview": "lending.preview",
    "NetApy": "lending.apy",
    "apr_to_apy": "lending.apy",
    "apy_to_apr": "lending.apy",
    "looped_apy": "lending.apy",
    "net_apy": "lending.apy",
    "LiquidationTakes": "lending.liquidation",
    "what_liquidation_takes": "lending.liquidation",
    "simulate": "lending.simulate",
    "Asset": "market.market",
    "Bootstrap": "market.processes",
    "Comparison": "market.result",
    "Depth": "market.depth",
    "FixedRate": "market.market",
    "GBM": "market.processes",
    "Heston": "market.processes",
    "KinkedRate": "market.market",
    "Market": "market.market",
    "MarketFlag": "market.result",
    "MarketRecord": "market.result",
    "MarketResult": "market.result",
    "MarketSettings": "market.settings",
    "MarketStatus": "market.result",
    "Merton": "market.processes",
    "OU": "market.processes",
    "Policy": "market.policy",
    "Protocol": "market.protocol",
    "Replay": "market.processes",
    "simulate_market": "market.simulate",
    "CurveSet": "curves.curveset",
    "Family": "curves.families",
    "FitStatus": "curves.families",
    "Prediction": "curves.prediction",
    "Saturation": "curves.prediction",
    "fit": "curves.fitting",
    "AggregateAllocation": "allocation.aggregate",
    "Allocation": "allocation.result",
    "AllocationStatus": "allocation.result",
    "Binding": "allocation.result",
    "PeriodAllocation": "allocation.period_result",
    "Validation": "allocation.backtest",
    "allocate": "allocation.solve",
    "allocate_periods": "allocation.periods",
    "validate": "allocation.backtest",
    "Design": "design.design",
    "EfficiencyPrediction": "engine.results",
    "EngineConfig": "engine.config",
    "EventStream": "engine.events",
    "ModelInfo": "engine.results",
    "PredictiveScalingEngine": "engine.engine",
    "RebalancePlan": "engine.results",
    "SynchronousEngine": "engine.sync",
    "SynchronousEvents": "engine.sync",
    "open_engine": "engine.sync",
    "Regime": "engine.events",
    "RegimeChange": "engine.events",
    "AllocationGroup": "store",
    "AllocationLine": "store",
    "Imported": "store",
    "RecordImport": "store",
    "RecordRange": "store",
    "SaturationPoint": "store",
    "ScalingConfig": "store",
    "Store": "store",
    "StoredAllocation": "store",
    "StoredModels": "store",
    "StoredRecords": "store",
    "SymbolConfig": "store",
    "Training": "store",
    "EfficiencyRecords": "sources",
    "OutputStatistics": "sweeps.statistics",
    "Response": "sweeps.response",
    "SweepEstimate": "sweeps.estimate",
    "SweepSummary": "sweeps.summary",
    "sweep": "sweeps.sweep",
    "Tuning": "tuning.result",
    "TuningLimit": "tuning.result",
    "tune": "tuning.tune",
    "AllocationError": "errors",
    "BuildError": "errors",
    "ConfigError": "errors",
    "CurveError": "errors",
    "DesignError": "errors",
    "EscalaError": "errors",
    "FitError": "errors",
    "InfeasibleError": "errors",
    "InputError": "errors",
    "RecordError": "errors",
    "RecordFileError": "errors",
    "MarketError": "errors",
    "MissingExtraError": "errors",
    "ScenarioError": "errors",
    "ScenarioFileError": "errors",
    "StoreError": "errors",
    "StoreUncertainError": "errors",
    "SweepError": "errors",
    "UnknownSymbolError": "errors",
}

_WINGS = ("plots", "sources")  # packages that are named as such: escala.sources.read

__all__ = ["__version__", *sorted(_ROOMS), *_WINGS]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in _WINGS:
        return importlib.import_module(f"escala.{name}")
    if name not in _ROOMS:
        raise AttributeError(f"module 'escala' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"escala.{_ROOMS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
