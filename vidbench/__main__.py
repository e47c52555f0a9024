"""``python -m vidbench``: the same as the ``vidbench`` command."""

import sys

from vidbench.cli import main

if __name__ == "__main__":
    sys.exit(main())
