"""An analytics manager adds what was observed in bulk, from a file, and reads what the curves say.

Prints:
2000 records
BTC/USDT  linear   n=1000  efficiency at 300,000: 0.69  saturation 98,000
ETH/USDT  linear   n=1000  efficiency at 300,000: 0.39  saturation 49,000
"""

import asyncio

import numpy as np
import pandas

from escala import PredictiveScalingEngine, ScalingConfig

rng = np.random.default_rng(7)
frame = pandas.DataFrame({"symbol": ["BTC/USDT", "ETH/USDT"] * 1000, "capital": rng.uniform(1e4, 4e5, 2000)})
frame["efficiency"] = (
    0.98 - frame.capital * np.where(frame.symbol == "BTC/USDT", 1e-6, 2e-6) + rng.normal(0, 1e-4, 2000)
)
frame.to_csv("observed.csv", index=False)


async def main() -> None:
    async with await PredictiveScalingEngine.open("escala.db") as engine:
        await engine.store.set_config(ScalingConfig("linear"))
        print(await engine.add_efficiency_records(pandas.read_csv("observed.csv")), "records")
        for symbol, point in (await engine.saturation_points()).items():
            info, at = await engine.model_info(symbol), await engine.predict_efficiency(symbol, 300_000)
            figures = f"n={info.n_points}  efficiency at 300,000: {at.efficiency:.2f}"
            print(f"{symbol}  {info.family:7}  {figures}  saturation {point.saturation:,.0f}")


asyncio.run(main())
