"""Classes in words: which prompts stand for each class of a zero-shot model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vidbench.errors import ConfigError
from vidbench.labels.class_lists import list_names, load_classes, read_classes

CLASS_NAME = ("{}",)
"""The class's name alone, as X-CLIP was trained and tested: ``generate_text`` of its code."""

CLIP_TEMPLATES = tuple(
    f"a {medium} of {phrase}."
    for medium in ("photo", "video", "example", "demonstration")
    for phrase in (
        "{}",
        "a person {}",
        *(f"a person {verb} {{}}" for verb in ("using", "doing", "during", "performing")),
        "a person practicing {}",
    )
)
"""The 28 that CLIP's authors used for Kinetics (``data/prompts.md`` of openai/CLIP)."""

_KEYS = frozenset({"templates", "classes", "thresholds"})


@dataclass(frozen=True)
class Prompts:
    """Classes of a zero-shot model.

    Attributes:
        texts: The prompts of each class, by its name; their order is that of the scores.
        thresholds: The least score with which a class counts as seen, 0 to 1, by its name.
    """

    texts: Mapping[str, tuple[str, ...]]
    thresholds: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in the order of the scores."""
        return tuple(self.texts)

    def digest(self) -> str:
        """64 hexadecimal digits of all that decides scores: classes and prompts, in order."""
        return hashlib.sha256(json.dumps(list(self.texts.items())).encode()).hexdigest()


def read_prompts(source: Path | str, templates: Sequence[str]) -> Prompts:
    """The classes and prompts of a list that ships with vidbench, or of a file.

    A file ``.json`` has ``classes`` and may have ``templates`` and ``thresholds``; any other is
    text with one class a line. ``classes`` is a list of names, or by each name what stands for
    it: a list of whole prompts, a text that takes the name's place in the templates, or null.

    Args:
        source: E.g. ``kinetics-400`` or ``./my_classes.json``.
        templates: Those of a source that has none; ``{}`` is where the class goes.

    Raises:
        ConfigError: The file cannot be read, or says what makes no sense.
    """
    if str(source) in list_names():
        return _of_names(load_classes(str(source)), templates)
    path = Path(source)
    if path.suffix != ".json":
        return _of_names(read_classes(path), templates)
    try:
        content = json.loads(path.read_text("utf-8-sig"), object_pairs_hook=_once)
        return _parse(content, templates)
    except (OSError, ValueError, RecursionError, ConfigError) as error:
        raise ConfigError(f"--prompts {path} cannot be used: {error}") from error


def _of_names(names: Sequence[str], templates: Sequence[str]) -> Prompts:
    return Prompts({name: _fill(templates, name) for name in names})


def _fill(templates: Sequence[str], words: str) -> tuple[str, ...]:
    return tuple(template.replace("{}", words) for template in templates)


def _parse(content: Any, templates: Sequence[str]) -> Prompts:
    if not isinstance(content, dict) or "classes" not in content:
        raise ConfigError('expected an object with "classes"')
    if unknown := sorted(content.keys() - _KEYS):
        raise ConfigError(f"{unknown[0]!r} is unknown, only {', '.join(sorted(_KEYS))}")
    if "templates" in content:
        templates = _texts("templates", content["templates"])
        if without := [template for template in templates if "{}" not in template]:
            raise ConfigError(f"template {without[0]!r} lacks {{}}, where the class goes")
    texts = _parse_classes(content["classes"], templates)
    return Prompts(texts, _parse_thresholds(content.get("thresholds", {}), texts))


def _parse_classes(classes: Any, templates: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    if isinstance(classes, list):
        classes = _once([(name, None) for name in _texts("classes", classes)])
    if not isinstance(classes, dict) or not classes or not all(map(str.strip, classes)):
        raise ConfigError("classes must be a list of names, or prompts by name, none empty")
    return {name: _parse_class(name, value, templates) for name, value in classes.items()}


def _parse_class(name: str, value: Any, templates: Sequence[str]) -> tuple[str, ...]:
    if isinstance(value, list):
        return _texts(f"the prompts of {name!r}", value)
    words = name if value is None else value
    return _fill(templates, *_texts(f"the words for {name!r}", [words]))


def _parse_thresholds(found: Any, classes: Mapping[str, Any]) -> Mapping[str, float]:
    if not isinstance(found, dict):
        raise ConfigError("thresholds must be numbers by class")
    for name, value in found.items():
        if name not in classes:
            raise ConfigError(f"there is a threshold of {name!r}, which is none of the classes")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ConfigError(f"the threshold of {name!r} is {value!r}, must be from 0 to 1")
    return MappingProxyType({name: float(value) for name, value in found.items()})


def _texts(what: str, values: Any) -> tuple[str, ...]:
    """The texts, of which there must be at least one and none empty."""
    given = isinstance(values, list) and values
    if not given or not all(isinstance(value, str) and value.strip() for value in values):
        raise ConfigError(f"{what} must be a list of texts, none of them empty")
    return tuple(values)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs as a dictionary; JSON itself would let the last of two values win."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ConfigError(f"{name!r} is named more than once")
        found[name] = value
    return found
