"""Identity of a run with another program's predictions: its name and its signature."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import vidbench
from vidbench.metrics.ranking import name_evidence
from vidbench.runs.coverage import digest_videos
from vidbench.storage.files import plain_name


@dataclass(frozen=True, kw_only=True)
class ForeignIdentity:
    """Equal identities mean equal predictions; see :class:`~vidbench.runs.identity.Identity`.

    Attributes:
        model: Name of the model, given by the user.
        file: Name of the file of predictions.
        sha256: SHA-256 of the file's content.
        dataset: E.g. ``kinetics-400``.
        split: E.g. ``val``.
        video_ids: The requested videos, in order.
        labels: How the dataset's labels were matched with the predicted classes.
        classes: All classes of the model, in order.
        choices: Classes to choose from; empty for all.
        evidence: Kind of the predictions, one of :data:`~vidbench.metrics.ranking.EVIDENCE`.
        how: How they were converted, in a few words; empty if they were used unchanged.
    """

    model: str
    file: str
    sha256: str
    dataset: str
    split: str
    video_ids: tuple[str, ...]
    labels: str
    classes: tuple[str, ...]
    choices: tuple[str, ...]
    evidence: str
    how: str = ""

    spec_digest = None

    def digest(self) -> str:
        """8 hexadecimal digits of a hash of everything except the file's name."""
        decisive = self.as_dict() | {"video_ids": self.video_ids, "classes": self.classes}
        del decisive["file"]
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:8]

    def run_name(self) -> str:
        """Name of the run's folder: model, dataset, split, number of videos and digest."""
        model = plain_name(self.model) or "predictions"
        data = f"{self.dataset}-{self.split}".replace("/", "-")
        return f"{model}_{data}_{len(self.video_ids)}_{self.digest()}"

    def signature(self) -> str:
        """One line that describes a result, with ``{evaluated}`` for the number of videos."""
        choices = f", {len(self.choices)} to choose from" if self.choices else ""
        how = f" ({self.how})" if self.how else ""
        return " | ".join(
            [
                f"{self.model}, not run by vidbench: {self.file} {self.sha256[:16]}",
                f"{self.dataset}/{self.split}",
                f"{{evaluated}} of {len(self.video_ids)} videos {digest_videos(self.video_ids)}",
                f"{self.labels}{choices}",
                f"{name_evidence(self.evidence)}{how}",
                f"vidbench {vidbench.__version__}",
            ]
        )

    def as_dict(self) -> dict[str, Any]:
        """For ``run.json``: everything except videos and classes, under the names of every run."""
        return {
            "model": self.model,
            "weights": self.sha256[:16],
            "file": self.file,
            "sha256": self.sha256,
            "dataset": self.dataset,
            "split": self.split,
            "precision": "unknown",
            "labels": self.labels,
            "choices": list(self.choices),
            "evidence": self.evidence,
            "how": self.how,
        }
