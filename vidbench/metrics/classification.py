"""What is said of a run: accuracies, classes, confusions and calibration; numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidbench.metrics.intervals import Estimate, mean_share, share, wilson
from vidbench.metrics.outcomes import Outcomes
from vidbench.metrics.outcomes import top_k_hits as top_k_hits

if TYPE_CHECKING:
    import pandas as pd


class ClassMetrics(NamedTuple):
    """How well one class is recognised by the first choice.

    Attributes:
        name: The class.
        num_videos: Videos that are of the class.
        accuracy: Share of them that are taken for it; None where there are none.
        precision: Share of the videos taken for the class that are of it; None where none is.
        recall: The accuracy's value.
        f1: Harmonic mean of precision and recall; None where either is.
    """

    name: str
    num_videos: int
    accuracy: Estimate | None
    precision: float | None
    recall: float | None
    f1: float | None


class MacroAverages(NamedTuple):
    """Unweighted means over the classes that have videos.

    Attributes:
        accuracy: Mean class accuracy, with its interval.
        precision: A class that no video is taken for counts as 0.
        recall: The accuracy's value.
        f1: A class that no video is taken for counts as 0.
    """

    accuracy: Estimate
    precision: float
    recall: float
    f1: float


class Confusion(NamedTuple):
    """Videos of one class that are taken for another.

    Attributes:
        label: The right class.
        predicted: The first choice.
        videos: How many.
        share: Of the videos of the right class.
    """

    label: str
    predicted: str
    videos: int
    share: float


class CalibrationBin(NamedTuple):
    """The videos whose first choice has a score above ``low``, up to and with ``high``.

    Attributes:
        low: 0 to 1; the first bin has 0 itself, too.
        high: 0 to 1.
        num_videos: At least 1.
        confidence: Mean score of the first choice.
        accuracy: Share of the videos whose first choice is right.
    """

    low: float
    high: float
    num_videos: int
    confidence: float
    accuracy: Estimate


class Calibration(NamedTuple):
    """Whether the scores can be taken for probabilities.

    Attributes:
        error: Expected calibration error: mean distance of confidence and accuracy, 0 to 1.
        bins: In rising order, without empty ones.
    """

    error: float
    bins: list[CalibrationBin]


def accuracy(outcomes: Outcomes, k: int) -> Estimate:
    """Top-k accuracy with its 95 % interval (see :func:`~vidbench.metrics.intervals.share`).

    Raises:
        ValueError: There are no videos.
    """
    return share(outcomes.hits(k), outcomes.groups)


def class_metrics(outcomes: Outcomes) -> list[ClassMetrics]:
    """The metrics of each class that a video is of or is taken for, in the order of the classes."""
    num_classes, choices = len(outcomes.classes), outcomes.choices
    num_videos = np.bincount(outcomes.targets, minlength=num_classes)
    num_chosen = np.bincount(choices[choices >= 0], minlength=num_classes)
    hits = choices == outcomes.targets
    metrics = []
    for place in np.flatnonzero(num_videos + num_chosen).tolist():
        rows = np.flatnonzero(outcomes.targets == place)
        found = share(hits[rows], outcomes.groups[rows]) if len(rows) else None
        right, chosen = int(np.count_nonzero(hits[rows])), int(num_chosen[place])
        metrics.append(_class_metrics(outcomes.classes[place], found, right, chosen))
    return metrics


def macro_averages(classes: Sequence[ClassMetrics]) -> MacroAverages:
    """The means of :func:`class_metrics`.

    Raises:
        ValueError: No class has videos.
    """
    present = [one for one in classes if one.num_videos]
    if not present:
        raise ValueError("no class has a video that was scored")
    mean = mean_share([one.accuracy for one in present if one.accuracy is not None])
    return MacroAverages(
        accuracy=mean,
        precision=sum(one.precision or 0.0 for one in present) / len(present),
        recall=mean.value,
        f1=sum(one.f1 or 0.0 for one in present) / len(present),
    )


def confusion_matrix(outcomes: Outcomes) -> NDArray[np.intp]:
    """How many videos of each class (rows) are taken for which (columns), (classes, classes).

    A video that is taken for no class is not among them.
    """
    num_classes = len(outcomes.classes)
    cells = (outcomes.targets * num_classes + outcomes.choices)[outcomes.choices >= 0]
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def most_confused(
    matrix: NDArray[np.intp], classes: Sequence[str], count: int = 10
) -> list[Confusion]:
    """The commonest confusions, most videos first; ties in the order of the classes.

    Args:
        matrix: Of :func:`confusion_matrix`.
        classes: Names of its rows and columns.
        count: At most how many.
    """
    rows, columns = np.nonzero(matrix)
    wrong = rows != columns
    rows, columns = rows[wrong], columns[wrong]
    videos, of_class = matrix[rows, columns], matrix.sum(axis=1)
    return [
        Confusion(
            label=classes[rows[i]],
            predicted=classes[columns[i]],
            videos=int(videos[i]),
            share=float(videos[i] / of_class[rows[i]]),
        )
        for i in np.argsort(-videos, kind="stable")[:count]
    ]


def calibration(outcomes: Outcomes, num_bins: int = 15) -> Calibration:
    """Expected calibration error of the first choice's score, and the bins it is a mean over.

    Guo et al. 2017, On Calibration of Modern Neural Networks, equations 1 to 3: bins of equal
    width, each with its upper end.

    Args:
        outcomes: Of a run.
        num_bins: At least 1; 15 is the paper's.

    Raises:
        ValueError: There are no videos.
    """
    if not len(outcomes.targets):
        raise ValueError("calibration needs at least one video that was scored")
    edges = np.linspace(0, 1, num_bins + 1)
    confidences = outcomes.confidences
    places = np.searchsorted(edges[1:-1], confidences)
    hits = outcomes.choices == outcomes.targets
    bins = [
        CalibrationBin(
            low=float(edges[place]),
            high=float(edges[place + 1]),
            num_videos=len(rows),
            confidence=float(confidences[rows].mean()),
            accuracy=share(hits[rows], outcomes.groups[rows]),
        )
        for place in range(num_bins)
        if len(rows := np.flatnonzero(places == place))
    ]
    distances = [one.num_videos * abs(one.confidence - one.accuracy.value) for one in bins]
    return Calibration(sum(distances) / len(hits), bins)


def compute_accuracy(results_df: pd.DataFrame, num_top_classes: int = 1) -> Estimate:
    """Top-k accuracy of a table of predictions, with its 95 % Wilson interval.

    Args:
        results_df: Columns ``target`` (or else ``label``) and ``pred_1`` to ``pred_k``, as in
            ``predictions.csv``; videos without one do not count.
        num_top_classes: The k, at least 1.

    Raises:
        ValueError: The table has no labelled videos, or fewer predicted classes than asked for.
    """
    truth = "target" if "target" in results_df.columns else "label"
    columns = [f"pred_{rank}" for rank in range(1, num_top_classes + 1)]
    if missing := {truth, *columns} - set(results_df.columns):
        raise ValueError(f"top-{num_top_classes} needs the columns {sorted(missing)}")
    labelled = results_df[results_df[truth].notna() & results_df[truth].ne("")]
    if labelled.empty:
        raise ValueError("the table has no labelled videos")
    last = labelled[columns[-1]]
    if (last.isna() | last.eq("")).all():
        raise ValueError(f"top-{num_top_classes} needs predictions in {columns[-1]}: it is empty")
    hits = labelled[columns].eq(labelled[truth], axis=0).any(axis=1)
    return wilson(int(hits.sum()), len(hits))


def _class_metrics(name: str, found: Estimate | None, right: int, chosen: int) -> ClassMetrics:
    num_videos = found.num_videos if found else 0
    return ClassMetrics(
        name=name,
        num_videos=num_videos,
        accuracy=found,
        precision=right / chosen if chosen else None,
        recall=found.value if found else None,
        f1=2 * right / (chosen + num_videos) if found and chosen else None,
    )
