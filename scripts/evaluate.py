"""Evaluates one model on one split: ``python scripts/evaluate.py @scripts/config.txt``."""

if __name__ == "__main__":
    import sys

    # Here, because every decoding process imports this file, and has no use for the command.
    from vidbench.cli import main

    sys.exit(main(["evaluate", *sys.argv[1:]]))
