"""``python -m escala``: the command line."""

import sys

from escala.cli import main

sys.exit(main())
