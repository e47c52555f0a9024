"""Whether a model gives the logits that its authors published, in the range that vidbench feeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ConfigError, ModelError
from vidbench.models._files.signature import read_signature
from vidbench.models._golden.record import FloatClip, Golden, require_clip
from vidbench.models._tensorflow.frozen import PixelRange, serving_function
from vidbench.models._tensorflow.imports import import_tensorflow
from vidbench.models.saved_model import SavedModelLoader
from vidbench.system.runtime import Runtime

LOGIT_TOLERANCE = 1e-2
"""Of each published logit. The input is the published array, so only arithmetic may differ.

Measured on I3D with random weights, 79 frames, logits up to 21: 1e-4 between TensorFlow's two CPU
libraries, 15 between the two ranges. Of the published two-stream logits another machine's are
within 2e-5 (issue 68 of google-deepmind/kinetics-i3d).
"""

NORM_TOLERANCE = 1e-4
"""Of the norm of all logits, relative."""

PROBABILITY_TOLERANCE = 1e-2
"""Of the winner's probability, from pixels that were rounded to uint8."""

_ORDERED = 5  # so many of the largest logits must be in the published order


@dataclass(frozen=True)
class Trial:
    """What the SavedModel's own signature gives of the golden clip in one range of values.

    Attributes:
        golden: What was published.
        pixel_range: What black and white were in the input.
        norm: Euclidean norm of all logits.
        logits: Of the classes of ``golden.top``, in their order.
        winners: The classes of the largest logits, in descending order.
    """

    golden: Golden
    pixel_range: PixelRange
    norm: float
    logits: tuple[float, ...]
    winners: tuple[str, ...]

    @property
    def differences(self) -> tuple[float, ...]:
        """Found minus published logit, in the order of ``golden.top``."""
        return tuple(
            found - score.logit for found, score in zip(self.logits, self.golden.top, strict=True)
        )

    @property
    def largest_difference(self) -> float:
        """Of a published logit, without its sign."""
        return max(map(abs, self.differences))

    @property
    def in_order(self) -> bool:
        """Whether the first five classes are the published ones, in their order."""
        return self.winners == tuple(score.label for score in self.golden.top[:_ORDERED])

    @property
    def agrees(self) -> bool:
        """Whether norm, logits and order are as published, within the tolerances."""
        return (
            abs(self.norm / self.golden.norm - 1) <= NORM_TOLERANCE
            and self.largest_difference <= LOGIT_TOLERANCE
            and self.in_order
        )


@dataclass(frozen=True)
class Verification:
    """A model beside what its authors published.

    Attributes:
        model: Its name.
        golden: What was published.
        fed: The range in which vidbench feeds pixels to it.
        trials: Its signature in each plausible range: as published, and as vidbench feeds it.
        winner: The class that ``predict`` gives the clip, rounded to uint8.
        probability: Of that class.
    """

    model: str
    golden: Golden
    fed: PixelRange
    trials: tuple[Trial, ...]
    winner: str
    probability: float

    @property
    def best(self) -> Trial:
        """The trial that is closest to the published logits."""
        return min(self.trials, key=lambda trial: trial.largest_difference)

    @property
    def predicts(self) -> bool:
        """Whether ``predict`` finds the published winner with about the published probability."""
        published = self.golden.top[0]
        close = abs(self.probability - published.probability) <= PROBABILITY_TOLERANCE
        return self.winner == published.label and close

    @property
    def agrees(self) -> bool:
        """Whether the range that vidbench feeds gives what was published, in ``predict`` too."""
        return self.predicts and any(t.agrees and t.pixel_range == self.fed for t in self.trials)

    @property
    def verdict(self) -> str:
        """One sentence."""
        best, fed = show_range(self.best.pixel_range), show_range(self.fed)
        if self.agrees:
            return f"agrees: input in {fed}, which vidbench feeds, gives the published logits"
        if not self.best.agrees:
            return (
                f"differs: no range gives the published logits; {best} is closest, "
                f"up to {self.best.largest_difference:.4g} away"
            )
        if self.best.pixel_range != self.fed:
            return f"differs: {best} gives the published logits, but vidbench feeds {fed}"
        return (
            f"differs: the signature gives the published logits, but predict gives "
            f"{self.winner!r} {self.probability:.4g}"
        )

    def as_dict(self) -> dict[str, Any]:
        """All of it, in numbers, text and lists."""
        return {
            "model": self.model,
            "clip": self.golden.clip,
            "source": self.golden.source,
            "published_norm": self.golden.norm,
            "tolerances": {
                "logit": LOGIT_TOLERANCE,
                "norm_relative": NORM_TOLERANCE,
                "probability": PROBABILITY_TOLERANCE,
            },
            "fed": list(self.fed),
            "trials": [_trial_dict(trial) for trial in self.trials],
            "predicted": {"class": self.winner, "probability": self.probability},
            "published": {
                "class": self.golden.top[0].label,
                "probability": self.golden.top[0].probability,
            },
            "agrees": self.agrees,
            "verdict": self.verdict,
        }


