"""What a folder's processor makes of a frame: read as transformers reads it, as JSON alone.

Names of files, their order, and what holds where a file says nothing are those of transformers
5.23: ``image_processing_base.py``, ``video_processing_utils.py``, and the class of each processor.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from vidbench.errors import ConfigError
from vidbench.models._huggingface.transformers_runtime import read_json

logger = logging.getLogger(__name__)

Channels = tuple[float, float, float]
Values = dict[str, Any]

_IN_ONE_FILE = "processor_config.json"  # what transformers 5 writes
_OF_VIDEOS = ((_IN_ONE_FILE, "video_processor"), ("video_preprocessor_config.json", ""))
_OF_IMAGES = ((_IN_ONE_FILE, "image_processor"), ("preprocessor_config.json", ""))
_ORDERS = MappingProxyType(
    {"videos": (*_OF_VIDEOS, *_OF_IMAGES), "images": (*_OF_IMAGES, *_OF_VIDEOS)}
)
"""Where a processor is looked for, first to last: file, and key in it."""

_TYPES = ("video_processor_type", "image_processor_type", "feature_extractor_type")
_CLASS = re.compile(r"(\w+?)(Image|Video)?(Processor|FeatureExtractor)(Fast|Pil)?")

# PIL's numbers. Whatever runs a processor, PIL or torchvision, it resizes with anti-aliasing.
_FILTERS = MappingProxyType(
    {1: "lanczos_antialias", 2: "bilinear_antialias", 3: "bicubic_antialias"}
)
_OTHER_FILTERS = MappingProxyType({0: "nearest", 4: "box", 5: "hamming"})

_USUAL = MappingProxyType(
    {
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "rescale_factor": 1 / 255,
        "default_to_square": False,
        "resample": 2,
    }
)
_HALF: Values = {"image_mean": 0.5, "image_std": 0.5}
_IMAGENET: Values = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_OPENAI: Values = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}


def _cropping(size: int) -> Values:
    return {"size": {"shortest_edge": size}, "do_center_crop": True}


def _squashing(size: int) -> Values:
    return {"size": {"height": size, "width": size}, "do_center_crop": False, "resample": 3}


_DEFAULTS: Mapping[str, Values] = MappingProxyType(
    {
        "VideoMAE": {**_USUAL, **_cropping(224), **_HALF},
        "Timesformer": {**_USUAL, **_cropping(224), **_IMAGENET},
        "Vivit": {**_USUAL, **_cropping(256), **_HALF, "rescale_factor": 1 / 127.5},
        "VJEPA2": {**_USUAL, **_cropping(292), **_IMAGENET},
        "LlavaOnevision": {**_USUAL, **_squashing(384), **_OPENAI},  # VideoPrism's
        "CLIP": {**_USUAL, **_cropping(224), **_OPENAI, "resample": 3},
        "Siglip": {**_USUAL, **_squashing(224), **_HALF},
    }
)
"""What a processor does where its file says nothing, by its class without the ending.

