from escala.errors import EscalaError as EscalaError
from escala.errors import MissingExtraError as MissingExtraError
from escala.errors import ScenarioError as ScenarioError
from escala.errors import ScenarioFileError as ScenarioFileError
from escala.lending import DeFiSimulator as DeFiSimulator
from escala.lending import LendingResult as LendingResult
from escala.lending import LendingStrategy as LendingStrategy
from escala.lending import StopReason as StopReason
from escala.lending import simulate as simulate

__version__: str
