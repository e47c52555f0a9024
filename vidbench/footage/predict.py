"""A loaded model and the windows of a video become what is told of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from vidbench.config.opening import find_model
from vidbench.config.run_config import RunConfig
from vidbench.data.spec import PreprocessSpec
from vidbench.engines.scoring import rehearsed
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
    """A loaded model, and what is asked of it.

    Attributes:
        thresholds: (classes,), 0 to 1.
        facts: With what labels are made, for JSON.
    """

    classifier: Classifier
    classes: tuple[str, ...]
    spec: PreprocessSpec
    batch_size: int
    thresholds: Array
    rules: Rules
    facts: dict[str, Any]

    def scores(self, batch_size: int | None = None) -> ScoredWindows:
        """Those of a video that is to come."""
        return ScoredWindows(self.classifier, self.classes, batch_size or self.batch_size)

    def label(self, scored: ScoredWindows, seconds: float) -> dict[str, Any]:
        """What is told of a video."""
        return label_video(scored, seconds, self.classes, self.thresholds, self.rules)


def open_window_model(config: RunConfig, options: PredictOptions) -> WindowModel:
    """The loaded model, rehearsed, with the rules of its labels."""
    model = find_model(config)
    spec = config.spec(model.spec)
    model.check(spec)
    rules = Rules(options.threshold, options.share, options.top_n, options.include_clips)
    thresholds = find_thresholds(model, rules.threshold)
    load = partial(
        model.load,
        precision=config.precision,
        device=config.processor,
        num_threads=config.num_threads,
        cache_dir=config.cache_dir,
    )
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
    """What is told of one video, or why it cannot be predicted, for JSON."""
    # A name that is no UTF-8 is shown with escapes: JSON and CSV cannot hold it.
    shown = str(video).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    scored = model.scores()
    try:
        footage = decoder.windows(video, scored.add)
    except VideoError as error:
        return {"video": shown, "failed": str(error)}
    scored.flush()
    told = {"damage": footage.damage, "note": footage.note}
    return (
        describe_windows(shown, scored, footage.seconds, footage.grid)
        | {name: text for name, text in told.items() if text}
        | model.label(scored, footage.seconds)
    )


def describe_windows(
    video: str, scored: ScoredWindows, seconds: float, grid: Grid
) -> dict[str, Any]:
    """The length of a video and of its windows, for JSON."""
    return {
        "video": video,
        "seconds": round(seconds, 3),
        "window_seconds": round(grid.window_seconds, 3),
        "step_seconds": round(grid.step_seconds, 3),
        "windows": len(scored),
    }
