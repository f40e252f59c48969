"""``escala`` and ``python -m escala``: the command line; Ctrl-C is quiet even while it is loaded."""

import sys


def main() -> int:
    """Load and run the command line."""
    try:
        from escala.commands.app import main as run

        return run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
