"""Draw the pictures of README and guide anew: python docs/pictures.py [FOLDER]."""

import sys
from pathlib import Path

import escala
from escala import plots
from escala.demo.curves import load_quotes

SYMBOL = "USDC/WBTC"


def draw(folder: Path) -> None:
    """Draw what ``escala analyze`` draws of one pair, from the real quotes that come with the package."""
    quotes = load_quotes()
    curves = escala.fit(quotes.symbol, quotes.capital, quotes.efficiency)
    plots.save(plots.analysis_figure(curves, SYMBOL, quotes), folder / "efficiency_curve.png", size=(1440, 1320))


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "guide")
