"""What decides a run's predictions, as the name of its folder and as its signature."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Protocol

import vidbench
from vidbench.data.records import FrameFolder
from vidbench.data.spec import PIXELS_VERSION, PreprocessSpec
from vidbench.runs.coverage import digest_videos

UNKNOWN = "unknown"
"""What stands in a run for what only the model knows, such as the views of a video."""


class Identity(Protocol):
    """What decides the predictions in a run's folder, whoever made them."""

    @property
    def spec_digest(self) -> str | None:
        """Of what was done to pixels; None where that is not known."""
        ...

    def digest(self) -> str:
        """8 hexadecimal digits of all of it."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """All but the videos themselves, for ``run.json``."""
        ...


@dataclass(frozen=True, kw_only=True)
class RunIdentity:
    """Equal identities, equal predictions; batch size, workers and paths are no part of it.

    Attributes:
        model: ``family`` or ``family/variant``.
        weights: Digest of the weights' content and of the class list.
        dataset: E.g. ``kinetics-400``.
        split: E.g. ``val``.
        spec: What is done to pixels; None where the model reads the files of videos itself.
        video_ids: The requested videos, in order.
        precision: Of the model's arithmetic.
        labels: How the dataset's labels were matched with the model's classes.
        choices: Classes that the model may choose from; empty for all of its own.
        truncated: What truncated videos do, ``skip`` or ``score``.
        frames: Rates and counts of the videos that are folders of frames, in order, as far as
            they are known.
    """

    model: str
    weights: str
    dataset: str
    split: str
    spec: PreprocessSpec | None
    video_ids: tuple[str, ...]
    precision: str = "fp32"
    labels: str = ""
    choices: tuple[str, ...] = ()
    truncated: str = "skip"
    frames: tuple[FrameFolder, ...] = ()

    @property
    def spec_digest(self) -> str | None:
        """Of what is done to pixels; None where that is up to the model."""
        return self.spec.digest() if self.spec else None

    @property
    def views(self) -> str:
        """Clips x crops, e.g. ``10x3``."""
        return self.spec.views_name if self.spec else UNKNOWN

    def digest(self) -> str:
        """8 hexadecimal digits of all of it."""
        decisive = self.as_dict() | {"video_ids": self.video_ids}
        return _digest(json.dumps(decisive, sort_keys=True))

    def run_name(self) -> str:
        """Name of the run's folder: model, dataset and split, count, digest."""
        data = f"{self.dataset}-{self.split}"
        name = f"{self.model}_{data}_{len(self.video_ids)}_{self.digest()}"
        return name.replace("/", "-")

    def signature(self) -> str:
        """One line that says what a number is of, with ``{evaluated}`` for the count of videos."""
        choices = f", {len(self.choices)} to choose from" if self.choices else ""
        return " | ".join(
            [
                f"{self.model} {self.weights}",
                f"{self.dataset}/{self.split}",
                f"{{evaluated}} of {len(self.video_ids)} videos {digest_videos(self.video_ids)}",
                f"{self.labels}{choices}",
                *self._sign_input(),
            ]
        )

    def _sign_input(self) -> list[str]:
        """What of the signature says how videos reach the model."""
        version, spec = f"vidbench {vidbench.__version__}", self.spec
        if spec is None:
            return ["video files, read by the model", version]
        return [
            f"{spec.describe()} {spec.digest()}"
            + (", truncated scored" if self.truncated == "score" else "")
            + (f", frames {self._frames_digest()}" if self._frames_digest() else ""),
            f"{spec.views_name} view" + "s" * (spec.num_views > 1),
            self.precision,
            f"{version} pixels {PIXELS_VERSION}",
        ]

    def as_dict(self) -> dict[str, Any]:
        """All but the videos themselves, for ``run.json``."""
        known: dict[str, Any] = {
            "model": self.model,
            "weights": self.weights,
            "dataset": self.dataset,
            "split": self.split,
            **self._describe_input(),
            "labels": self.labels,
            "choices": list(self.choices),
        }
        # Named only where it is asked for: what came later renames no older run.
        later = {} if self.truncated == "skip" else {"truncated": self.truncated}
        if told := self._frames_digest():
            later["frames"] = told
        return known | later

    def _describe_input(self) -> dict[str, Any]:
        if self.spec is None:
            return {"input": "files", "precision": UNKNOWN}
        return {
            "spec": self.spec.canonical(),
            "pixels_version": PIXELS_VERSION,
            "precision": self.precision,
        }

    def _frames_digest(self) -> str:
        """Of rates and counts; empty where none is known."""
        return _digest(json.dumps(self.frames)) if any(map(any, self.frames)) else ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
