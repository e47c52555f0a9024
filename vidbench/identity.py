"""What decides a run's predictions, as the name of its folder and as its signature."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import vidbench
from vidbench.data.spec import PIXELS_VERSION, PreprocessSpec


@dataclass(frozen=True, kw_only=True)
class RunIdentity:
    """Equal identities, equal predictions; batch size, workers and paths are no part of it.

    Attributes:
        model: ``family`` or ``family/variant``.
        weights: Digest of the weights' content and of the class list.
        dataset: E.g. ``kinetics-400``.
        split: E.g. ``val``.
        spec: What is done to pixels.
        video_ids: The requested videos, in order.
        precision: Of the model's arithmetic.
    """

    model: str
    weights: str
    dataset: str
    split: str
    spec: PreprocessSpec
    video_ids: tuple[str, ...]
    precision: str = "fp32"

    def digest(self) -> str:
        """8 hexadecimal digits of all of it."""
        decisive = self.as_dict() | {"video_ids": self.video_ids}
        return _digest(json.dumps(decisive, sort_keys=True))

    def run_name(self) -> str:
        """Name of the run's folder: model, dataset and split, count, digest."""
        data = f"{self.dataset}-{self.split}"
        name = f"{self.model}_{data}_{len(self.video_ids)}_{self.digest()}"
        return name.replace("/", "-")

    def signature(self, evaluated: int) -> str:
        """One line that says what a number is of: model, videos, protocol, versions."""
        return " | ".join(
            [
                f"{self.model} {self.weights}",
                f"{self.dataset}/{self.split}",
                f"{evaluated} of {len(self.video_ids)} videos {self.videos_digest()}",
                f"{self.spec.describe()} {self.spec.digest()}",
                "1 view",
                self.precision,
                f"vidbench {vidbench.__version__} pixels {PIXELS_VERSION}",
            ]
        )

    def videos_digest(self) -> str:
        """8 hexadecimal digits of the set of requested videos, whatever their order."""
        return _digest("\n".join(sorted(self.video_ids)))

    def as_dict(self) -> dict[str, Any]:
        """All but the videos themselves, for ``run.json``."""
        return {
            "model": self.model,
            "weights": self.weights,
            "dataset": self.dataset,
            "split": self.split,
            "spec": self.spec.canonical(),
            "pixels_version": PIXELS_VERSION,
            "precision": self.precision,
        }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
