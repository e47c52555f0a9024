"""What somebody says of a model in a small TOML file beside it; see docs/model_files.md."""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ConfigError
from vidbench.labels.class_lists import find_classes, list_names, read_classes
from vidbench.models._files.interface import LAYOUTS, OUTPUTS, Interface, PixelRange

FOLDER_FILE = "vidbench.toml"
"""Of a model that is a folder; a file's is called as the file, with ``.toml`` behind."""

_MAX_BYTES = 1 << 20
_NAME = re.compile(r"[\w.+-]{1,80}")
_WHOLE = frozenset({"num_frames", "frame_stride", "num_clips", "sampling_seed", "short_side"}) | {
    "crop_size",
    "num_crops",
}
_MOST = 100_000  # of a number in the protocol: far beyond what anybody could mean


@dataclass(frozen=True, kw_only=True)
class Published:
    """Accuracies that a model's authors state.

    Attributes:
        top1: 0 to 1; None where they do not say.
        top5: Likewise.
        protocol: Of what they are, and by which protocol.
        reference: Where that stands.
    """

    top1: float | None = None
    top5: float | None = None
    protocol: str = ""
    reference: str = ""


@dataclass(frozen=True, kw_only=True)
class Description:
    """What is said of a model; the defaults are what holds where nothing is said.

    Attributes:
        name: What to call it beside its family; None for the family alone.
        classes: Its class names in the order of its scores.
        trained_on: The dataset whose train split it has seen.
        spec: What it expects to be done to pixels.
        pixel_range: What 0 and 255 become; None where not stated, see
            :func:`~vidbench.models._files.interface.fed_range`.
        interface: What comes after that, and what comes out.
        published: What its authors say of it.
        states_frames: Whether the number of frames is said, and not the default.
    """

    name: str | None = None
    classes: tuple[str, ...] | None = None
    trained_on: str | None = None
    spec: PreprocessSpec = field(default_factory=PreprocessSpec)
    pixel_range: PixelRange | None = None
    interface: Interface = field(default_factory=Interface)
    published: Published = field(default_factory=Published)
    states_frames: bool = False


def read_description(path: Path) -> Description:
    """What the file says; nothing, where there is no such file.

    Raises:
        ConfigError: It is no TOML, has an unknown key, or a value that cannot be meant.
    """
    if not os.path.lexists(path):  # it takes names that are too long
        return Description()
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(f"{path} is too large to describe a model")
        content = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
        return _describe(content, path)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read as TOML: {error}") from error
    except _WrongError as error:
        raise ConfigError(f"{path}: {error}") from error


class _WrongError(ValueError):
    """A key or value cannot be meant; the message goes behind the file's name."""


Check = Callable[[str, Any], Any]
"""From a key's full name, for the message, and its value to what is kept."""


def _describe(content: Mapping[str, Any], path: Path) -> Description:
    top = _take("", content, _TOP)
    pixels = _take("pixels", top.pop("pixels", {}), _PIXELS)
    tensors = _take("tensors", top.pop("tensors", {}), _TENSORS)
    protocol = _take("protocol", top.pop("protocol", {}), _PROTOCOL)
    published = _take("published", top.pop("published", {}), _PUBLISHED)
    output = {"output": top.pop("output")} if "output" in top else {}
    if "classes" in top:
        top["classes"] = _find_classes(top["classes"], path)
    pixel_range = pixels.pop("range", None)
    names = {f"{end}_name": name for end, name in tensors.items()}
    try:
        spec = PreprocessSpec(**protocol)
    except ConfigError as error:
        raise _WrongError(f"[protocol]: {error}") from error
    return Description(
        **top,
        spec=spec,
        pixel_range=pixel_range,
        interface=Interface(**pixels, **output, **names),
        published=Published(**published),
        states_frames="num_frames" in protocol,
    )


def _take(table: str, content: Any, checks: Mapping[str, Check]) -> dict[str, Any]:
    """The table's values, checked."""
    if not isinstance(content, dict):
        raise _WrongError(
            f"{table} is {content!r}, must be a table: write [{table}] above its keys"
        )
    prefix = f"{table}." if table else ""
    if unknown := [key for key in content if key not in checks]:
        raise _WrongError(_unknown(prefix, unknown[0], checks))
    return {key: checks[key](prefix + key, value) for key, value in content.items()}


