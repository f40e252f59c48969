"""A balance manager asks whether the portfolio has drifted so far that trading is worth it.

Prints:
BTC/USDT      +30,000
ETH/USDT      -30,000
drift 10.0%, worth it beyond 5%: yes; utility +2,700
drift 1.0%, worth it beyond 5%: no; utility +27
"""

import asyncio

from escala import PredictiveScalingEngine, ScalingConfig


async def main() -> None:
    async with await PredictiveScalingEngine.open("escala.db") as engine:
        await engine.store.set_config(ScalingConfig("linear", rebalance_threshold=0.05, reserve=0.0, max_share=1.0))
        for capital in (10_000, 50_000, 100_000, 200_000, 400_000):
            await engine.add_efficiency_record("BTC/USDT", capital, 0.98 - 1e-6 * capital)
            await engine.add_efficiency_record("ETH/USDT", capital, 0.98 - 2e-6 * capital)
        plan = await engine.rebalance({"BTC/USDT": 170_000, "ETH/USDT": 130_000})
        for symbol, trade in plan.to_dict().items():
            print(f"{symbol} {trade:+12,.0f}")
        for found in (plan, await engine.rebalance({"BTC/USDT": 197_000, "ETH/USDT": 103_000})):
            worth = "yes" if found.worth_it else "no"
            print(
                f"drift {found.drift:.1%}, worth it beyond {found.threshold:.0%}: {worth}; utility {found.gain:+,.0f}"
            )


asyncio.run(main())
