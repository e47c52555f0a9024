"""Install the pinned requirements and this project's vidbench for all later sessions.

If RAY_WORKERS is not 0, install Ray too.
"""

if __name__ == "__main__":
    import os
    import subprocess
    import sys

    requirements = ["--requirement", "requirements.txt"]
    if int(os.environ.get("RAY_WORKERS") or 0):
        requirements += ["--requirement", "requirements-ray.txt"]
    for what in (
        requirements,
        # Built with the setuptools of the requirements.
        ["--no-deps", "--no-build-isolation", "--editable", "."],
    ):
        command = [sys.executable, "-m", "pip", "install", *what]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as pip:
            for line in pip.stdout or ():
                print(line, end="")  # some kernels do not show the output of programs
        if pip.returncode:
            sys.exit(pip.returncode)