def _unknown(prefix: str, key: str, valid: Collection[str]) -> str:
    """Says which key is like it; one that belongs in another table is told its place."""
    for table, checks in _TABLES.items():
        if key in checks and f"{table}." != prefix:
            where = f"belongs in the table [{table}]" if table else "belongs above all tables"
            return f"the key {prefix + key!r} {where}"
    close = difflib.get_close_matches(key, list(valid), n=1, cutoff=0.0)[0]
    return (
        f"the key {prefix + key!r} is unknown: the nearest valid one is {prefix + close!r} "
        f"(of {', '.join(valid)})"
    )


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise _WrongError(f"{key} is {value!r}, must be text on one line")
    return value


def _name(key: str, value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value) or not value.strip("."):
        raise _WrongError(f"{key} is {value!r}, must be letters, digits, and any of . _ + -")
    return value


def _one_of(valid: Collection[str]) -> Check:
    def check(key: str, value: Any) -> str:
        if not isinstance(value, str) or value not in valid:
            raise _WrongError(f"{key} is {value!r}, must be one of {', '.join(valid)}")
        return value

    return check


def _numbers(key: str, value: Any, count: int) -> tuple[float, ...]:
    good = isinstance(value, list) and len(value) == count and all(map(_is_number, value))
    if not good:
        raise _WrongError(f"{key} is {value!r}, must be a list of {count} numbers")
    return tuple(map(float, value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _range(key: str, value: Any) -> tuple[float, ...]:
    low, high = _numbers(key, value, 2)
    if not low < high:
        raise _WrongError(f"{key} is {value!r}: the first number, of black, must be the lower one")
    return low, high


def _channels(key: str, value: Any) -> tuple[float, ...]:
    numbers = _numbers(key, value, 3)
    if key.endswith("std") and min(numbers) <= 0:
        raise _WrongError(f"{key} is {value!r}, must be above 0")
    return numbers


def _accuracy(key: str, value: Any) -> float:
    if not _is_number(value) or not 0 <= value <= 1:
        raise _WrongError(f"{key} is {value!r}, must be from 0 to 1")
    return float(value)


def _protocol_value(key: str, value: Any) -> Any:
    name = key.partition(".")[2]
    if name in _WHOLE and (type(value) is not int or abs(value) > _MOST):
        raise _WrongError(f"{key} is {value!r}, must be a whole number up to {_MOST}")
    if name == "fps" and not (_is_number(value) and math.isfinite(value)):
        raise _WrongError(f"{key} is {value!r}, must be a number")
    return value


def _classes(key: str, value: Any) -> str | tuple[str, ...]:
    if isinstance(value, str):
        return _text(key, value)
    if not isinstance(value, list) or not value:
        raise _WrongError(f"{key} is {value!r}, must be a list's name, a file, or a list of names")
    names = tuple(_text(key, name) for name in value)
    if twice := [name for name in names if names.count(name) > 1]:
        raise _WrongError(f"{key} names {twice[0]!r} more than once")
    return names


def _find_classes(named: str | tuple[str, ...], path: Path) -> tuple[str, ...]:
    """The list: its names, one that ships, or a file whose path begins at the TOML's folder."""
    if isinstance(named, tuple):
        return named
    if named in list_names():
        return find_classes(named)
    file = path.parent / named
    if not file.is_file():
        raise _WrongError(
            f"classes is {named!r}: there is no file {str(file)!r}, and no list that ships is "
            f"called so, only {', '.join(list_names())}"
        )
    return read_classes(file)


def _table(key: str, value: Any) -> Any:
    return value  # looked into later


_PIXELS: dict[str, Check] = {
    "range": _range,
    "mean": _channels,
    "std": _channels,
    "layout": _one_of(LAYOUTS),
}
_TENSORS: dict[str, Check] = {"input": _text, "output": _text, "signature": _text}
_PROTOCOL: dict[str, Check] = {f.name: _protocol_value for f in fields(PreprocessSpec)}
_PUBLISHED: dict[str, Check] = {
    "top1": _accuracy,
    "top5": _accuracy,
    "protocol": _text,
    "reference": _text,
}
_TOP: dict[str, Check] = {
    "name": _name,
    "classes": _classes,
    "trained_on": _name,
    "output": _one_of(OUTPUTS),
    **dict.fromkeys(("pixels", "tensors", "protocol", "published"), _table),
}
_TABLES = {
    "": _TOP,
    "pixels": _PIXELS,
    "tensors": _TENSORS,
    "protocol": _PROTOCOL,
    "published": _PUBLISHED,
}
