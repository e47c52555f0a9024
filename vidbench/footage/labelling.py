"""Predict the windows of a long video, and derive its labels, shares and segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidbench._version import __version__
from vidbench.data.spec import PIXELS_VERSION, PreprocessSpec
from vidbench.data.views import pool, require_probabilities
from vidbench.footage.segments import (
    Array,
    ClassShare,
    Segment,
    choose_labels,
    find_segments,
    score_intervals,
    share_classes,
)
from vidbench.footage.windows import Window
from vidbench.models.base import Classifier, HasThresholds, Model

DEFAULT_THRESHOLD = 75.0
"""Score, of 100, from which a class counts as present."""


class Rules(NamedTuple):
    """Rules for segments and labels, and for the output of a video.

    Attributes:
        threshold: Minimum score, of 100; None for the model's threshold of each class, or else
            :data:`DEFAULT_THRESHOLD`.
        share: Minimum percentage of a video that a class must cover to be a label.
        top_n: Maximum number of classes to list.
        include_clips: Whether to list segments.
    """

    threshold: float | None = None
    share: float = 50.0
    top_n: int = 5
    include_clips: bool = False


class ScoredWindows:
    """Scores of the windows of one video, batch by batch.

    Args:
        classifier: The loaded model.
        classes: Names in the order of its scores.
        batch_size: Windows per batch.
    """

    def __init__(self, classifier: Classifier, classes: Sequence[str], batch_size: int) -> None:
        self._classifier = classifier
        self._classes = classes
        self._batch_size = batch_size
        self._waiting: list[Window] = []
        self._spans: list[tuple[float, float]] = []
        self._scores: list[NDArray[np.float32]] = []

    def add(self, window: Window) -> None:
        """Add a window, and predict when a batch is full."""
        self._waiting.append(window)
        if len(self._waiting) == self._batch_size:
            self.flush()

    def flush(self) -> None:
        """Predict the windows of the last, incomplete batch."""
        if not self._waiting:
            return
        clips = np.concatenate([window.views for window in self._waiting])
        scores = require_probabilities(self._classifier.predict(clips), len(clips), self._classes)
        by_window = scores.reshape(len(self._waiting), -1, len(self._classes))
        self._scores += [pool(of_views) for of_views in by_window]
        self._spans += [(window.start, window.end) for window in self._waiting]
        self._waiting.clear()

    def __len__(self) -> int:
        return len(self._scores)

    @property
    def last(self) -> NDArray[np.float32]:
        """Probabilities, (classes,), of the last window."""
        return self._scores[-1]

    @property
    def spans(self) -> Array:
        """(windows, 2): start and end in seconds."""
        return np.array(self._spans, np.float64).reshape(-1, 2)

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """(windows, classes)."""
        return np.array(self._scores, np.float32).reshape(-1, len(self._classes))


def find_thresholds(model: Model, threshold: float | None) -> Array:
    """Minimum score of each class, (classes,), 0 to 1.

    Args:
        model: May have its own thresholds, like models with prompts.
        threshold: Threshold for all classes, of 100; None for the model's.
    """
    if threshold is not None:
        return np.full(len(model.classes), threshold / 100)
    by_class = model.read_thresholds() if isinstance(model, HasThresholds) else {}
    return np.array([by_class.get(name, DEFAULT_THRESHOLD / 100) for name in model.classes])


def label_video(
    scored: ScoredWindows,
    seconds: float,
    classes: Sequence[str],
    thresholds: Array,
    rules: Rules,
) -> dict[str, Any]:
    """Report labels, classes and (on request) segments of one video as a dict for JSON.

    Shares and scores are percentages.

    Args:
        scored: All windows of the video, at least one.
        seconds: Duration of the video.
        classes: Names in the order of the scores.
        thresholds: Result of :func:`find_thresholds`.
        rules: Rules for segments and labels.
    """
    starts, ends = scored.spans.T
    scores = score_intervals(starts, ends, scored.probabilities)
    segments = find_segments(scores, thresholds)
    shares = share_classes(scores, segments, seconds)
    labels = choose_labels(shares, rules.share / 100)
    report: dict[str, Any] = {
        "labels": [_class_row(label, classes) for label in labels],
        "classes": [_class_row(share, classes) for share in shares[: rules.top_n]],
    }
    if rules.include_clips:
        report["segments"] = [_segment_row(segment, classes) for segment in segments]
    return report


def describe_request(
    model: Model, spec: PreprocessSpec, precision: str, thresholds: Array, rules: Rules
) -> dict[str, Any]:
    """Model and rules behind the labels, as a dict for JSON."""
    by_class = {
        name: percent(value)
        for name, value in zip(model.classes, thresholds, strict=True)
        if rules.threshold is None and value != DEFAULT_THRESHOLD / 100
    }
    return {
        "vidbench": __version__,
        "model": model.name,
        "weights": model.digest(),
        "spec": spec.canonical(),
        "spec_digest": spec.digest(),
        "pixels_version": PIXELS_VERSION,
        "precision": precision,
        "threshold": DEFAULT_THRESHOLD if rules.threshold is None else rules.threshold,
        **({"thresholds": by_class} if by_class else {}),
        "share": rules.share,
    }


def percent(value: float) -> float:
    """Percentage with two decimals."""
    return round(100 * float(value), 2)


def _class_row(share: ClassShare, classes: Sequence[str]) -> dict[str, Any]:
    return {
        "class": classes[share.class_index],
        "share": percent(share.share),
        "score": None if share.score is None else percent(share.score),
        "mean": percent(share.mean),
    }


def _segment_row(segment: Segment, classes: Sequence[str]) -> dict[str, Any]:
    return {
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "class": classes[segment.class_index],
        "score": percent(segment.score),
    }
