"""Windows of long videos and a model become labels, shares and segments of each video."""

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
"""Of 100: the score from which a class counts as seen."""


class Rules(NamedTuple):
    """What makes a segment and a label, and what is told of a video.

    Attributes:
        threshold: Of 100; None for each class's own, as far as the model has one, or else
            :data:`DEFAULT_THRESHOLD`.
        share: Percent of a video that a class holds at least to label it.
        top_n: Classes that are listed, at most.
        include_clips: List segments.
    """

    threshold: float | None = None
    share: float = 50.0
    top_n: int = 5
    include_clips: bool = False


class ScoredWindows:
    """Scores of the windows of one video, batch by batch.

    Args:
        classifier: Predicts.
        classes: Names in the order of its scores.
        batch_size: Windows at once.
    """

    def __init__(self, classifier: Classifier, classes: Sequence[str], batch_size: int) -> None:
        self._classifier = classifier
        self._classes = classes
        self._batch_size = batch_size
        self._waiting: list[Window] = []
        self._spans: list[tuple[float, float]] = []
        self._scores: list[NDArray[np.float32]] = []

    def add(self, window: Window) -> None:
        """Takes a window, and predicts once a batch is full."""
        self._waiting.append(window)
        if len(self._waiting) == self._batch_size:
            self.flush()

    def flush(self) -> None:
        """Predicts what still waits."""
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
    """The least score of each class, (classes,), 0 to 1.

    Args:
        model: May have thresholds of its own, as those that read prompts do.
        threshold: Of 100, for all classes; None for the model's.
    """
    if threshold is not None:
        return np.full(len(model.classes), threshold / 100)
    own = model.read_thresholds() if isinstance(model, HasThresholds) else {}
    return np.array([own.get(name, DEFAULT_THRESHOLD / 100) for name in model.classes])


def label_video(
    scored: ScoredWindows,
    seconds: float,
    classes: Sequence[str],
    thresholds: Array,
    rules: Rules,
) -> dict[str, Any]:
    """What is told of a video, for JSON: ``labels``, ``classes`` and, if asked for, ``segments``.

    Shares and scores are of 100.

    Args:
        scored: All its windows, at least one.
        seconds: Its duration.
        classes: Names in the order of the scores.
        thresholds: As :func:`find_thresholds` gives them.
        rules: What makes a label.
    """
    starts, ends = scored.spans.T
    scores = score_intervals(starts, ends, scored.probabilities)
    segments = find_segments(scores, thresholds)
    shares = share_classes(scores, segments, seconds)
    labels = choose_labels(shares, rules.share / 100)
    found: dict[str, Any] = {
        "labels": [_class_row(label, classes) for label in labels],
        "classes": [_class_row(share, classes) for share in shares[: rules.top_n]],
    }
    if rules.include_clips:
        found["segments"] = [_segment_row(segment, classes) for segment in segments]
    return found


def describe_request(
    model: Model, spec: PreprocessSpec, precision: str, thresholds: Array, rules: Rules
) -> dict[str, Any]:
    """With what labels were made, for JSON."""
    own = {
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
        **({"thresholds": own} if own else {}),
        "share": rules.share,
    }


def percent(value: float) -> float:
    """Of 100, with two digits."""
    return round(100 * float(value), 2)


def _class_row(found: ClassShare, classes: Sequence[str]) -> dict[str, Any]:
    return {
        "class": classes[found.class_index],
        "share": percent(found.share),
        "score": None if found.score is None else percent(found.score),
        "mean": percent(found.mean),
    }


def _segment_row(segment: Segment, classes: Sequence[str]) -> dict[str, Any]:
    return {
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "class": classes[segment.class_index],
        "score": percent(segment.score),
    }
