"""Outside data -> efficiency records: files and frames of records, executions, swap quotes, order books or a backtest.

Nothing here loads a compiler or a library of frames before it is needed.
"""

from escala.sources import backtest as backtest
from escala.sources import order_book as order_book
from escala.sources import quotes as quotes
from escala.sources.files import read as read
from escala.sources.order_book import OrderBook as OrderBook
from escala.sources.order_book import Walk as Walk
from escala.sources.results import EfficiencyRecords as EfficiencyRecords
from escala.sources.scaled import Capacity as Capacity
from escala.sources.scaled import ScaledBacktest as ScaledBacktest
