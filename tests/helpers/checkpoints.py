"""Small networks of transformers with random weights, saved as Hugging Face has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ARCHITECTURES = ("VideoMAE", "Timesformer", "Vivit", "VJEPA2")

FRAMES = 4
SIZE = 32

PROCESSOR: dict[str, Any] = {
    "do_resize": True,
    "size": {"shortest_edge": 40},
    "do_center_crop": True,
    "crop_size": {"height": SIZE, "width": SIZE},
    "do_rescale": True,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
    "resample": 2,
}


def save_checkpoint(
    folder: Path, architecture: str, classes: tuple[str, ...] | int = ("a", "b", "c"), **shards: str
) -> Path:
    """The folder, which then holds ``config.json``, weights and ``preprocessor_config.json``.

    Args:
        folder: Made here.
        architecture: One of :data:`ARCHITECTURES`.
        classes: Their names, or how many there are without names.
        **shards: ``max_shard_size``, so that the weights lie in several files.
    """
    import torch
    import transformers

    torch.manual_seed(0)
    model = getattr(transformers, f"{architecture}ForVideoClassification")(
        _config(transformers, architecture, classes)
    )
    for weights in model.parameters():  # so large that no part of the network is without effect
        torch.nn.init.normal_(weights, std=0.2)
    model.save_pretrained(folder, **shards)
    write_json(folder / "preprocessor_config.json", PROCESSOR)
    return folder


def _config(transformers: Any, architecture: str, classes: tuple[str, ...] | int) -> Any:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    names: dict[str, Any] = {"num_labels": classes}
    if not isinstance(classes, int):
        names = {
            "id2label": dict(enumerate(classes)),
            "label2id": {name: index for index, name in enumerate(classes)},
        }
    if architecture == "VJEPA2":
        predictor = {
            "pred_hidden_size": 32,
            "pred_num_attention_heads": 2,
            "pred_num_hidden_layers": 1,
        }
        return transformers.VJEPA2Config(
            crop_size=SIZE,
            frames_per_clip=FRAMES,
            mlp_ratio=2.0,
            num_pooler_layers=1,
            **predictor,
            **sizes,
            **names,
        )
    clip = {"image_size": SIZE, "num_frames": FRAMES, "intermediate_size": 64}
    return getattr(transformers, f"{architecture}Config")(**clip, **sizes, **names)


def read_json(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text())
    assert isinstance(content, dict)
    return content


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def change_json(path: Path, **values: Any) -> None:
    """Values of None are taken out."""
    content = {**read_json(path), **values}
    write_json(path, {name: value for name, value in content.items() if value is not None})
