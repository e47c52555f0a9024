"""Predict long videos with a loaded model, window by window."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from vidbench.config.opening import find_model
from vidbench.config.run_config import RunConfig
from vidbench.data.spec import PreprocessSpec
from vidbench.engines.clip_scorers import rehearsed
from vidbench.errors import VideoError
from vidbench.footage.labelling import (
    Rules,
    ScoredWindows,
    describe_request,
    find_thresholds,
    label_video,
)
from vidbench.footage.options import PredictOptions
from vidbench.footage.segments import Array
from vidbench.footage.window_decoder import WindowDecoder
from vidbench.footage.windows import Grid
from vidbench.models.base import Classifier
from vidbench.system.machine import default_batch_size


class WindowModel(NamedTuple):
    """A loaded model with the rules for its labels.

    Attributes:
        thresholds: (classes,), 0 to 1.
        facts: Model and rules behind the labels, for JSON.
    """

    classifier: Classifier
    classes: tuple[str, ...]
    spec: PreprocessSpec
    batch_size: int
    thresholds: Array
    rules: Rules
    facts: dict[str, Any]

    def scores(self, batch_size: int | None = None) -> ScoredWindows:
        """Empty scores for the windows of the next video."""
        return ScoredWindows(self.classifier, self.classes, batch_size or self.batch_size)

    def label(self, scored: ScoredWindows, seconds: float) -> dict[str, Any]:
        """Report labels, classes and segments of a video as a dict for JSON."""
        return label_video(scored, seconds, self.classes, self.thresholds, self.rules)


def open_window_model(config: RunConfig, options: PredictOptions) -> WindowModel:
    """Load and rehearse the model, with the rules for its labels."""
    model = find_model(config)
    spec = config.spec(model.spec)
    model.check(spec)
    rules = Rules(options.threshold, options.share, options.top_n, options.include_clips)
    thresholds = find_thresholds(model, rules.threshold)
    load = partial(model.load, config.runtime)
    return WindowModel(
        classifier=rehearsed(load, spec, model.classes),
        classes=model.classes,
        spec=spec,
        batch_size=config.batch_size or default_batch_size(spec.views_bytes),
        thresholds=thresholds,
        rules=rules,
        facts=describe_request(model, spec, config.precision, thresholds, rules),
    )


def predict_file(video: Path, decoder: WindowDecoder, model: WindowModel) -> dict[str, Any]:
    """Report the results of one video, or why it cannot be predicted, as a dict for JSON."""
    # A name that is not UTF-8 is written with escapes: JSON and CSV cannot store it.
    shown = str(video).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    scored = model.scores()
    try:
        footage = decoder.windows(video, scored.add)
    except VideoError as error:
        return {"video": shown, "failed": str(error)}
    scored.flush()
    remarks = {"damage": footage.damage, "note": footage.note}
    return (
        describe_windows(shown, scored, footage.seconds, footage.grid)
        | {name: text for name, text in remarks.items() if text}
        | model.label(scored, footage.seconds)
    )


def describe_windows(
    video: str, scored: ScoredWindows, seconds: float, grid: Grid
) -> dict[str, Any]:
    """Length of a video and of its windows, as a dict for JSON."""
    return {
        "video": video,
        "seconds": round(seconds, 3),
        "window_seconds": round(grid.window_seconds, 3),
        "step_seconds": round(grid.step_seconds, 3),
        "windows": len(scored),
    }
