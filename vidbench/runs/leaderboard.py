"""Leaderboard: finished runs ranked by accuracy, in groups of comparable runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidbench.errors import ConfigError, VidbenchError
from vidbench.runs.coverage import digest_videos
from vidbench.runs.finished import FinishedRun
from vidbench.terminal.tables import Table

COLUMNS = (
    "rank",
    "rank_range",
    "run",
    "model",
    "dataset",
    "scored_digest",
    "labels",
    "choices",
    "top1",
    "low",
    "high",
    "k",
    "topk",
    "videos",
    "views",
    "latency_ms",
    "cost_usd",
    "precision",
)

Row = dict[str, Any]

_SAME = ("dataset", "requested_digest", "scored_digest", "labels", "choices_digest")
"""Columns in which runs must agree to be ranked together."""


@dataclass(frozen=True)
class Leaderboard:
    """Ranked runs; those with the same scored videos, labels and choices form a group.

    Attributes:
        rows: Values by the names in :data:`COLUMNS`, and digests; None if a run has no value.
        left_out: Why a run is left out, by the name of its folder.
        notes: Runs that requested the same videos but are not ranked together.
    """

    rows: tuple[Row, ...]
    left_out: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def table(self) -> Table:
        """The rows as a table of :data:`COLUMNS`."""
        return Table(COLUMNS, self.rows)


def leaderboard(results_dir: Path, dataset: str | None = None) -> Leaderboard:
    """Rank the finished runs directly below a folder by top-1 accuracy.

    Args:
        results_dir: Parent of the runs' folders.
        dataset: Only runs on this dataset, such as ``kinetics-400`` or ``kinetics-400/val``.

    Raises:
        ConfigError: The folder does not exist, or has no finished run.
    """
    if not results_dir.is_dir():
        raise ConfigError(f"{results_dir} is not a folder: name the parent of the runs' folders")
    rows, left_out = [], {}
    for path in sorted(results_dir.iterdir()):
        if not ((path / "run.json").exists() or (path / "metrics.json").exists()):
            continue
        try:
            rows.append(_row(FinishedRun(path)))
        except VidbenchError as error:
            left_out[path.name] = str(error)
    chosen = [row for row in rows if dataset is None or _is_of(row, dataset)]
    if not chosen:
        raise ConfigError(_nothing(results_dir, dataset, rows, left_out))
    return Leaderboard(tuple(rank(chosen)), left_out, _notes(chosen))


def rank(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Add ``rank`` and ``rank_range`` to the rows, and sort each group from best to worst.

    A group has the runs that scored the same videos of a dataset, with the same matching of labels
    and classes, by models that may choose from the same classes, or all from their own.

    Equal accuracies have equal ranks. The range has all ranks that the intervals allow: a run is
    certainly below another only if their intervals do not overlap. A row without accuracy has
    neither rank nor range and comes last.

    Args:
        rows: With ``run``, ``dataset``, ``requested_digest``, ``scored_digest``, ``labels``,
            ``choices_digest``, ``top1``, ``low`` and ``high``.
    """
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in _SAME)].append(row)
    return [row for _, group in sorted(groups.items()) for row in _rank_group(group)]


def _rank_group(group: Iterable[Mapping[str, Any]]) -> list[Row]:
    """The ranked rows of one group."""
    ordered = sorted(group, key=lambda row: (row["top1"] is None, -(row["top1"] or 0), row["run"]))
    scored = [row for row in ordered if row["top1"] is not None]
    ranked = []
    for row in scored:
        position = 1 + sum(other["top1"] > row["top1"] for other in scored)
        first = 1 + sum(other["low"] > row["high"] for other in scored)
        last = len(scored) - sum(other["high"] < row["low"] for other in scored)
        ranked.append({**row, "rank": position, "rank_range": f"{first}-{last}"})
    return ranked + [{**row, "rank": None, "rank_range": None} for row in ordered[len(scored) :]]


def _row(run: FinishedRun) -> Row:
    identity, metrics, coverage = run.record.identity, run.metrics, run.metrics.coverage
    choices, k = sorted(identity.choices), metrics.largest_k
    top1, topk = metrics.accuracy(1), metrics.accuracy(k)
    session = run.record.timed_session
    return {
        "run": run.name,
        "model": identity.model,
        "dataset": identity.split_name,
        "requested_digest": coverage.requested_digest,
        "scored_digest": coverage.scored_digest,
        "labels": identity.labels,
        "choices": len(choices) or None,
        "choices_digest": digest_videos(choices) if choices else "",
        "top1": top1.value if top1 else None,
        "low": top1.low if top1 else None,
        "high": top1.high if top1 else None,
        "k": k,
        "topk": topk.value if topk else None,
        "videos": top1.num_videos if top1 else metrics.evaluated,
        "views": metrics.views,
        "latency_ms": session.latency_ms.median if session and session.latency_ms else None,
        "cost_usd": run.record.cost_usd,
        "precision": identity.precision,
    }


def _notes(rows: Iterable[Row]) -> tuple[str, ...]:
    """A line for each list of requested videos of which runs scored different subsets."""
    requests: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        scored = requests[row["dataset"], row["requested_digest"]]
        scored[row["scored_digest"]].append(row["run"])
    return tuple(
        f"{dataset}: not ranked together, because they scored different subsets of the same "
        f"requested videos ({digest}): {'; '.join(map(', '.join, scored.values()))}"
        for (dataset, digest), scored in requests.items()
        if len(scored) > 1
    )


def _is_of(row: Mapping[str, Any], dataset: str) -> bool:
    return dataset in (row["dataset"], row["dataset"].rpartition("/")[0])


def _nothing(
    results_dir: Path, dataset: str | None, rows: Iterable[Row], left_out: Mapping[str, str]
) -> str:
    datasets = ", ".join(sorted({row["dataset"] for row in rows}))
    text = f"{results_dir} has no finished run" + (f" on {dataset}" if dataset else "")
    text += f", only on {datasets}" if datasets else ""
    unfinished = "; ".join(left_out.values())
    return text + (f" ({len(left_out)} unfinished or damaged: {unfinished})" if left_out else "")
