"""What a campaign provoked, kept as a table."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from vidbench.terminal.tables import Table

_COLUMNS = ("kind", "tried", "survived", "lost")


@dataclass
class Faults:
    """Counts of faults by their kind."""

    counts: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    def note(self, kind: str, tried: int, survived: int, lost: int) -> None:
        """Adds so many faults of a kind: the run went on as it should, or something was lost."""
        before = self.counts.get(kind, (0, 0, 0))
        self.counts[kind] = (before[0] + tried, before[1] + survived, before[2] + lost)

    def table(self) -> Table:
        return Table(
            _COLUMNS,
            [dict(zip(_COLUMNS, (kind, *row), strict=True)) for kind, row in self.counts.items()],
        )


_FAULTS = pytest.StashKey[Faults]()


@pytest.fixture(scope="session")
def faults(pytestconfig: pytest.Config) -> Iterator[Faults]:
    """Takes notes; at the end they go into the file that VIDBENCH_FAULTS names."""
    found = Faults()
    pytestconfig.stash[_FAULTS] = found
    yield found
    if found.counts:
        _write(found, Path(os.environ.get("VIDBENCH_FAULTS", "results/faults.csv")))


def _write(found: Faults, path: Path) -> None:
    """Kinds of other campaigns stay in the file; those of this one are replaced."""
    kept = Faults()
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                kept.counts[row["kind"]] = (*(int(row[name]) for name in _COLUMNS[1:]),)  # type: ignore[assignment]
    kept.counts |= found.counts
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(kept.table().render("csv") + "\n", "utf-8")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    found = config.stash.get(_FAULTS, None)
    if found is not None and found.counts:
        terminalreporter.section("faults")
        terminalreporter.write_line(found.table().render())
