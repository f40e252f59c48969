"""An analytics manager adds what was observed in bulk, from a file, and reads what the curves say.

Prints:
2000 records
BTC/USDT: efficiency 0.68 at 300,000, saturation 98,001
ETH/USDT: efficiency 0.38 at 300,000, saturation 49,000
"""

import asyncio

import numpy as np
import pandas

from escala import PredictiveScalingEngine

rng = np.random.default_rng(7)
frame = pandas.DataFrame({"symbol": ["BTC/USDT", "ETH/USDT"] * 1000, "capital": rng.uniform(1e4, 4e5, 2000)})
frame["efficiency"] = 0.98 - frame.capital * np.tile([1e-6, 2e-6], 1000) + rng.normal(0.0, 1e-4, 2000)
frame.to_csv("observed.csv", index=False)


async def main() -> None:
    async with await PredictiveScalingEngine.open("escala.db") as engine:
        print(await engine.add_efficiency_records(pandas.read_csv("observed.csv")), "records")
        for symbol, point in (await engine.saturation_points()).items():
            at = await engine.predict_efficiency(symbol, 300_000)
            print(f"{symbol}: efficiency {at.efficiency:.2f} at 300,000, saturation {point.saturation:,.0f}")


asyncio.run(main())
