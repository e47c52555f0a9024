"""What a folder of Hugging Face says of its model: read as JSON, without any framework."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ConfigError
from vidbench.models._transformers import read_json

logger = logging.getLogger(__name__)

_CLASSIFIER = re.compile(r"\w+ForVideoClassification")
_UNNAMED = re.compile(r"LABEL_\d+")
_PROCESSORS = ("video_preprocessor_config.json", "preprocessor_config.json")
_BILINEAR = 2  # PIL's number


@dataclass(frozen=True)
class Scaling:
    """What becomes of a pixel: (pixel * factor - offset - mean) / std.

    Attributes:
        factor: E.g. 1/255.
        offset: 1 where the processor centres values so, as ViViT's does.
        mean: Of red, green and blue.
        std: Likewise.
    """

    factor: float = 1 / 255
    offset: float = 0.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Checkpoint:
    """A folder's ``config.json`` and its processor's.

    Attributes:
        folder: Where they lie.
        architecture: The class of transformers, e.g. ``VideoMAEForVideoClassification``.
        num_frames: Of a clip.
        image_size: Height and width of a frame, in pixels.
        classes: Names in the order of the scores; None where it only numbers them.
        num_classes: How many there are.
        spec: The processor's resizing and cropping, of frames spread over the whole video: no
            processor says which frames it is to be given.
        scaling: The processor's.
        text: All that decides scores, apart from the weights.
    """

    folder: Path
    architecture: str
    num_frames: int
    image_size: int
    classes: tuple[str, ...] | None
    num_classes: int
    spec: PreprocessSpec
    scaling: Scaling
    text: str


def read_checkpoint(folder: Path) -> Checkpoint:
    """What the folder says of its model.

    Raises:
        ConfigError: It holds no video classifier, or does not say how its frames are made.
    """
    config = read_json(folder / "config.json")
    if "transformers_weights" in config:
        raise ConfigError(f"{folder}/config.json names other weights than model.safetensors")
    processor = read_processor(folder)
    architecture = _architecture(folder, config)
    num_frames = _number(folder, config, "num_frames", "frames_per_clip")
    image_size = _number(folder, config, "image_size", "crop_size")
    names = _names(folder, config)
    return Checkpoint(
        folder=folder,
        architecture=architecture,
        num_frames=num_frames,
        image_size=image_size,
        classes=None if all(map(_UNNAMED.fullmatch, names)) else names,
        num_classes=len(names),
        spec=read_resizing(folder, processor, num_frames, image_size),
        scaling=read_scaling(folder, processor, str(config.get("model_type"))),
        text=json.dumps(config, sort_keys=True),
    )


def read_processor(folder: Path) -> dict[str, Any]:
    for name in _PROCESSORS:
        if (folder / name).is_file():
            return read_json(folder / name)
    raise ConfigError(f"{folder} has no preprocessor_config.json, which says how frames are made")


def _architecture(folder: Path, config: Mapping[str, Any]) -> str:
    named = config.get("architectures") or ["none"]
    if not isinstance(named, list) or not _CLASSIFIER.fullmatch(str(named[0])):
        raise ConfigError(
            f"{folder}/config.json is of architecture {named}: model_type huggingface takes "
            "...ForVideoClassification only"
        )
    return str(named[0])


def _number(folder: Path, config: Mapping[str, Any], *names: str) -> int:
    """The first of these that is there, a whole number above 0; of a pair of equal ones, one."""
    found = next((config[name] for name in names if name in config), None)
    if isinstance(found, list) and len(found) == 2 and found[0] == found[1]:
        found = found[0]
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise ConfigError(f"{folder}/config.json has {names[0]} {found!r}, must be a whole number")
    return found


def _names(folder: Path, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The classes in the order of their indices; transformers writes none where there are two."""
    found = config.get("id2label", {"0": "LABEL_0", "1": "LABEL_1"})
    indices = [str(index) for index in range(len(found))] if isinstance(found, dict) else [""]
    if not indices or set(found) != set(indices):
        raise ConfigError(f"{folder}/config.json must number its id2label from 0 without gaps")
    names = tuple(str(found[index]) for index in indices)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"{folder}/config.json names the class {twice!r} more than once")
    return names


def read_resizing(
    folder: Path, processor: Mapping[str, Any], num_frames: int, image_size: int
) -> PreprocessSpec:
    size = processor.get("size")
    sides = {"shortest_edge": size} if isinstance(size, int) else size
    if not processor.get("do_resize", True) or not isinstance(sides, dict):
        return PreprocessSpec(num_frames=num_frames, crop_size=image_size)
    if processor.get("resample", _BILINEAR) != _BILINEAR:
        logger.warning("%s: its processor does not resize bilinearly, vidbench does", folder)
    crop = _crop_size(processor, image_size)
    short_side = sides.get("shortest_edge") or sides.get("height")
    if not isinstance(short_side, int) or short_side < crop:
        raise ConfigError(f"{folder}: its processor resizes to {size} and crops {crop} of it")
    return PreprocessSpec(
        num_frames=num_frames, resize_type="short_side", short_side=short_side, crop_size=crop
    )


def _crop_size(processor: Mapping[str, Any], image_size: int) -> int:
    crop = processor.get("crop_size") if processor.get("do_center_crop", True) else None
    if isinstance(crop, dict):
        crop = crop.get("height")
    return crop if isinstance(crop, int) else image_size


def read_scaling(folder: Path, processor: Mapping[str, Any], model_type: str) -> Scaling:
    """The processor's numbers; where one is not written down, its class has a default.

    Those defaults are 1/255, and for ViViT 1/127.5 with an offset of 1.
    """
    vivit = model_type == "vivit"
    factor = processor.get("rescale_factor", 1 / 127.5 if vivit else 1 / 255)
    if not processor.get("do_rescale", True):
        factor, vivit = 1.0, False
    normalises = processor.get("do_normalize", True)
    try:
        return Scaling(
            factor=float(factor),
            offset=float(vivit and bool(processor.get("offset", True))),
            mean=_of_channels(processor["image_mean"]) if normalises else (0.0, 0.0, 0.0),
            std=_of_channels(processor["image_std"]) if normalises else (1.0, 1.0, 1.0),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{folder}: its processor's image_mean, image_std or rescale_factor is missing or "
            f"not of three channels ({error})"
        ) from error


def _of_channels(value: Any) -> tuple[float, float, float]:
    red, green, blue = [value] * 3 if isinstance(value, int | float) else value
    return float(red), float(green), float(blue)
