"""Evaluate as a scheduled job: each date has its own run, e.g. ``results/config_2026-11-21``.

Takes the options of ``vidbench evaluate``; without an ``@file``, those in the file CONFIG_FILE.
RUN_DATE is the strftime format of the date. A stopped run resumes on the same date, or if
``--run_name`` names it.
"""

if __name__ == "__main__":
    import os
    import shlex
    import sys
    import time
    from pathlib import Path

    from vidbench.cli.main import main

    arguments = sys.argv[1:]
    if arguments[:1] == ["-f"]:  # a Jupyter kernel's arguments; the job's are in a variable
        arguments = shlex.split(os.environ.get("JOB_ARGUMENTS", ""))
    if not any(word.startswith("@") for word in arguments):
        arguments.append(f"@{os.environ.get('CONFIG_FILE') or 'scripts/config.txt'}")

    file = next(word[1:] for word in arguments if word.startswith("@"))
    date = time.strftime(os.environ.get("RUN_DATE") or "%Y-%m-%d")
    # First, so that a --run_name in the job's arguments overrides it.
    code = main(["evaluate", "--run_name", f"{Path(file).stem}_{date}", *arguments])
    if code:  # a kernel treats even sys.exit(0) as a failure
        sys.exit(code)
