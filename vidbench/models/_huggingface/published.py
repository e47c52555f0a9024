"""Checkpoints of Hugging Face whose accuracy is published, and by which protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from vidbench.data.spec import PreprocessSpec
from vidbench.models._huggingface.processor import Scaling
from vidbench.models.base import ModelEntry


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One published checkpoint, and the protocol of its published accuracy.

    Attributes:
        source: Its name on Hugging Face; ``@refs/pr/5`` where its safetensors are, if they are
            not in the main revision.
        trained_on: The dataset whose train split it has seen.
        spec: The protocol, as far as views of one model can say it.
        classes: The list that ships with vidbench, for a checkpoint that only numbers them.
        scaling: Of pixels, where its own processor does not do what its authors did.
        top1: Published accuracy, 0 to 1.
        top5: Likewise; None where it is not published.
        reference: Where they stand.
        remark: What else the published number needs.
    """

    source: str
    trained_on: str
    spec: PreprocessSpec
    classes: str | None = None
    scaling: Scaling | None = None
    top1: float
    top5: float | None = None
    reference: str
    remark: str = ""


def describe(name: str, variant: Variant) -> ModelEntry:
    """What is known of it without its library and its weights."""
    spec = variant.spec
    views = (
        f"{variant.trained_on} val, {spec.num_frames} frames every {spec.frame_stride}, "
        f"{spec.views_name} views, short side {spec.short_side}, {spec.crop_size}x{spec.crop_size}"
    )
    return ModelEntry(
        name=f"huggingface/{name}",
        source=f"https://huggingface.co/{variant.source}",
        classes=variant.classes or "config.json",
        top1=variant.top1,
        top5=variant.top5,
        published="; ".join(filter(None, (views, variant.remark))),
        reference=variant.reference,
    )


def _views(
    num_frames: int, stride: int, clips: int, size: int, short_side: int | None = None
) -> PreprocessSpec:
    """Clips x 3 crops, the shorter side resized to ``short_side`` or else to the crop.

    Resized as the checkpoints' processors do it, so that the centre crop of ViT-like models is
    theirs pixel by pixel. V-JEPA 2's processor resizes to 8/7 of the crop: for one centre crop.
    """
    return PreprocessSpec(
        num_frames=num_frames,
        sampling="center" if clips == 1 else "dense",
        frame_stride=stride,
        num_clips=clips,
        resize_type="short_side",
        short_side=short_side or size,
        resize_filter="bilinear_antialias",
        side_rounding="down",
        crop_size=size,
        num_crops=3,
        too_short="repeat_last",
    )


def _videomae(size: str, top1: float, top5: float, revision: str = "") -> Variant:
    """16 frames, every 4th, 5 clips x 3 crops, short side 224: kinetics.py of the authors.

    Base and large have 1600 epochs, says their card, and an earlier state of the authors' table
    had these accuracies for them. Later it had 81.5 / 95.1 and 85.2 / 96.8 %.
    """
    return Variant(
        source=f"MCG-NJU/videomae-{size}-finetuned-kinetics{revision}",
        trained_on="kinetics-400",
        spec=_views(16, 4, 5, 224),
        top1=top1,
        top5=top5,
        reference="https://github.com/MCG-NJU/VideoMAE/blob/main/MODEL_ZOO.md",
    )


def _timesformer(release: str, top1: float, top5: float, revision: str) -> Variant:
    """8x32, 1 clip x 3 crops, short side 224.

    The authors' loader spreads the 8 frames over the first 256 of a video; here every 32nd is
    taken from its middle.
    """
    return Variant(
        source=f"facebook/timesformer-base-finetuned-k{release}{revision}",
        trained_on=f"kinetics-{release}",
        spec=_views(8, 32, 1, 224),
        top1=top1,
        top5=top5,
        reference="https://github.com/facebookresearch/TimeSformer",
    )


def _vjepa2(source: str, trained_on: str, spec: PreprocessSpec, top1: float) -> Variant:
    """Frames, step, segments x 3 views and size as in configs/inference of the authors."""
    return Variant(
        source=f"facebook/{source}",
        trained_on=trained_on,
        spec=spec,
        top1=top1,
        reference="https://github.com/facebookresearch/vjepa2",
        remark="the authors' probe sees all clips of a video at once, here scores are averaged",
    )


_VIVIT = Variant(
    source="google/vivit-b-16x2-kinetics400@refs/pr/3",
    trained_on="kinetics-400",
    # 32 frames, stride 2, 4 clips x 3 crops, short side 256, [-1, 1]: vivit_base_k400.py of the
    # authors. The processor on Hugging Face centres pixels twice, to [-3, 1].
    spec=_views(32, 2, 4, 224, short_side=256),
    scaling=Scaling(factor=1 / 127.5, offset=1.0),
    classes="kinetics-400",  # in this order: number 116 is eating spaghetti, as its example says
    top1=0.799,
    reference="https://github.com/google-research/scenic/tree/main/scenic/projects/vivit",
)

_SSV2 = "something-something-v2"

VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        "videomae-small": _videomae("small", 0.790, 0.938),
        "videomae-base": _videomae("base", 0.809, 0.947),
        "videomae-large": _videomae("large", 0.847, 0.965),
        "videomae-huge": _videomae("huge", 0.866, 0.971, "@refs/pr/1"),
        "timesformer-base-k400": _timesformer("400", 0.779, 0.932, "@refs/pr/5"),
        "timesformer-base-k600": _timesformer("600", 0.791, 0.944, "@refs/pr/7"),
        "vivit-b-16x2": _VIVIT,
        "vjepa2-large-ssv2": _vjepa2(
            "vjepa2-vitl-fpc16-256-ssv2", _SSV2, _views(16, 4, 2, 256), 0.737
        ),
        "vjepa2-giant-ssv2": _vjepa2(
            "vjepa2-vitg-fpc64-384-ssv2", _SSV2, _views(64, 2, 2, 384), 0.773
        ),
        "vjepa2-large-diving48": _vjepa2(
            "vjepa2-vitl-fpc32-256-diving48", "diving48", _views(32, 2, 4, 256), 0.890
        ),
        "vjepa2-giant-diving48": _vjepa2(
            "vjepa2-vitg-fpc32-384-diving48", "diving48", _views(32, 2, 4, 384), 0.902
        ),
    }
)
"""By what ``--model_type huggingface/...`` calls them."""
