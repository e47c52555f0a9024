"""The program in docs/command.md, run as the page says."""

from __future__ import annotations

import json
from pathlib import Path

from tests.helpers.command import RunCli
from tests.helpers.paths import REPOSITORY, SAMPLE

PAGE = (REPOSITORY / "docs" / "command.md").read_text()


def test_the_program_of_the_page_is_evaluated(run_cli: RunCli, tmp_path: Path) -> None:
    program = tmp_path / "judge.py"
    program.write_text(PAGE.split("```python\n")[1].split("```")[0])
    done = run_cli(
        *("evaluate", "--model_type", "command", "--model_path", program),
        *("--classes_file", SAMPLE / "classes.txt", "--dataset", "sample"),
        *("--data_dir", tmp_path / "data", "--results_dir", tmp_path / "results", "--json"),
        *("--cache_dir", tmp_path / "cache", "--top_n", "2", "--no_report"),
    )
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)
    assert metrics["evaluated"] == 112
    assert metrics["evidence"] == "ranking"
    assert metrics["top2"]["value"] >= metrics["top1"]["value"]
