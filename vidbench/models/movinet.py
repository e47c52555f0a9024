"""MoViNet A0 to A5 from TF Hub, base and streaming, Kinetics-600, Kondratyuk et al. 2021.

Names, sizes and accuracies are those of the TensorFlow Model Garden's page, see :data:`REFERENCE`,
frame rates and the range of pixels those of TF Hub's pages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ConfigError
from vidbench.models._files.fit import require_fit
from vidbench.models._tensorflow.frozen import PixelRange
from vidbench.models._tensorflow.streaming import StreamClassifier, read_stream_signature
from vidbench.models._tensorflow.weights import HubModel, HubModule
from vidbench.models.base import ModelEntry, ModelFamily
from vidbench.models.saved_model import SavedModelLoader
from vidbench.system.runtime import Runtime

REFERENCE = "https://github.com/tensorflow/models/tree/master/official/projects/movinet"

Mode = Literal["base", "stream"]


@dataclass(frozen=True, kw_only=True)
class Variant(HubModule):
    """A published set of weights.

    Attributes:
        mode: ``base`` takes a whole clip, ``stream`` one frame after another.
        spec: The protocol of the accuracies.
        top1: Top-1 accuracy on Kinetics-600 val with one view, 0 to 1.
        top5: Top-5 accuracy, likewise.
        classes: Its class list. The Model Garden's ``kinetics_600_labels.txt`` has as many lines
            and bytes, and its tutorial says that output 465 is ``skiing crosscountry``, as here.
        pixel_range: Range of scaled pixels.
    """

    mode: Mode
    spec: PreprocessSpec
    top1: float
    top5: float
    classes: str = "kinetics-600"
    pixel_range: PixelRange = (0.0, 1.0)

    @property
    def published(self) -> str:
        """Dataset and protocol of the accuracies."""
        size = self.spec.crop_size
        return (
            f"Kinetics-600 val, 1 view, {self.spec.num_frames} frames at {self.spec.fps:g} fps, "
            f"{size}x{size}{', frame by frame' if self.mode == 'stream' else ''}"
        )


def _protocol(num_frames: int, fps: float, short_side: int, crop_size: int) -> PreprocessSpec:
    """The protocol of the Model Garden's configurations: one clip from the middle of a video.

    They use every 5th frame (A0 to A2), 2nd (A3, A5) or 3rd (A4) of probably 25 per second, i.e.
    5, 12.5 and 8.3 fps; TF Hub's pages state 5, 12 and 8, as here. A video that is too short
    is repeated, as in ``sample_sequence`` of the Model Garden's ``preprocess_ops_3d.py``; its
    ``resize_smallest`` is bilinear without anti-aliasing, and rounds the longer side down.
    """
    return PreprocessSpec(
        num_frames=num_frames,
        sampling="center",
        fps=fps,
        resize_type="short_side",
        short_side=short_side,
        side_rounding="down",
        crop_size=crop_size,
        too_short="loop",
    )


def _variant(
    size: str, mode: Mode, spec: PreprocessSpec, top1: float, top5: float
) -> tuple[str, Variant]:
    module = f"tensorflow/movinet/{size}/{mode}/kinetics-600/classification/3"
    kaggle_version = {"base": 3, "stream": 2}[mode]  # TF Hub's streams have no version 1
    variation = f"{size}-{mode}-kinetics-600-classification"
    return f"{size}-{mode}", Variant(
        mode=mode,
        hub_handle=f"https://tfhub.dev/{module}",
        kaggle_handle=f"google/movinet/tensorFlow2/{variation}/{kaggle_version}",
        archive_url=f"https://storage.googleapis.com/tfhub-modules/{module}.tar.gz",
        spec=spec,
        top1=top1,
        top5=top5,
    )


_A0 = _A1 = _protocol(50, 5.0, 192, 172)
_A2 = _protocol(50, 5.0, 256, 224)
_A3 = _protocol(120, 12.0, 288, 256)
_A4 = _protocol(80, 8.0, 320, 290)
_A5 = _protocol(120, 12.0, 368, 320)

VARIANTS: Mapping[str, Variant] = MappingProxyType(
    dict(
        (
            _variant("a0", "base", _A0, 0.7228, 0.9092),
            _variant("a1", "base", _A1, 0.7669, 0.9340),
            _variant("a2", "base", _A2, 0.7862, 0.9417),
            _variant("a3", "base", _A3, 0.8179, 0.9567),
            _variant("a4", "base", _A4, 0.8348, 0.9616),
            _variant("a5", "base", _A5, 0.8427, 0.9639),
            _variant("a0", "stream", _A0, 0.7205, 0.9063),
            _variant("a1", "stream", _A1, 0.7645, 0.9325),
            _variant("a2", "stream", _A2, 0.7840, 0.9405),
            _variant("a3", "stream", _A3, 0.8009, 0.9484),
            _variant("a4", "stream", _A4, 0.8149, 0.9566),
            _variant("a5", "stream", _A5, 0.8237, 0.9579),
        )
    )
)

FAMILY = ModelFamily(
    name="movinet",
    entries=tuple(
        ModelEntry(
            name=f"movinet/{name}",
            source="TF Hub, Kaggle",
            classes=variant.classes,
            top1=variant.top1,
            top5=variant.top5,
            published=variant.published,
            reference=REFERENCE,
        )
        for name, variant in VARIANTS.items()
    ),
    needs="tensorflow",
    variants=tuple(VARIANTS),
)


def load(variant: str, *, model_path: str | None = None) -> MoViNetLoader | MoViNetStreamLoader:
    """MoViNet ``a0-base`` to ``a5-base``, or ``a0-stream`` to ``a5-stream``.

    Raises:
        ConfigError: There is no such variant.
    """
    if variant not in VARIANTS:
        raise ConfigError(f"movinet has no variant {variant!r}, only {', '.join(VARIANTS)}")
    return _LOADERS[VARIANTS[variant].mode](variant, model_path=model_path)


class _Published(HubModel):
    """Base of both modes.

    Args:
        variant: One of :data:`VARIANTS`.
        model_path: Use the weights in this folder, archive or TF Hub handle only.
    """

    def __init__(self, variant: str, *, model_path: str | None = None) -> None:
        record = VARIANTS[variant]
        self.name, self.spec = f"movinet/{variant}", record.spec
        self.trained_on = record.classes
        self.pixel_range = record.pixel_range
        self._module, self._model_path = record, model_path


class MoViNetLoader(_Published, SavedModelLoader):
    """A MoViNet that takes whole clips; constructing it does no I/O."""


class MoViNetStreamLoader(_Published):
    """A MoViNet that takes one frame after another; constructing it does no I/O."""

    def check(self, spec: PreprocessSpec) -> None:
        """Check that frames with this spec and the class list fit the model's signatures.

        Raises:
            ConfigError: They do not fit, or the model is not a streaming one.
        """
        folder = self.weights.folder
        require_fit(folder, read_stream_signature(folder).scores, spec, len(self.classes))

    def digest(self) -> str:
        """16 hexadecimal digits of the weights' content and the class list."""
        text = "\n".join([self.weights.digest(), *self.classes])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def load(self, runtime: Runtime = Runtime()) -> StreamClassifier:
        """Load the model; ``cache_dir`` is not used."""
        return StreamClassifier(self.weights, runtime, pixel_range=self.pixel_range)


_LOADERS: Mapping[Mode, type[MoViNetLoader] | type[MoViNetStreamLoader]] = MappingProxyType(
    {"base": MoViNetLoader, "stream": MoViNetStreamLoader}
)
