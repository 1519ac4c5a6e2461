"""``python -m blurgen``: the command line."""

import sys

from blurgen.cli import main

if __name__ == "__main__":
    sys.exit(main())
