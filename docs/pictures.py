"""Draw the pictures of README and guide anew: python docs/pictures.py [FOLDER]."""

import dataclasses
import sys
from pathlib import Path

import escala
from escala import plots
from escala.demo.curves import load_quotes
from escala.demo.prices import DAY, load_prices

SYMBOL = "USDC/WBTC"


def draw(folder: Path) -> None:
    """Draw what ``escala analyze`` draws of one pair, and ``escala market`` of a loan, from the package's real data."""
    quotes = load_quotes()
    curves = escala.fit(quotes.symbol, quotes.capital, quotes.efficiency)
    plots.save(plots.analysis_figure(curves, SYMBOL, quotes), folder / "efficiency_curve.png", size=(1440, 1320))
    plots.save(plots.market_figure(loan(), currency="USD"), folder / "market.png", size=(1440, 1320))


def loan() -> escala.MarketResult:
    """Let the loan of the guide live through 4,096 paths."""
    like = escala.Merton.from_prices(load_prices().close["ETH"], dt=DAY)
    ether = escala.Asset(2000.0, dataclasses.replace(like, mu=0.0))
    market = escala.Market([ether], escala.FixedRate(0.05), dt=3600.0, steps=24 * 90, barrier=True)
    rules = escala.Protocol.aave_v33(0.83, 0.83, 0.05, dust=1000)
    recorded = [(0, k * 4096 // 200) for k in range(200)]
    return escala.simulate_market(
        10.0, 12_000.0, market=market, protocol=rules, paths=4096, keep="rows", record=recorded
    )  # fmt: skip


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "guide")
