"""Finished runs ranked by accuracy, each among the runs that answered the same questions only."""

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
"""What runs must have in common to be ranked together."""


@dataclass(frozen=True)
class Leaderboard:
    """Runs that scored the same videos, by the same labels and choices, stand together.

    Attributes:
        rows: Values by the names in :data:`COLUMNS`, and digests; None where a run does not say.
        left_out: Why a run is not among them, by the name of its folder.
        notes: Which runs are not ranked together though they were asked for the same videos.
    """

    rows: tuple[Row, ...]
    left_out: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def table(self) -> Table:
        """The rows in :data:`COLUMNS`."""
        return Table(COLUMNS, self.rows)


def leaderboard(results_dir: Path, dataset: str | None = None) -> Leaderboard:
    """The finished runs directly below a folder, ranked by top-1 accuracy.

    Args:
        results_dir: The folder of run folders.
        dataset: Only runs on this dataset, such as ``kinetics-400`` or ``kinetics-400/val``.

    Raises:
        ConfigError: There is no such folder, or no finished run in it.
    """
    if not results_dir.is_dir():
        raise ConfigError(f"{results_dir} is no folder: name the one that holds the runs' folders")
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
    """The rows with ``rank`` and ``rank_range``, the best first among those that are alike.

    Alike are runs that scored the same videos of one dataset, whose labels were matched with the
    models' classes alike, and whose models may choose from the same classes, or all of their own.

    Equal accuracies have equal ranks. The range holds the ranks that the intervals leave open: a
    run stands surely below another only where its whole interval does. A row without accuracy has
    neither and comes last.

    Args:
        rows: With ``run``, ``dataset``, ``requested_digest``, ``scored_digest``, ``labels``,
            ``choices_digest``, ``top1``, ``low`` and ``high``.
    """
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in _SAME)].append(row)
    return [row for _, group in sorted(groups.items()) for row in _rank_group(group)]


def _rank_group(group: Iterable[Mapping[str, Any]]) -> list[Row]:
    """The rows of runs that are alike, ranked."""
    ordered = sorted(group, key=lambda row: (row["top1"] is None, -(row["top1"] or 0), row["run"]))
    scored = [row for row in ordered if row["top1"] is not None]
    ranked = []
    for row in scored:
        place = 1 + sum(other["top1"] > row["top1"] for other in scored)
        first = 1 + sum(other["low"] > row["high"] for other in scored)
        last = len(scored) - sum(other["high"] < row["low"] for other in scored)
        ranked.append({**row, "rank": place, "rank_range": f"{first}-{last}"})
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
    """A line for each list of requested videos of which runs scored other parts."""
    asked: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        scored = asked[row["dataset"], row["requested_digest"]]
        scored[row["scored_digest"]].append(row["run"])
    return tuple(
        f"{dataset}: asked for the same videos ({digest}), but not the same were scored, so these "
        f"are not ranked together: {'; '.join(map(', '.join, scored.values()))}"
        for (dataset, digest), scored in asked.items()
        if len(scored) > 1
    )


def _is_of(row: Mapping[str, Any], dataset: str) -> bool:
    return dataset in (row["dataset"], row["dataset"].rpartition("/")[0])


def _nothing(
    results_dir: Path, dataset: str | None, rows: Iterable[Row], left_out: Mapping[str, str]
) -> str:
    found = ", ".join(sorted({row["dataset"] for row in rows}))
    text = f"{results_dir} holds no finished run" + (f" on {dataset}" if dataset else "")
    text += f", only on {found}" if found else ""
    unfinished = "; ".join(left_out.values())
    return text + (f" ({len(left_out)} unfinished or damaged: {unfinished})" if left_out else "")
