"""Do books of positions in a market close exactly, in fractions? Drawn scenarios: python -m benchmarks.market_books."""

from __future__ import annotations

import sys
import time

from hypothesis import HealthCheck, given, settings
from tests.naive.exact import unbooked
from tests.strategies import market_scenarios

COUNT = 10_000


def main() -> int:
    """Draw as many scenarios as asked for, 10,000 by default, and say how many closed."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    closed, began = 0, time.process_time()

    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(market_scenarios(steps=40))
    def close(spec: dict[str, object]) -> None:
        nonlocal closed
        assert unbooked(spec) == 0, spec
        closed += 1

    close()
    print(f"{closed:,} scenarios of up to 40 steps: every book closes exactly ({time.process_time() - began:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
