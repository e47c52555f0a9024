"""What the stages share: videos, the I3D network, working folders, and which goals count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.clips import found_clips, made_clips
from benchmarks.machine import cpu_flags
from vidbench.data.records import Views
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.decode import decode_views
from vidbench.models._tensorflow.imports import import_tensorflow
from vidbench.models.base import Classifier
from vidbench.models.i3d import I3DLoader
from vidbench.system.runtime import Runtime

SPEC = PreprocessSpec()
BATCH_SIZE = 4


class Clips(NamedTuple):
    """Videos, and what they are called in the table."""

    case: str
    paths: list[Path]


@dataclass
class Workspace:
    """Where things are.

    Attributes:
        out: Results, and what the next run takes as it is: made videos, the I3D network.
        temporary: Working files; removed afterwards.
        given: Folder of videos that take the place of made ones.
        rounds: Measurements of each case.
        smoke: Everything small, for a test: no goal counts.
    """

    out: Path
    temporary: Path
    given: Path | None
    rounds: int
    smoke: bool
    _classifiers: dict[str, Classifier] = field(default_factory=dict)

    def goal(self, text: str, *, when: bool = True) -> str:
        """The goal, or nothing where it does not count."""
        return text if when and not self.smoke else ""

    @property
    def has_amx(self) -> bool:
        """Whether the CPU multiplies matrices of bfloat16, without which bf16 gains little."""
        return "amx_bf16" in cpu_flags()

    def clips(self, count: int | None = 24) -> Clips:
        """So many of the given videos, or as many made ones of 340x256; None for all there are."""
        if self.given is not None:
            return Clips("given clips", found_clips(self.given)[:count])
        return self._made(340, 256, count or 24)

    def large_clips(self) -> Clips | None:
        """Four made videos of 1280x720; None where videos are given."""
        return None if self.given is not None else self._made(1280, 720, 4)

    def _made(self, width: int, height: int, count: int) -> Clips:
        count, seconds = (2, 1) if self.smoke else (count, 10)
        return Clips(
            f"{width}x{height}",
            made_clips(self.out / "clips", width, height, count, seconds),
        )

    def views(self, paths: Sequence[Path]) -> Views:
        """The decoded clips as one array."""
        return np.stack([decode_views(path, SPEC)[0] for path in paths])

    def i3d(self) -> Path:
        """The SavedModel of I3D with random weights."""
        path = self.out / "i3d"
        if not path.exists():
            import_tensorflow()
            from benchmarks.i3d import save_tf2

            save_tf2(self.temporary / "i3d").rename(path)
        return path

    def classifier(self, precision: str) -> Classifier:
        """I3D on the CPU, loaded once."""
        if precision not in self._classifiers:
            model = I3DLoader(model_path=str(self.i3d()))
            self._classifiers[precision] = model.load(
                Runtime(precision=precision, device="cpu", cache_dir=self.out)
            )
        return self._classifiers[precision]
