"""The outputs in docs/numbers.md, made again on the embedded sample."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.command import RunCli
from tests.helpers.paths import REPOSITORY, SAMPLE

PAGE = REPOSITORY / "docs" / "numbers.md"
CONFIG = (
    *("--model_type", "saved_model", "--model_path", str(SAMPLE / "model")),
    *("--dataset", "sample", "--num_frames", "16", "--batch_size", "8"),
)
ONE = "results/saved_model_sample-val_112_1cd23e75"
OTHER = "results/saved_model_sample-val_112_f699e0f8"


def without_latency(lines: list[str]) -> Iterator[str]:
    """The latency before the name of a run in the leaderboard depends on the machine."""
    return (re.sub(r"^( +\d+ +\d+-\d+ .*\S) +[\d.]+( +\S+)$", r"\1\2", line) for line in lines)


def test_the_page_shows_what_the_commands_print(run_process: RunCli, tmp_path: Path) -> None:
    page = PAGE.read_text()
    for options in ([], ["--sampling", "center", "--frame_stride", "3"]):
        assert run_process("evaluate", *CONFIG, *options).returncode == 0
    assert (tmp_path / ONE).is_dir()
    assert (tmp_path / OTHER).is_dir()
    shown = without_latency(page.splitlines())
    known = set(shown) | set(page.splitlines())
    for command in (
        ["report", ONE],
        ["compare", OTHER, ONE],
        ["leaderboard", "results"],
        ["fuse", OTHER, ONE, "--results_dir", "results"],
        ["subset", "--dataset", "sample", "--per_class", "2", "--output", "subset.csv"],
    ):
        assert f"vidbench {' '.join(command)}" in page
        done = run_process(*command)
        assert done.returncode == 0, done.stderr
        lines = without_latency(done.stdout.splitlines())
        missing = [line for line in lines if line not in known]
        assert missing == []


def test_the_page_says_what_the_manifest_begins_with(run_process: RunCli, tmp_path: Path) -> None:
    run_process("subset", "--dataset", "sample", "--per_class", "2", "--output", "subset.csv")
    for line in (tmp_path / "subset.csv").read_text().splitlines()[:3]:
        assert line in PAGE.read_text()


PAGES = [REPOSITORY / "README.md", REPOSITORY / "benchmarks/README.md", *PAGE.parent.glob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / link).exists(), link
