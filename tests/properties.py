"""How many examples a property gets whose number is not the usual one."""

from __future__ import annotations

from typing import Final

from hypothesis import settings

#: Of the profile under which the tests are written.
USUAL: Final = 60


def examples(count: int) -> settings:
    """Draw so many under the usual profile, in proportion fewer in a lane and more where properties are fuzzed."""
    return settings(max_examples=max(1, count * settings().max_examples // USUAL))
