"""Evaluates one model on one split: ``python scripts/evaluate.py @scripts/config.txt``."""

import sys

from vidbench.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
