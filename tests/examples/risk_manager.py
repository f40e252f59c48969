"""A risk manager keeps limits of single symbols in the store, and passes others with one question.

Prints:
BTC/USDT        80,000  upper
ETH/USDT        70,000  none
SOL/USDT        40,000  share
10,000 of the 200,000 stay in reserve
"""

import asyncio

from escala import PredictiveScalingEngine, ScalingConfig, SymbolConfig


async def main() -> None:
    async with await PredictiveScalingEngine.open("escala.db") as engine:
        await engine.store.set_config(ScalingConfig("linear", reserve=0.05, min_ticket=5_000))
        await engine.store.set_symbol_config("BTC/USDT", SymbolConfig(upper=80_000))
        symbols = {"BTC/USDT": 1e-6, "ETH/USDT": 2e-6, "SOL/USDT": 1.5e-6}
        for symbol, slope in symbols.items():
            batch = [{"symbol": symbol, "capital": c, "efficiency": 0.98 - slope * c} for c in (1e4, 1e5, 2e5, 3e5)]
            await engine.add_efficiency_records(batch)
        found = await engine.optimize_allocation(list(symbols), 200_000, max_share={"SOL/USDT": 0.2})
        for symbol, amount, reason in zip(found.symbols, found.amounts, found.binding_names, strict=True):
            print(f"{symbol} {amount:13,.0f}  {reason}")
        print(f"{found.total - found.money:,.0f} of the {found.total:,.0f} stay in reserve")


asyncio.run(main())