Not what it crops: no network but one of that ``image_size`` could take it.
"""

_OF_MODEL = MappingProxyType(
    {
        "videomae": "VideoMAE",
        "timesformer": "Timesformer",
        "vivit": "Vivit",
        "vjepa2": "VJEPA2",
        "videoprism": "LlavaOnevision",
        "videoprism_vision_model": "LlavaOnevision",
        "clip": "CLIP",
        "xclip": "CLIP",
        "siglip": "Siglip",
    }
)
"""Whose processor a file is that names none, by ``model_type`` of ``config.json``."""


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
    mean: Channels = (0.0, 0.0, 0.0)
    std: Channels = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Processor:
    """What is done to a frame before the network sees it.

    Attributes:
        resizing: The fields of a :class:`~vidbench.data.spec.PreprocessSpec` that say how a
            frame is resized and cropped.
        scaling: What becomes of its pixels then.
    """

    resizing: Mapping[str, Any]
    scaling: Scaling


class _UnfollowedError(Exception):
    """It does what vidbench does not; the message says what."""


def read_processor(
    folder: Path, of: Literal["videos", "images"], model_type: str, image_size: int
) -> Processor:
    """What the folder's processor does.

    Args:
        folder: Of the model.
        of: Whose processor is looked for first, where the folder has one of both.
        model_type: As ``config.json`` has it.
        image_size: Height and width that the model takes, where the processor does not say.

    Raises:
        ConfigError: There is none, or it does what vidbench does not.
    """
    place, found = _find(folder, of)
    try:
        kind, values = _with_defaults(place, {"crop_size": image_size} | found, model_type)
        return Processor(_resizing(place, values, image_size), _scaling(kind, values))
    except _UnfollowedError as error:
        raise ConfigError(f"{place}: its processor {error}") from error


def _find(folder: Path, of: Literal["videos", "images"]) -> tuple[str, Values]:
    for name, key in _ORDERS[of]:
        if (folder / name).is_file():
            content = read_json(folder / name)
            found = content.get(key) if key else content
            if isinstance(found, dict):
                values = {name: value for name, value in found.items() if value is not None}
                return f"{folder / name}{f', {key}' if key else ''}", values
    raise ConfigError(
        f"{folder} has no {_OF_IMAGES[-1][0]}, and no {_IN_ONE_FILE} with an image_processor or "
        "video_processor: one of them says how frames are made"
    )


def _with_defaults(place: str, found: Values, model_type: str) -> tuple[str, Values]:
    """The class of the processor without its ending, and all that it is told."""
    named = next((found[name] for name in _TYPES if found.get(name)), None)
    if "auto_map" in found:
        logger.warning("%s: its processor is code of its own, which vidbench does not run", place)
    known = _CLASS.fullmatch(str(named)) if named else None
    kind = known[1] if known else _OF_MODEL.get(model_type, "")
    if kind not in _DEFAULTS:
        message = "%s: its processor %s is not one that vidbench knows: it is taken at its word"
        logger.warning(message, place, named or "without a class")
    defaults = _DEFAULTS.get(kind, dict(_USUAL))
    values = defaults | found
    if kind == "Vivit" and known and known[2] == "Video":  # which always centres values
        values["offset"] = True
    if kind == "VJEPA2":  # whose class overrules the file
        values["size"] = {"shortest_edge": int(_side("crop_size", values["crop_size"]) * 256 / 224)}
    return kind, values


def _resizing(place: str, values: Values, image_size: int) -> Values:
    """Fields of the spec."""
    for name in ("do_flip_channel_order", "do_pad"):
        if values.get(name) and (name != "do_pad" or values.get("pad_size")):
            raise _UnfollowedError(f"has {name}, which vidbench does not do")
    crop = _side("crop_size", values["crop_size"]) if values.get("do_center_crop") else None
    if not values["do_resize"]:
        return _unresized(place, crop, image_size)
    resize_filter = _filter(values["resample"])
    resize_type, side = _size(values)
    if crop is None and resize_type == "short_side":
        message = "%s: its processor crops nothing, vidbench crops the centre of %dx%d"
        logger.warning(message, place, image_size, image_size)
        crop = image_size
    if side < (crop := crop or side):
        raise _UnfollowedError(f"resizes to {values['size']} and crops {crop} of it")
    return {
        "resize_type": resize_type,
        "short_side": side,
        "crop_size": crop,
        "resize_filter": resize_filter,
        "side_rounding": "down" if resize_type == "short_side" else "nearest",
    }


def _unresized(place: str, crop: int | None, image_size: int) -> Values:
    if crop is not None:
        return {"resize_type": "crop", "crop_size": crop}
    message = (
        "%s: its processor resizes nothing, vidbench resizes the square at the centre to %dx%d"
    )
    logger.warning(message, place, image_size, image_size)
    return {"crop_size": image_size}


def _filter(resample: Any) -> str:
    if resample not in _FILTERS:
        asked = _OTHER_FILTERS.get(resample, repr(resample))
        raise _UnfollowedError(
            f"resizes by the filter {asked}, vidbench has {', '.join(_FILTERS.values())}"
        )
    return _FILTERS[resample]


def _size(values: Values) -> tuple[str, int]:
    """The resize type, and the length that goes with it."""
    size = values.get("size")
    if isinstance(size, int):
        square = values["default_to_square"]
        size = {"height": size, "width": size} if square else {"shortest_edge": size}
    if isinstance(size, list) and len(size) == 2:
        size = {"height": size[0], "width": size[1]}
    if not isinstance(size, dict) or set(size) not in ({"shortest_edge"}, {"height", "width"}):
        raise _UnfollowedError(f"resizes to {size}: vidbench knows shortest_edge, or both sides")
    kind = "short_side" if "shortest_edge" in size else "squash"
    return kind, _side("size", size.get("shortest_edge", size))


def _side(name: str, value: Any) -> int:
    """The side of a square, which is written as a number, as a pair, or with names."""
    if isinstance(value, dict):
        value = [value.get("height"), value.get("width")]
    if isinstance(value, list) and len(value) == 2 and value[0] == value[1]:
        value = value[0]
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _UnfollowedError(f"has {name} {value}, must be the side of a square in pixels")
    return value


def _scaling(kind: str, values: Values) -> Scaling:
    centred = kind == "Vivit" and values["do_rescale"] and values.get("offset", True)
    try:
        return Scaling(
            factor=float(values["rescale_factor"]) if values["do_rescale"] else 1.0,
            offset=float(bool(centred)),
            mean=_of_channels(values["image_mean"]) if values["do_normalize"] else Scaling.mean,
            std=_of_channels(values["image_std"]) if values["do_normalize"] else Scaling.std,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _UnfollowedError(
            "lacks image_mean, image_std or rescale_factor, or they are not of three channels "
            f"({error})"
        ) from error


def _of_channels(value: Any) -> Channels:
    red, green, blue = [value] * 3 if isinstance(value, int | float) else value
    return float(red), float(green), float(blue)
