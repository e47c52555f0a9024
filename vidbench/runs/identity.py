"""Identity of a run: all that decides its predictions; makes its folder's name and signature."""

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
"""Recorded value of properties that only the model knows, such as the views of a video."""


class Identity(Protocol):
    """All that decides a run's predictions, whether vidbench or another program made them."""

    @property
    def spec_digest(self) -> str | None:
        """Digest of the preprocessing; None if it is unknown."""
        ...

    def digest(self) -> str:
        """Digest of the identity, 8 hexadecimal digits."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """The identity without the list of videos, for ``run.json``."""
        ...


@dataclass(frozen=True, kw_only=True)
class RunIdentity:
    """Identity of a run: equal identities mean equal predictions.

    Batch size, number of workers and paths are not part of it.

    Attributes:
        model: ``family`` or ``family/variant``.
        weights: Digest of the weights' content and of the class list.
        dataset: Name of the dataset, e.g. ``kinetics-400``.
        split: Name of the split, e.g. ``val``.
        spec: Preprocessing of clips; None if the model reads video files itself.
        video_ids: The requested videos, in order.
        precision: Precision of the model's arithmetic.
        labels: How the dataset's labels were matched with the model's classes.
        choices: Classes that the model may choose from; empty for all.
        truncated: Treatment of truncated videos, ``skip`` or ``score``.
        frames: Known rates and counts of videos that are folders of frames, in order.
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
        """Digest of the preprocessing; None if the model reads video files itself."""
        return self.spec.digest() if self.spec else None

    @property
    def views(self) -> str:
        """Clips x crops, e.g. ``10x3``."""
        return self.spec.views_name if self.spec else UNKNOWN

    def digest(self) -> str:
        """Digest of the identity, 8 hexadecimal digits."""
        decisive = self.as_dict() | {"video_ids": self.video_ids}
        return _digest(json.dumps(decisive, sort_keys=True))

    def run_name(self) -> str:
        """Name of the run's folder: model, dataset and split, number of videos, digest."""
        data = f"{self.dataset}-{self.split}"
        name = f"{self.model}_{data}_{len(self.video_ids)}_{self.digest()}"
        return name.replace("/", "-")

    def signature(self) -> str:
        """One line that identifies the metrics, with ``{evaluated}`` for the number of videos."""
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
        """Parts of the signature about preprocessing and versions."""
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
        """The identity without the list of videos, for ``run.json``."""
        content: dict[str, Any] = {
            "model": self.model,
            "weights": self.weights,
            "dataset": self.dataset,
            "split": self.split,
            **self._describe_input(),
            "labels": self.labels,
            "choices": list(self.choices),
        }
        # Newer keys are left out at their defaults, so that older runs keep their names.
        newer = {} if self.truncated == "skip" else {"truncated": self.truncated}
        if digest := self._frames_digest():
            newer["frames"] = digest
        return content | newer

    def _describe_input(self) -> dict[str, Any]:
        if self.spec is None:
            return {"input": "files", "precision": UNKNOWN}
        return {
            "spec": self.spec.canonical(),
            "pixels_version": PIXELS_VERSION,
            "precision": self.precision,
        }

    def _frames_digest(self) -> str:
        """Digest of rates and counts; empty if none is known."""
        return _digest(json.dumps(self.frames)) if any(map(any, self.frames)) else ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
