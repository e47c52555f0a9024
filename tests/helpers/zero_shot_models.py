"""Small random CLIP, SigLIP and X-CLIP models in folders, as transformers writes them."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

SIZE = 32
MEAN, STD = [0.48, 0.46, 0.41], [0.27, 0.26, 0.28]
NUM_FRAMES = 4
"""Of X-CLIP."""

TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 77,
    "projection_dim": 24,
}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": SIZE,
    "patch_size": 8,
    "projection_dim": 24,
}


PROCESSORS = {
    "clip": ("CLIPImageProcessorPil", "CLIPProcessor"),
    "siglip": ("SiglipImageProcessorPil", "SiglipProcessor"),
    "xclip": ("VideoMAEImageProcessorPil", "XCLIPProcessor"),
}


def save_model(folder: Path, kind: str, seed: int = 0) -> Path:
    """A model of this kind, ``clip``, ``siglip`` or ``xclip``, with its tokenizer and processor.

    The processor is written by its own ``save_pretrained``, as ``processor_config.json``.
    """
    import torch

    transformers: Any = importlib.import_module("transformers")
    torch.manual_seed(seed)
    special = save_tokenizer(folder)
    text = {**TEXT, **special}
    if kind == "clip":
        config = transformers.CLIPConfig(text_config=text, vision_config=VISION, projection_dim=24)
        model = transformers.CLIPModel(config)
    elif kind == "siglip":
        text = {**text, "max_position_embeddings": 64, "projection_size": 32}
        config = transformers.SiglipConfig(text_config=text, vision_config=VISION)
        model = transformers.SiglipModel(config)
    else:
        frames = {"num_frames": NUM_FRAMES, "mit_hidden_size": 24, "mit_num_attention_heads": 2}
        mit = {"mit_intermediate_size": 48, "mit_num_hidden_layers": 1, **frames}
        config = transformers.XCLIPConfig(
            text_config=text,
            vision_config={**VISION, **mit},
            projection_dim=24,
            prompt_num_attention_heads=2,
            prompt_alpha=0.5,
        )
        model = transformers.XCLIPModel(config)
    with torch.no_grad():
        for weights in model.parameters():  # the library's own are so small that scores are equal
            weights += 0.05 * torch.randn_like(weights)
    model.save_pretrained(folder)
    save_processor(folder, kind)
    return folder


def save_processor(folder: Path, kind: str, **changes: Any) -> None:
    """Writes ``processor_config.json`` into a folder that has a tokenizer.

    Args:
        folder: It may have a processor already.
        kind: As :func:`save_model` takes it.
        **changes: Of the processor for images.
    """
    transformers: Any = importlib.import_module("transformers")
    square = {"height": SIZE, "width": SIZE}
    values: dict[str, Any] = {"image_mean": MEAN, "image_std": STD, "size": square}
    if kind != "siglip":
        values |= {"size": {"shortest_edge": SIZE}, "crop_size": square}
    images, whole = PROCESSORS[kind]
    tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
    processor = getattr(transformers, images)(**values | changes)
    getattr(transformers, whole)(processor, tokenizer).save_pretrained(folder)


def save_tokenizer(folder: Path) -> dict[str, int]:
    """CLIP's tokenizer with bytes and five merges for its vocabulary; the numbers of its ends."""
    from tokenizers.pre_tokenizers import ByteLevel

    transformers: Any = importlib.import_module("transformers")
    letters = sorted(ByteLevel.alphabet())
    merges = [("i", "n"), ("in", "g</w>"), ("o", "f</w>"), ("m", "o"), ("mo", "v")]
    words = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges)]
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(words))}
    begin, end = len(vocabulary), len(vocabulary) + 1
    vocabulary |= {"<|startoftext|>": begin, "<|endoftext|>": end}
    tokenizer = transformers.CLIPTokenizer(vocab=vocabulary, merges=merges)
    tokenizer.save_pretrained(folder)
    return {
        "vocab_size": end + 1,
        "bos_token_id": begin,
        "eos_token_id": end,
        "pad_token_id": end,
    }
