"""Pictures with matplotlib: curves, allocations, lending scenarios, markets and sweeps, one function a picture.

Every function draws on the Axes it is given, or on a new figure, and returns the Axes. None shows a window, knows
pyplot or changes a setting of matplotlib; :func:`save` writes files. Needs ``escala[plot]``.
A figure of your own should have ``layout="constrained"``, which makes room for the legends under the axes.
"""

from escala.plots.allocation import allocation_bars as allocation_bars
from escala.plots.allocation import budget_path as budget_path
from escala.plots.allocation import budget_returns as budget_returns
from escala.plots.allocation import marginal_utility as marginal_utility
from escala.plots.backtest import backtest_figure as backtest_figure
from escala.plots.backtest import profit_curve as profit_curve
from escala.plots.backtest import sharpe_curve as sharpe_curve
from escala.plots.canvas import check_path as check_path
from escala.plots.canvas import save as save
from escala.plots.efficiency import efficiency_curve as efficiency_curve
from escala.plots.efficiency import efficiency_curves as efficiency_curves
from escala.plots.figures import allocation_figure as allocation_figure
from escala.plots.figures import analysis_figure as analysis_figure
from escala.plots.figures import lending_figure as lending_figure
from escala.plots.figures import market_figure as market_figure
from escala.plots.figures import plan_figure as plan_figure
from escala.plots.figures import prediction_figure as prediction_figure
from escala.plots.figures import sweep_figure as sweep_figure
from escala.plots.lending import health_path as health_path
from escala.plots.lending import lending_path as lending_path
from escala.plots.loss import loss_curve as loss_curve
from escala.plots.loss import loss_curves as loss_curves
from escala.plots.market import equity_fan as equity_fan
from escala.plots.market import market_health as market_health
from escala.plots.market import price_fan as price_fan
from escala.plots.market import risk_map as risk_map
from escala.plots.market import survival as survival
from escala.plots.plans import plan_health as plan_health
from escala.plots.plans import plan_path as plan_path
from escala.plots.sweeps import distribution as distribution
from escala.plots.sweeps import heat_map as heat_map
from escala.plots.utility import marginal_curve as marginal_curve
from escala.plots.utility import utility_curve as utility_curve
