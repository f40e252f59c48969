"""How a utility bends with capital: what its concave envelope is made of depends on no more."""

from __future__ import annotations

#: Concave; convex; convex up to its inflection, then concave; concave, then convex; the same, and efficiency rises
#: again in the convex part.
CONCAVE, CONVEX, CONVEX_FIRST, CONCAVE_FIRST, RISING_AGAIN = range(5)
