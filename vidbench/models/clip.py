"""CLIP and SigLIP: image and text towers, over evenly spaced frames; classes are prompts.

A video's embedding is the mean of its frames', each of length 1. Its score for a class is the
softmax of their cosine times the model's ``logit_scale``. SigLIP was trained with a sigmoid per
prompt; here its scores compete by the same softmax, in which its ``logit_bias`` cancels.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from vidbench.data.records import Views
from vidbench.models._huggingface.prompts import CLIP_TEMPLATES
from vidbench.models._huggingface.towers import Array, ZeroShotClassifier, unit
from vidbench.models._huggingface.zero_shot import HUB, ZeroShotFamily, ZeroShotModel
from vidbench.models.base import ModelEntry

_PUBLISHED: Mapping[str, Any] = {
    "vit-large-patch14": {
        "top1": 0.7639,
        "published": "UCF101, the centre frame alone; of Kinetics-400 64.47 % is published, which "
        "is the mean of top-1 and top-5 and no top-1",
        "reference": "https://arxiv.org/abs/2103.00020",
    }
}

_ENTRIES = (
    ModelEntry(name="clip", source="--model_path", classes="--prompts"),
    *(
        ModelEntry(
            name=f"clip/{variant}",
            source=f"{HUB}openai/clip-{variant}",
            classes="--prompts",
            **_PUBLISHED.get(variant, {}),
        )
        for variant in (
            *("vit-base-patch32", "vit-base-patch16", "vit-large-patch14"),
            "vit-large-patch14-336",
        )
    ),
)


class ClipClassifier(ZeroShotClassifier):
    """Embeds frames one by one, then averages them."""

    def embed_clip(self, clip: Views) -> Array:
        """Embedding of each frame by the image tower, (frames, dimensions), not normalized."""
        with self.network.inference():
            pixels = self.network.scaled(clip)
            frames = self.network.model.get_image_features(pixel_values=pixels).pooler_output
        return self.network.array(frames)

    def compare(self, features: Array) -> tuple[Array, Array]:
        return unit(features).mean(axis=0), self.texts


_ZERO_SHOT = ZeroShotFamily(
    name="clip",
    entries=_ENTRIES,
    architectures=MappingProxyType({"clip": "CLIPModel", "siglip": "SiglipModel"}),
    templates=CLIP_TEMPLATES,
    classifier=ClipClassifier,
    num_frames=8,
)

FAMILY = _ZERO_SHOT.declare()

load = partial(ZeroShotModel, _ZERO_SHOT)
