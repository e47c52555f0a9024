"""Evaluates one model on one split: ``python scripts/evaluate.py @scripts/config.txt``."""

if __name__ == "__main__":
    import os
    import shlex
    import sys

    # Here, because every decoding process imports this file, and has no use for the command.
    from vidbench.cli.main import main

    arguments = sys.argv[1:]
    if arguments[:1] == ["-f"]:  # a Jupyter kernel's own; those of a Cloudera job are in a variable
        arguments = shlex.split(os.environ.get("JOB_ARGUMENTS", ""))
    code = main(["evaluate", *arguments])
    if code:  # a kernel takes even sys.exit(0) for a failure
        sys.exit(code)
