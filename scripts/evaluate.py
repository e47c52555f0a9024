"""Evaluate one model on one split: ``python scripts/evaluate.py @scripts/config.txt``."""

if __name__ == "__main__":
    import os
    import shlex
    import sys

    # Imported here, because decoding processes import this file and do not need the command.
    from vidbench.cli.main import main

    arguments = sys.argv[1:]
    if arguments[:1] == ["-f"]:  # a Jupyter kernel's; those of a Cloudera job are in a variable
        arguments = shlex.split(os.environ.get("JOB_ARGUMENTS", ""))
    code = main(["evaluate", *arguments])
    if code:  # a kernel treats even sys.exit(0) as a failure
        sys.exit(code)
