"""X-CLIP: CLIP for videos, whose frames see one another and whose prompts see the video.

Ni et al. 2022 (arXiv:2208.02816). What it makes of a prompt depends on the video, so that only
what comes before is kept: the video's embedding, and those of its patches.
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import Any

from vidbench.data.records import Views
from vidbench.models._huggingface.prompts import CLASS_NAME
from vidbench.models._huggingface.towers import Array, ZeroShotClassifier
from vidbench.models._huggingface.zero_shot import HUB, ZeroShotFamily, ZeroShotModel
from vidbench.models.base import ModelEntry

_REFERENCE = "https://github.com/microsoft/VideoX/tree/master/X-CLIP"


def _trained(name: str, dataset: str, frames: int, top1: float, top5: float) -> ModelEntry:
    """The entry of a checkpoint that was trained on the classes of its published number."""
    side = 336 if name == "large-patch14-16-frames" else 224
    return ModelEntry(
        name=f"xclip/{name}",
        source=f"{HUB}microsoft/xclip-{name}",
        classes="--prompts",
        top1=top1,
        top5=top5,
        published=f"{dataset} val, {frames} frames, 4x3 views, {side}x{side}",
        reference=_REFERENCE,
    )


_ENTRIES = (
    ModelEntry(name="xclip", source="--model_path", classes="--prompts"),
    _trained("base-patch32", "kinetics-400", 8, 0.804, 0.950),
    _trained("base-patch32-16-frames", "kinetics-400", 16, 0.811, 0.955),
    _trained("base-patch16", "kinetics-400", 8, 0.838, 0.957),
    _trained("base-patch16-16-frames", "kinetics-400", 16, 0.847, 0.968),
    _trained("large-patch14", "kinetics-400", 8, 0.871, 0.976),
    _trained("large-patch14-16-frames", "kinetics-400", 16, 0.877, 0.974),
    _trained("base-patch16-kinetics-600", "kinetics-600", 8, 0.853, 0.971),
    _trained("base-patch16-kinetics-600-16-frames", "kinetics-600", 16, 0.858, 0.973),
    _trained("large-patch14-kinetics-600", "kinetics-600", 8, 0.883, 0.977),
    ModelEntry(
        name="xclip/base-patch16-zero-shot",
        source=f"{HUB}microsoft/xclip-base-patch16-zero-shot",
        classes="--prompts",
        top1=0.652,
        published="zero-shot on the classes of Kinetics-600 that Kinetics-400 lacks, 32 frames; "
        "UCF101 72.0 %, HMDB51 44.6 %",
        reference=_REFERENCE,
    ),
)


class XClipClassifier(ZeroShotClassifier):
    """All frames at once; prompts are changed by the video before they are compared with it."""

    def embed_clip(self, clip: Views) -> Array:
        """The video's embedding, then those of its patches, (1 + patches, dimensions).

        The patches are the means over frames that ``XCLIPModel.forward`` gives its generator of
        prompts.
        """
        model = self.network.model
        with self.network.inference():
            video = model.get_video_features(pixel_values=self.network.scaled(clip)[None])
            patches = model.prompts_visual_layernorm(video.last_hidden_state[:, 1:])
            patches = (patches @ model.prompts_visual_projection).mean(dim=0)
            return self.network.array(self._stack(video.pooler_output, patches))

    def _stack(self, video: Any, patches: Any) -> Any:
        return self.network.torch.cat([video.float(), patches.float()])

    def compare(self, features: Array) -> tuple[Array, Array]:
        with self.network.inference():
            texts = self.network.tensor(self.texts)[None]
            patches = self.network.tensor(features[1:])[None]
            texts = texts + self.network.model.prompts_generator(texts, patches)
        return features[0], self.network.array(texts[0])


def _trained_on(variant: str) -> str:
    return "kinetics-600" if "kinetics-600" in variant else "kinetics-400"


_ZERO_SHOT = ZeroShotFamily(
    name="xclip",
    entries=_ENTRIES,
    architectures=MappingProxyType({"xclip": "XCLIPModel"}),
    templates=CLASS_NAME,
    classifier=XClipClassifier,
    trained_on=_trained_on,
)

FAMILY = _ZERO_SHOT.declare()

load = partial(ZeroShotModel, _ZERO_SHOT)
