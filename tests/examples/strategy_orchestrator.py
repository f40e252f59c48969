"""A strategy orchestrator is told when a symbol's capital crosses its saturation or capacity.

Prints:
BTC/USDT at 150,000: working -> saturated (saturation 98,000, capacity 490,000)
BTC/USDT at 60,000: saturated -> working (saturation 98,000, capacity 490,000)
BTC/USDT at 500,000: working -> exhausted (saturation 98,000, capacity 490,000)
"""

import asyncio

from escala import PredictiveScalingEngine


async def main() -> None:
    async with await PredictiveScalingEngine.open("escala.db") as engine:
        for capital in (400_000, 200_000, 100_000, 50_000, 10_000):
            await engine.add_efficiency_record("BTC/USDT", capital, 0.98 - 1e-6 * capital)
        await engine.train()
        events = engine.events()
        for capital in (50_000, 150_000, 60_000, 500_000):
            await engine.add_efficiency_record("BTC/USDT", capital, 0.98 - 1e-6 * capital)
    async for event in events:  # ends with the engine; while it is open this waits for the next one
        limits = f"saturation {event.saturation:,.0f}, capacity {event.capacity:,.0f}"
        print(f"{event.symbol} at {event.capital:,.0f}: {event.before.value} -> {event.after.value} ({limits})")


asyncio.run(main())
