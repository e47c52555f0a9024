"""Option: one option of a command, described once, for its parser, its checks and its pages."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_type_hints

from vidbench.errors import ConfigError
from vidbench.labels.class_lists import list_names
from vidbench.system.validation import require_file, require_number, require_text

Names = Literal["", "file", "class_list", "local_folder", "shared_folder", "plain"]

ANY_COUNT = (1, 100_000)
ANY_RATE = (0.001, 1_000)
ANY_SEED = (0, 2**64 - 1)
ANY_PIXELS = (1, 10_000)

_KNOWN: dict[type, Mapping[str, Option]] = {}  # options of dataclasses that were asked for


@dataclass(frozen=True, kw_only=True)
class Option:
    """What may be given for an option, and what is said of it.

    Attributes:
        text: Its help; ``{choices}`` stands for them.
        metavar: Stands for its value in the help; empty for a flag.
        kind: Type of its value, ``bool`` for a flag.
        default: Its value where it is not given.
        limits: Lowest and highest number, far beyond what anybody could mean.
        choices: All values that are valid; empty where others are.
        names: What its value names, if that is checked: a ``file`` or ``folder`` that exists; a
            ``class_list``, which is a file or a list that comes with vidbench; a
            ``shared_folder``, which may be a URL; ``plain``, a name without slashes.
        former: A name that it had, which is still accepted.
        page: The page of the documentation that says more.
    """

    text: str
    metavar: str = ""
    kind: type = str
    default: Any = None
    limits: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    names: Names = ""
    former: str = ""
    page: str = ""

    @property
    def help(self) -> str:
        """The text, with choices and default."""
        said = self.text.format(choices=", ".join(self.choices))
        if self.default is None or self.kind is bool:
            return said
        default = f"{self.default:g}" if self.kind is float else self.default
        return f"{said} (default {default})"

    def saying(self, text: str) -> Option:
        """The same with another text for its help."""
        return replace(self, text=text)

    def check(self, name: str, value: Any) -> None:
        """Raise ConfigError unless the value is a valid one of the option of this name."""
        if isinstance(value, str | Path):
            require_text(name, str(value))
        if self.limits is not None:
            require_number(name, value, *self.limits)
        if self.choices and value not in self.choices:
            raise ConfigError(f"--{name} {nearest(value, self.choices)}")
        if self.names:
            self._check_name(name, str(value))

    def _check_name(self, name: str, value: str) -> None:
        listed = self.names == "class_list" and value in list_names()
        if self.names in ("file", "class_list") and not listed:
            require_file(name, Path(value))
        if self.names == "local_folder" and not Path(value).is_dir():
            raise ConfigError(f"--{name} {value!r} is no folder: name one")
        if self.names == "plain" and (Path(value).name != value or value == ".."):
            raise ConfigError(f"--{name} {value!r} must be one plain folder name")

    @property
    def is_path(self) -> bool:
        """Whether its value is a path, unless it is a URL."""
        return self.kind is Path or self.names == "shared_folder"


def option(default: Any, text: str, metavar: str = "", **described: Any) -> Any:
    """A field of a dataclass that is an option; its type is that of the field.

    Args:
        default: Its value where it is not given.
        text: As of :class:`Option`.
        metavar: Likewise.
        **described: Likewise.
    """
    metadata = {"option": Option(text=text, metavar=metavar, default=default, **described)}
    return field(default=default, metadata=metadata)


def options_of(owner: type) -> Mapping[str, Option]:
    """The options of a dataclass by name, in their order."""
    if owner not in _KNOWN:
        hints = get_type_hints(owner)
        _KNOWN[owner] = {
            each.name: replace(each.metadata["option"], kind=_kind(hints[each.name]))
            for each in dataclasses.fields(owner)
            if "option" in each.metadata
        }
    return _KNOWN[owner]


def _kind(hint: Any) -> type:
    """The type of a value that is given, of e.g. ``int | None``."""
    kinds = [kind for kind in get_args(hint) or (hint,) if kind is not NoneType]
    return kinds[0] if len(kinds) == 1 else str


def check_options(owner: Any) -> None:
    """Raise ConfigError unless each option of this object that is given has a valid value."""
    for name, described in options_of(type(owner)).items():
        if (value := getattr(owner, name)) is not None:
            described.check(name, value)


def nearest(name: str, valid: Sequence[str]) -> str:
    """What to say of an unknown name: the valid one that is most like it, or begins so."""
    asked = name.partition("=")[0]
    longer = [each for each in valid if each.startswith(asked)]
    close = difflib.get_close_matches(asked, longer or valid, n=1, cutoff=0.0)
    return f"{name!r} is unknown: the nearest valid one is {close[0]!r}"
