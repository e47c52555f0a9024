"""What a folder of Hugging Face says of its model: read as JSON, without any framework."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ConfigError
from vidbench.models._huggingface.processor import Scaling, read_processor
from vidbench.models._huggingface.transformers_runtime import read_json, refuse_adapter

_CLASSIFIER = re.compile(r"\w+ForVideoClassification")
_UNNAMED = re.compile(r"LABEL_\d+")


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
    refuse_adapter(folder)
    config = read_json(folder / "config.json")
    _refuse_other_problems(folder, config)
    if "transformers_weights" in config:
        raise ConfigError(f"{folder}/config.json names other weights than model.safetensors")
    architecture = _architecture(folder, config)
    num_frames = _number(folder, config, "num_frames", "frames_per_clip")
    image_size = _number(folder, config, "image_size", "crop_size")
    names = _names(folder, config)
    processor = read_processor(folder, "videos", str(config.get("model_type")), image_size)
    return Checkpoint(
        folder=folder,
        architecture=architecture,
        num_frames=num_frames,
        image_size=image_size,
        classes=None if all(map(_UNNAMED.fullmatch, names)) else names,
        num_classes=len(names),
        spec=PreprocessSpec(num_frames=num_frames, **processor.resizing),
        scaling=processor.scaling,
        text=json.dumps(config, sort_keys=True),
    )


def _refuse_other_problems(folder: Path, config: Mapping[str, Any]) -> None:
    problem = config.get("problem_type")
    if problem == "multi_label_classification":
        raise ConfigError(
            f"{folder}/config.json is of a multi-label model, whose classes have a sigmoid each: "
            "vidbench scores one class a video"
        )
    if problem == "regression":
        raise ConfigError(
            f"{folder}/config.json is of a regression, whose outputs are no scores of classes: "
            "vidbench scores one class a video"
        )


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
    found = config.get("id2label")
    if found is None:
        count = _number(folder, {"num_labels": 2, **config}, "num_labels")
        found = {str(index): f"LABEL_{index}" for index in range(count)}
    indices = [str(index) for index in range(len(found))] if isinstance(found, dict) else [""]
    if not indices or set(found) != set(indices):
        raise ConfigError(f"{folder}/config.json must number its id2label from 0 without gaps")
    names = tuple(str(found[index]) for index in indices)
    if len(names) == 1:
        raise ConfigError(f"{folder}/config.json has one class: there is nothing to choose from")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"{folder}/config.json names the class {twice!r} more than once")
    return names
