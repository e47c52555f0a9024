"""Classification metrics: accuracy, per-class metrics, confusions and calibration; numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidbench.metrics.intervals import Estimate, mean_share, share, wilson
from vidbench.metrics.outcomes import Outcomes
from vidbench.metrics.outcomes import top_k_hits as top_k_hits
from vidbench.storage.typed_json import Count, Share

if TYPE_CHECKING:
    import pandas as pd


class ClassMetrics(NamedTuple):
    """Metrics of one class, computed from the top-1 predictions.

    Attributes:
        name: The class.
        num_videos: Videos with this label.
        accuracy: Share of them predicted as this class; None if there are none.
        precision: Share of the videos predicted as this class that have its label; None if there
            are none.
        recall: Equal to the accuracy's value.
        f1: Harmonic mean of precision and recall; None if either is None.
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
        precision: Mean precision; a class that is never predicted counts as 0.
        recall: Equal to the accuracy's value.
        f1: Mean F1; a class that is never predicted counts as 0.
    """

    accuracy: Estimate
    precision: float
    recall: float
    f1: float


class Confusion(NamedTuple):
    """Videos of one class that are predicted as another.

    Attributes:
        label: The true class.
        predicted: The predicted class.
        videos: Number of such videos.
        share: Their share of the videos of the true class.
    """

    label: str
    predicted: str
    videos: Count
    share: Share


class CalibrationBin(NamedTuple):
    """The videos whose top-1 score lies in the interval (``low``, ``high``].

    Attributes:
        low: 0 to 1; the first bin includes 0.
        high: 0 to 1.
        num_videos: At least 1.
        confidence: Mean top-1 score.
        accuracy: Share of the videos whose top-1 prediction is right.
    """

    low: Share
    high: Share
    num_videos: Count
    confidence: Share
    accuracy: Estimate


class Calibration(NamedTuple):
    """How well the scores agree with the accuracy they predict.

    Attributes:
        error: Expected calibration error: mean distance between confidence and accuracy, 0 to 1.
        bins: In rising order, without empty ones.
    """

    error: Share
    bins: list[CalibrationBin]


def accuracy(outcomes: Outcomes, k: int) -> Estimate:
    """Top-k accuracy with its 95 % interval (see :func:`~vidbench.metrics.intervals.share`).

    Raises:
        ValueError: There are no videos.
    """
    return share(outcomes.hits(k), outcomes.groups)


def class_metrics(outcomes: Outcomes) -> list[ClassMetrics]:
    """Metrics of each class that is the label or the prediction of a video, in class order."""
    num_classes, choices = len(outcomes.classes), outcomes.choices
    num_videos = np.bincount(outcomes.targets, minlength=num_classes)
    num_chosen = np.bincount(choices[choices >= 0], minlength=num_classes)
    hits = choices == outcomes.targets
    metrics = []
    for index in np.flatnonzero(num_videos + num_chosen).tolist():
        rows = np.flatnonzero(outcomes.targets == index)
        accuracy = share(hits[rows], outcomes.groups[rows]) if len(rows) else None
        right, chosen = int(np.count_nonzero(hits[rows])), int(num_chosen[index])
        metrics.append(_class_metrics(outcomes.classes[index], accuracy, right, chosen))
    return metrics


def macro_averages(classes: Sequence[ClassMetrics]) -> MacroAverages:
    """Unweighted means of :func:`class_metrics` over the classes that have videos.

    Raises:
        ValueError: No class has videos.
    """
    present = [each for each in classes if each.num_videos]
    if not present:
        raise ValueError("no class has a video that was scored")
    mean = mean_share([each.accuracy for each in present if each.accuracy is not None])
    return MacroAverages(
        accuracy=mean,
        precision=sum(each.precision or 0.0 for each in present) / len(present),
        recall=mean.value,
        f1=sum(each.f1 or 0.0 for each in present) / len(present),
    )


def confusion_matrix(outcomes: Outcomes) -> NDArray[np.intp]:
    """Number of videos by label (rows) and prediction (columns), (classes, classes).

    Videos without a predicted class are not counted.
    """
    num_classes = len(outcomes.classes)
    cells = (outcomes.targets * num_classes + outcomes.choices)[outcomes.choices >= 0]
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def most_confused(
    matrix: NDArray[np.intp], classes: Sequence[str], count: int = 10
) -> list[Confusion]:
    """The most frequent confusions, most videos first; ties in class order.

    Args:
        matrix: Result of :func:`confusion_matrix`.
        classes: Names of its rows and columns.
        count: Maximum number of confusions.
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
    """Expected calibration error of the top-1 score, with the bins it is computed from.

    Guo et al. 2017, On Calibration of Modern Neural Networks, equations 1 to 3: bins of equal
    width, each including its upper end.

    Args:
        outcomes: Outcomes of a run.
        num_bins: At least 1; the paper uses 15.

    Raises:
        ValueError: There are no videos.
    """
    if not len(outcomes.targets):
        raise ValueError("calibration needs at least one video that was scored")
    edges = np.linspace(0, 1, num_bins + 1)
    confidences = outcomes.confidences
    bin_of = np.searchsorted(edges[1:-1], confidences)
    hits = outcomes.choices == outcomes.targets
    bins = [
        CalibrationBin(
            low=float(edges[index]),
            high=float(edges[index + 1]),
            num_videos=len(rows),
            confidence=float(confidences[rows].mean()),
            accuracy=share(hits[rows], outcomes.groups[rows]),
        )
        for index in range(num_bins)
        if len(rows := np.flatnonzero(bin_of == index))
    ]
    distances = [each.num_videos * abs(each.confidence - each.accuracy.value) for each in bins]
    return Calibration(sum(distances) / len(hits), bins)


def compute_accuracy(results_df: pd.DataFrame, num_top_classes: int = 1) -> Estimate:
    """Top-k accuracy of a table of predictions, with its 95 % Wilson interval.

    Args:
        results_df: Columns ``target`` (or else ``label``) and ``pred_1`` to ``pred_k``, as in
            ``predictions.csv``; videos without a target or label do not count.
        num_top_classes: k, at least 1.

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


def _class_metrics(name: str, accuracy: Estimate | None, right: int, chosen: int) -> ClassMetrics:
    num_videos = accuracy.num_videos if accuracy else 0
    return ClassMetrics(
        name=name,
        num_videos=num_videos,
        accuracy=accuracy,
        precision=right / chosen if chosen else None,
        recall=accuracy.value if accuracy else None,
        f1=2 * right / (chosen + num_videos) if accuracy and chosen else None,
    )
