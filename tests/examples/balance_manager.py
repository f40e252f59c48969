"""A balance manager asks whether the portfolio has drifted so far that trading is worth it.

Prints:
drift 10.0%: worth it (threshold 5%), utility +2,700
  BTC/USDT  +30,000
  ETH/USDT  -30,000
drift 1.0%: not worth it (threshold 5%), utility +27
  BTC/USDT   +3,000
  ETH/USDT   -3,000
"""

import asyncio

from escala import PredictiveScalingEngine, ScalingConfig


async def main() -> None:
    async with await PredictiveScalingEngine.open("escala.db") as engine:
        await engine.store.set_config(ScalingConfig(rebalance_threshold=0.05, reserve=0.0, max_share=1.0))
        for capital in (10_000, 50_000, 100_000, 200_000):
            await engine.add_efficiency_record("BTC/USDT", capital, 0.98 - 1e-6 * capital)
            await engine.add_efficiency_record("ETH/USDT", capital, 0.98 - 2e-6 * capital)
        for held in (170_000, 197_000):
            plan = await engine.rebalance({"BTC/USDT": held, "ETH/USDT": 300_000 - held})
            worth = "worth it" if plan.worth_it else "not worth it"
            print(f"drift {plan.drift:.1%}: {worth} (threshold {plan.threshold:.0%}), utility {plan.gain:+,.0f}")
            print(*(f"  {symbol} {trade:+8,.0f}" for symbol, trade in plan.to_dict().items()), sep="\n")


asyncio.run(main())
