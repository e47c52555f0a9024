"""Any program as a model: it takes paths of videos and prints a line of JSON for each.

::

    vidbench evaluate --model_type command --model_path PROGRAM --classes_file FILE
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from errno import ENOEXEC
from functools import cached_property
from pathlib import Path

from vidbench.data.records import Skip
from vidbench.errors import ConfigError, ModelError
from vidbench.labels.class_lists import find_classes
from vidbench.metrics.ranking import LABEL
from vidbench.models._answers import read_answers
from vidbench.models.base import FILES, Answer, ModelEntry, ModelFamily
from vidbench.storage.files import plain_name
from vidbench.storage.hashes import sha256_of
from vidbench.system.program import Ended, run_program
from vidbench.system.validation import require_file

FAMILY = ModelFamily(
    name="command",
    entries=(ModelEntry(name="command", source="--model_path PROGRAM", classes="--classes_file"),),
    input=FILES,
    evidence=LABEL,
    options=frozenset({"model_path", "classes_file"}),
)

FAILED = "failed"
"""Reason of the skip of a video for which the program failed."""

_MOST_BYTES = 1 << 20  # output for one file: 700 classes with scores are 40 kB
_MOST_ARGUMENTS = 100_000  # bytes of arguments in one call; Linux guarantees 128 kB
_SHOWN = 300  # characters of a program's standard error in messages


def load(
    variant: str, *, model_path: str | None = None, classes_file: Path | None = None
) -> CommandModel:
    """The program at ``model_path``, with the classes of ``classes_file``.

    Raises:
        ConfigError: A path is missing, or a variant is given, which this family does not have.
    """
    if variant:
        raise ConfigError(f"model_type command has no variant {variant!r}: omit it")
    if model_path is None:
        raise ConfigError("model_type command needs --model_path, a program: an executable or .py")
    if classes_file is None:
        raise ConfigError(
            "model_type command needs --classes_file, the classes that the program may print"
        )
    return CommandModel(Path(model_path), classes_file)


class CommandModel:
    """A program and its classes; see :class:`~vidbench.models.base.FileModel`."""

    trained_on: str | None = None

    def __init__(self, program: Path, classes_file: Path) -> None:
        self._program = program.absolute()
        self._classes_file = classes_file
        name = plain_name(program.stem)
        self.name = f"command/{name}" if name else "command"

    @cached_property
    def classes(self) -> tuple[str, ...]:
        return find_classes(str(self._classes_file))

    @property
    def _command(self) -> list[str]:
        """Command line of the program without the videos."""
        is_python = self._program.suffix == ".py"
        return [*([sys.executable] if is_python else []), str(self._program)]

    def check(self) -> None:
        """Raise ConfigError unless the program is executable and the class list exists."""
        require_file("model_path", self._program)
        if self._program.suffix != ".py" and not os.access(self._program, os.X_OK):
            raise ConfigError(
                f"--model_path {self._program} is not executable: chmod +x it, or name a .py file, "
                "which this Python runs"
            )
        _ = self.classes

    def digest(self) -> str:
        """16 hexadecimal digits of the program's file and the class list."""
        text = "\n".join([sha256_of(self._program), *self.classes])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def load(self) -> Program:
        """A wrapper of the program, which is started only when there are files to judge."""
        self.check()
        return Program(self._command, self.classes)


class Program:
    """A program that is called for files; see :class:`~vidbench.models.base.FileClassifier`.

    Args:
        command: The program, and arguments before the files.
        classes: Classes that it may print.
    """

    def __init__(self, command: Sequence[str], classes: Sequence[str]) -> None:
        self._command = command
        self._classes = frozenset(classes)

    def judge(self, files: Sequence[Path], seconds: float) -> Sequence[Answer | Skip]:
        """Call the program once for all files; if it fails, once for each, to isolate failures.

        Raises:
            ModelError: The program cannot be started, or its output is invalid.
        """
        calls = _cut(files)
        return [answer for call in calls for answer in self._judge(call, seconds)]

    def _judge(self, files: Sequence[Path], seconds: float) -> Sequence[Answer | Skip]:
        ended = self._run(files, seconds)
        if failure := self._failure(ended, len(files), seconds):
            if len(files) == 1:
                return [Skip(FAILED, failure)]
            return [answer for file in files for answer in self._judge([file], seconds)]
        try:
            return read_answers(ended.output, [str(file) for file in files], self._classes)
        except ModelError as error:
            raise ModelError(f"{self._command[-1]}: {error}{_told(ended)}") from error

    def _run(self, files: Sequence[Path], seconds: float) -> Ended:
        command = [*self._command, *map(str, files)]
        try:
            ended = run_program(command, seconds * len(files), _MOST_BYTES * len(files))
        except OSError as error:
            hint = ": its first line must be one such as #!/bin/sh" * (error.errno == ENOEXEC)
            raise ModelError(
                f"{self._command[-1]} cannot be started: {error.strerror}{hint}"
            ) from error
        if len(ended.output) > _MOST_BYTES * len(files):
            raise ModelError(
                f"{self._command[-1]} prints more than {_MOST_BYTES >> 20} MiB for each video: it "
                "must print a line of JSON for each, and messages for users on standard error"
            )
        return ended

    def _failure(self, ended: Ended, count: int, seconds: float) -> str:
        """Why the program failed; empty if it did not."""
        if ended.code is None:
            return f"the program took longer than {seconds * count:g} s{_told(ended)}"
        if ended.code < 0:
            return f"the program was ended by signal {-ended.code}{_told(ended)}"
        return f"the program ended with code {ended.code}{_told(ended)}" if ended.code else ""


def _told(ended: Ended) -> str:
    """The end of the program's standard error on one line."""
    words = " ".join("".join(c if c.isprintable() else " " for c in ended.tail).split())
    return f": {words[-_SHOWN:]}" if words else ""


def _cut(files: Sequence[Path]) -> list[list[Path]]:
    """Split files into calls whose arguments are short enough for every system."""
    calls: list[list[Path]] = []
    size = _MOST_ARGUMENTS
    for file in files:
        length = len(os.fsencode(file)) + 1
        if size + length > _MOST_ARGUMENTS:
            calls.append([])
            size = 0
        calls[-1].append(file)
        size += length
    return calls
