"""What a running system remembers: records, trainings, settings and allocations, on SQLite or PostgreSQL.

Nothing here loads a database library before a store is opened.
"""

from escala.store.results import AllocationGroup as AllocationGroup
from escala.store.results import AllocationLine as AllocationLine
from escala.store.results import Imported as Imported
from escala.store.results import News as News
from escala.store.results import Overview as Overview
from escala.store.results import RecordImport as RecordImport
from escala.store.results import RecordNews as RecordNews
from escala.store.results import RecordRange as RecordRange
from escala.store.results import SaturationPoint as SaturationPoint
from escala.store.results import StoredAllocation as StoredAllocation
from escala.store.results import StoredModels as StoredModels
from escala.store.results import StoredRecords as StoredRecords
from escala.store.results import Training as Training
from escala.store.settings import ScalingConfig as ScalingConfig
from escala.store.settings import SymbolConfig as SymbolConfig
from escala.store.store import Store as Store
