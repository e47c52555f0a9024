"""Read JSON objects strictly into dataclasses and named tuples, and write them back.

A field with a default may be missing. Unknown keys are ignored, or kept in the field that is marked
with :data:`REST`.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from vidbench.errors import ConfigError

_T = TypeVar("_T")

REST: Mapping[str, Any] = types.MappingProxyType({"rest": True})
"""Metadata of the field that keeps all keys without a field of their own."""

IF_ANY: Mapping[str, Any] = types.MappingProxyType({"if_any": True})
"""Metadata of a field that is omitted if it is empty."""

_ROUNDING = 1e-6
"""Tolerance of ranges: means of float32 can slightly exceed 1."""


class Range(NamedTuple):
    """Allowed range of a number, both ends included."""

    low: float
    high: float


Share = Annotated[float, Range(0, 1)]
Amount = Annotated[float, Range(0, math.inf)]
Count = Annotated[int, Range(0, math.inf)]


class FieldError(ValueError):
    """A field is missing or has a wrong value; the message names the field and the value."""


class LaterFormatError(FieldError):
    """A later version wrote the file, in a format that this version does not know."""


def read_json(path: Path, form: Callable[[object], _T], remedy: str, shown: str = "") -> _T:
    """Read a value from a JSON file.

    Args:
        path: The file.
        form: Makes the value from the file's content, or raises FieldError.
        remedy: Advice for a damaged file, for the message.
        shown: Name of the file in messages; its path by default.

    Raises:
        ConfigError: The file is damaged, or another program or a later version wrote it.
    """
    name = shown or str(path)
    try:
        return form(json.loads(path.read_text("utf-8")))
    except LaterFormatError as error:
        raise ConfigError(f"{name} is from a later version: {error}: update vidbench") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"{name} is damaged, or vidbench did not write it ({error}): {remedy}"
        ) from error


def under(key: str, *, if_any: bool = False) -> Mapping[str, Any]:
    """Metadata of a field whose JSON key differs from its name; see also :data:`IF_ANY`."""
    return {"key": key, "if_any": if_any}


def decode(kind: type[_T], content: object, where: str = "") -> _T:
    """Build a dataclass or named tuple from the content of a JSON object.

    Args:
        kind: The class; its annotations define the type of each key.
        content: The object, as returned by :func:`json.loads`.
        where: Path of the object in its file, for messages.

    Raises:
        FieldError: A field is missing or has another type.
    """
    value: _T = decode_value(kind, content, where)
    return value


def decode_value(annotation: Any, content: object, where: str) -> Any:
    """Build a value of any type that a field can have, such as a union.

    Raises:
        FieldError: The content does not fit the type.
    """
    origin = get_origin(annotation)
    if annotation is Any:
        return content
    if origin is Annotated:
        inner, allowed = get_args(annotation)
        return _require_range(decode_value(inner, content, where), allowed, where)
    if origin in (Union, types.UnionType):
        return _decode_union(get_args(annotation), content, where)
    if origin is tuple:
        return tuple(_decode_items(get_args(annotation)[0], content, where))
    if origin is list:
        return list(_decode_items(get_args(annotation)[0], content, where))
    if origin is Mapping:
        inner, items = get_args(annotation)[1], _require(dict, content, where)
        return {key: decode_value(inner, item, _join(where, key)) for key, item in items.items()}
    if annotation in _SCALARS:
        return _decode_scalar(annotation, content, where)
    return _decode_object(annotation, _require(dict, content, where), where)


def encode(value: object) -> Any:
    """The value for :func:`json.dumps`, with fields in order of definition.

    Omits fields that are None by default and are None, and empty fields marked with
    :data:`IF_ANY`.
    """
    if dataclasses.is_dataclass(value):
        return dict(_encode_fields(value))
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: encode(item) for name, item in value._asdict().items()}
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    return value


class _Field(NamedTuple):
    name: str
    key: str
    kind: Any
    required: bool
    keeps_rest: bool


@cache
def _fields_of(kind: Any) -> tuple[_Field, ...]:
    hints = get_type_hints(kind, include_extras=True)
    if not dataclasses.is_dataclass(kind):
        optional = kind._field_defaults
        return tuple(
            _Field(name, name, hints[name], name not in optional, False) for name in kind._fields
        )
    return tuple(
        _Field(
            field.name,
            field.metadata.get("key", field.name),
            hints[field.name],
            field.default is field.default_factory is dataclasses.MISSING,
            bool(field.metadata.get("rest")),
        )
        for field in dataclasses.fields(kind)
    )


def _encode_fields(value: Any) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(value):
        content = getattr(value, field.name)
        if field.metadata.get("rest"):
            yield from encode(content).items()
        elif not _is_omitted(field, content):
            yield field.metadata.get("key", field.name), encode(content)


def _is_omitted(field: dataclasses.Field[Any], content: object) -> bool:
    return (content is None and field.default is None) or (
        bool(field.metadata.get("if_any")) and not content
    )


def _decode_object(kind: Any, content: Mapping[str, Any], where: str) -> Any:
    fields = _fields_of(kind)
    values: dict[str, Any] = {}
    for field in fields:
        if field.keeps_rest:
            keys = {other.key for other in fields}
            values[field.name] = {k: v for k, v in content.items() if k not in keys}
        elif field.key in content:
            path = _join(where, field.key)
            values[field.name] = decode_value(field.kind, content[field.key], path)
        elif field.required:
            raise FieldError(f"{_join(where, field.key)} is missing")
    return kind(**values)


def _decode_items(kind: Any, content: object, where: str) -> Iterator[Any]:
    for index, item in enumerate(_require(list, content, where)):
        yield decode_value(kind, item, f"{where}[{index}]")


def _decode_union(kinds: Sequence[Any], content: object, where: str) -> Any:
    """A value of the first type that fits; if none fits, raise the error of the first."""
    if content is None and types.NoneType in kinds:
        return None
    errors = []
    for kind in kinds:
        if kind is not types.NoneType:
            try:
                return decode_value(kind, content, where)
            except FieldError as error:
                errors.append(error)
    raise errors[0]


_SCALARS = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}
_NAMES = {dict: "an object", list: "a list"} | _SCALARS


def _decode_scalar(kind: Any, content: object, where: str) -> Any:
    if kind is float and isinstance(content, int) and not isinstance(content, bool):
        return content
    value = _require(kind, content, where)
    if kind is float and not math.isfinite(value):
        raise FieldError(f"{where} is {value}, not a finite number")
    return value


def _require(kind: Any, content: object, where: str) -> Any:
    if not isinstance(content, kind) or (isinstance(content, bool) and kind is not bool):
        raise FieldError(f"{where or 'the file'} is {content!r:.60}, not {_NAMES[kind]}")
    return content


def _require_range(number: Any, allowed: Range, where: str) -> Any:
    if not allowed.low - _ROUNDING <= number <= allowed.high + _ROUNDING:
        most = "above" if allowed.high == math.inf else f"to {allowed.high:g}"
        raise FieldError(f"{where} is {number}, not {allowed.low:g} {most}")
    return number


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
