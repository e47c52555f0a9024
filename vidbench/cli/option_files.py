"""Read files of options, given as ``@FILE``: one option per line, with ``#`` comments."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from vidbench.errors import ConfigError

_MAX_FILE_BYTES = 1 << 20
# Up to a # at the beginning of a word and outside quotes.
_BEFORE_COMMENT = re.compile(r"""(?:[^'"#]|'[^']*'|"[^"]*"|['"]|(?<=\S)#)*""")


def expand_files(arguments: Sequence[str]) -> list[str]:
    """The arguments with each ``@file`` replaced by its options, moved to the front.

    Later arguments override earlier ones.

    Raises:
        ConfigError: A file cannot be read, or is not a list of options.
    """
    files = [argument for argument in arguments if argument.startswith("@")]
    others = [argument for argument in arguments if not argument.startswith("@")]
    return [token for file in files for token in _read_file(Path(file[1:]))] + others


def _read_file(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
        lines = content.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise ConfigError(f"config file {str(path)!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"config file {str(path)!r} is not UTF-8 text: name another") from error
    if len(content) > _MAX_FILE_BYTES or "\0" in content.decode("utf-8", "replace"):
        raise ConfigError(f"config file {str(path)!r} is not a list of options: name another")
    return [token for number, line in enumerate(lines, 1) for token in _split(line, path, number)]


def _split(line: str, path: Path, number: int) -> list[str]:
    """The words of a line; a comment begins with a # at the beginning of a word."""
    try:
        words = shlex.split(_BEFORE_COMMENT.match(line)[0])  # type: ignore[index]
    except ValueError as error:
        raise ConfigError(f"config file {path}, line {number}: {error}") from error
    if words and words[0].startswith("@"):
        raise ConfigError(
            f"config file {path}, line {number}: a file cannot name {words[0]!r}; give both files"
        )
    return words
