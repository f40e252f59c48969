"""How far can capital grow before it stops working.

Names are attached when they are first used: importing escala loads neither numba nor scipy.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_ROOMS = {
    "DeFiSimulator": "lending",
    "LendingResult": "lending",
    "LendingStrategy": "lending",
    "StopReason": "lending",
    "simulate": "lending",
    "CurveSet": "curves",
    "Family": "curves",
    "FitStatus": "curves",
    "Prediction": "curves",
    "Saturation": "curves",
    "fit": "fitting",
    "Allocation": "allocation",
    "AllocationStatus": "allocation",
    "Binding": "allocation",
    "allocate": "allocation",
    "EfficiencyPrediction": "engine",
    "EngineConfig": "engine",
    "EventStream": "engine",
    "ModelInfo": "engine",
    "PredictiveScalingEngine": "engine",
    "RebalancePlan": "engine",
    "Regime": "engine",
    "RegimeChange": "engine",
    "AllocationLine": "store",
    "SaturationPoint": "store",
    "ScalingConfig": "store",
    "Store": "store",
    "StoredAllocation": "store",
    "StoredModels": "store",
    "StoredRecords": "store",
    "SymbolConfig": "store",
    "Training": "store",
    "AllocationError": "errors",
    "BuildError": "errors",
    "ConfigError": "errors",
    "CurveError": "errors",
    "EscalaError": "errors",
    "FitError": "errors",
    "InfeasibleError": "errors",
    "InputError": "errors",
    "RecordError": "errors",
    "MissingExtraError": "errors",
    "ScenarioError": "errors",
    "ScenarioFileError": "errors",
    "StoreError": "errors",
    "UnknownSymbolError": "errors",
}

__all__ = ["__version__", *sorted(_ROOMS)]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'escala' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"escala.{_ROOMS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
