from escala.allocation import Allocation as Allocation
from escala.allocation import AllocationStatus as AllocationStatus
from escala.allocation import Binding as Binding
from escala.allocation import allocate as allocate
from escala.curves import CurveSet as CurveSet
from escala.curves import Family as Family
from escala.curves import FitStatus as FitStatus
from escala.curves import Prediction as Prediction
from escala.curves import Saturation as Saturation
from escala.errors import AllocationError as AllocationError
from escala.errors import CurveError as CurveError
from escala.errors import EscalaError as EscalaError
from escala.errors import FitError as FitError
from escala.errors import InfeasibleError as InfeasibleError
from escala.errors import InputError as InputError
from escala.errors import MissingExtraError as MissingExtraError
from escala.errors import RecordError as RecordError
from escala.errors import ScenarioError as ScenarioError
from escala.errors import ScenarioFileError as ScenarioFileError
from escala.fitting import fit as fit
from escala.lending import DeFiSimulator as DeFiSimulator
from escala.lending import LendingResult as LendingResult
from escala.lending import LendingStrategy as LendingStrategy
from escala.lending import StopReason as StopReason
from escala.lending import simulate as simulate

__version__: str
