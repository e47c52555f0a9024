"""What is measured, how often, and where it is written."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

COLUMNS = ("stage", "case", "measure", "value", "against", "ratio", "goal", "holds")

_TABLE = "{:<10}  {:<12}  {:>9}  {:>9}  {:>7}  {:<9}  {:<5}  {}"


@dataclass(frozen=True)
class Row:
    """One ratio.

    Attributes:
        stage: What was measured, e.g. ``decode``.
        case: On what, e.g. ``340x256``.
        measure: The unit, and against what.
        value: A median.
        against: Another, measured in the same rounds.
        goal: What the ratio must be, e.g. ``>= 0.95``; empty for nothing.
    """

    stage: str
    case: str
    measure: str
    value: float
    against: float
    goal: str = ""

    @property
    def ratio(self) -> float:
        return self.value / self.against

    @property
    def holds(self) -> bool | None:
        """Whether the ratio is what it must be; None without a goal."""
        if not self.goal:
            return None
        sign, bound = self.goal.split()
        return self.ratio >= float(bound) if sign == ">=" else self.ratio <= float(bound)


def interleaved(cases: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The median of each case's measurements.

    Every round has every case once, and every other round has them in the opposite order, so
    that what slows the machine down meanwhile meets all cases alike.
    """
    found: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds):
        for name in list(cases)[:: -1 if number % 2 else 1]:
            found[name].append(cases[name]())
    return {name: median(values) for name, values in found.items()}


def seconds_of(action: Callable[[], object]) -> float:
    """How long it took."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def write_rows(rows: Iterable[Row], path: Path) -> list[Row]:
    """The rows, each printed and written to the CSV file as soon as it is there."""
    found = []
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        _print(*COLUMNS)
        for row in rows:
            found.append(row)
            numbers = [f"{x:.6g}" for x in (row.value, row.against, row.ratio)]
            shown = (f"{row.value:.4g}", f"{row.against:.4g}", f"{row.ratio:.3f}")
            holds = "" if row.holds is None else str(row.holds).lower()
            writer.writerow([row.stage, row.case, row.measure, *numbers, row.goal, holds])
            file.flush()
            _print(row.stage, row.case, row.measure, *shown, row.goal, holds)
    return found


def _print(stage: str, case: str, measure: str, *others: str) -> None:
    """Prints a line of the table; the longest column comes last."""
    print(_TABLE.format(stage, case, *others, measure).rstrip(), flush=True)
