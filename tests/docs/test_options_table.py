from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.helpers.paths import REPOSITORY


def test_the_table_of_options_is_what_the_parser_says(tmp_path: Path) -> None:
    copy = Path(shutil.copy(REPOSITORY / "README.md", tmp_path))
    script = REPOSITORY / "scripts" / "options_table.py"
    subprocess.run([sys.executable, script, copy], check=True)
    assert copy.read_text() == (REPOSITORY / "README.md").read_text(), f"run python {script}"
