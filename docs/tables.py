"""Write the tables of the pages anew: ``python docs/tables.py``.

Between ``<!-- generated: NAME -->`` and ``<!-- end of NAME -->`` stands the table of that name in :mod:`escala.tables`.
"""

from __future__ import annotations

from pathlib import Path

from escala import tables
from escala.text.stretches import fill
from escala.text.tables import markdown


def page(text: str) -> str:
    """Bring the tables of a page up to date."""
    return fill(text, ("<!--", "-->"), lambda name: f"\n{markdown(getattr(tables, name))}\n")


def pages() -> list[Path]:
    """Give the pages, those at the root of the project included."""
    here = Path(__file__).parent
    return sorted([*here.rglob("*.md"), *here.parent.glob("*.md")])


if __name__ == "__main__":
    for path in pages():
        text = path.read_text()
        filled = page(text)
        if filled != text:
            path.write_text(filled)
            print(path)