def verify(
    model: SavedModelLoader, clip: FloatClip, golden: Golden, *, cache_dir: Path | None = None
) -> Verification:
    """What the model gives of the golden clip, beside what was published.

    Args:
        model: A SavedModel that gives logits; loaded here, once as it was saved, once to predict.
        clip: The clip's values, in ``golden.pixel_range``.
        golden: What was published.
        cache_dir: Where models made ready to run are kept; None for nowhere.

    Raises:
        ConfigError: The clip is another one, or the model takes no such clip, or has other classes.
        ModelError: The weights cannot be found, or give no finite logits.
    """
    require_clip(clip, golden)
    model.check(PreprocessSpec(num_frames=golden.shape[1], crop_size=golden.shape[2]))
    published = golden.pixel_range
    logits = _own_logits(model)
    trials = tuple(
        compare_logits(logits(_rescaled(clip, published, to)), model.classes, golden, to)
        for to in dict.fromkeys((published, model.pixel_range))
    )
    del logits  # and the weights with it
    pixels = np.rint(_rescaled(clip, published, (0.0, 255.0))).astype(np.uint8)
    (scores,) = model.load(Runtime(cache_dir=cache_dir)).predict(pixels)
    winner = int(scores.argmax())
    return Verification(
        model.name, golden, model.pixel_range, trials, model.classes[winner], float(scores[winner])
    )


def compare_logits(
    logits: NDArray[np.float32], classes: Sequence[str], golden: Golden, pixel_range: PixelRange
) -> Trial:
    """Logits (classes,), found with input in this range, beside the published ones.

    Raises:
        ConfigError: The model does not know a published class.
    """
    unknown = [score.label for score in golden.top if score.label not in classes]
    if unknown:
        raise ConfigError(f"the model has no class {unknown[0]!r}, of which a logit was published")
    descending = np.argsort(-logits, kind="stable")
    return Trial(
        golden,
        pixel_range,
        norm=float(np.linalg.norm(logits.astype(np.float64))),
        logits=tuple(float(logits[classes.index(score.label)]) for score in golden.top),
        winners=tuple(classes[i] for i in descending[: min(_ORDERED, len(golden.top))]),
    )


def show_range(pixel_range: PixelRange) -> str:
    """E.g. ``[-1, 1]``."""
    low, high = pixel_range
    return f"[{low:g}, {high:g}]"


def _own_logits(model: SavedModelLoader) -> Callable[[FloatClip], NDArray[np.float32]]:
    """The SavedModel's own signature: a clip that is scaled already to logits, (classes,)."""
    folder, num_classes = model.weights.folder, len(model.classes)
    tf = import_tensorflow()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    entry = read_signature(folder)
    module = serving_function(folder, model.pixel_range).module

    def run(clip: FloatClip) -> NDArray[np.float32]:
        found = module.signatures[entry.name](**{entry.input_name: tf.constant(clip)})
        logits = np.asarray(found[entry.output_name], np.float32).reshape(-1)
        if len(logits) != num_classes or not np.isfinite(logits).all():
            raise ModelError(f"{folder} gave {len(logits)} logits, not {num_classes} finite ones")
        return logits

    return run


def _rescaled(clip: FloatClip, old: PixelRange, new: PixelRange) -> FloatClip:
    """The values moved from one range to another."""
    if new == old:
        return clip
    scale = (new[1] - new[0]) / (old[1] - old[0])
    return ((clip - np.float32(old[0])) * np.float32(scale) + np.float32(new[0])).astype(np.float32)


def _trial_dict(trial: Trial) -> dict[str, Any]:
    scores = zip(trial.golden.top, trial.logits, trial.differences, strict=True)
    return {
        "range": list(trial.pixel_range),
        "norm": trial.norm,
        "largest_difference": trial.largest_difference,
        "in_order": trial.in_order,
        "agrees": trial.agrees,
        "classes": [
            {"class": score.label, "published": score.logit, "found": found, "difference": away}
            for score, found, away in scores
        ],
    }
