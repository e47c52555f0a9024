"""Installs the pinned requirements, and vidbench as it lies here, for all later sessions."""

if __name__ == "__main__":
    import subprocess
    import sys

    for what in (
        ["--requirement", "requirements.txt"],
        # Built by the setuptools that came with the requirements.
        ["--no-deps", "--no-build-isolation", "--editable", "."],
    ):
        command = [sys.executable, "-m", "pip", "install", *what]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as pip:
            for line in pip.stdout or ():
                print(line, end="")  # not every kernel shows what programs write
        if pip.returncode:
            sys.exit(pip.returncode)
