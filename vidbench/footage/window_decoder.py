"""Windows of video files, decoded in a process that may crash, hang, or want too much memory.

It decodes one file at a time, in one thread, while the model is at work on the windows before.
Windows come through a pipe, which holds the decoder back where the model is slower.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vidbench.data.records import FrameFolder, Skip
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import VideoError
from vidbench.footage.windows import Grid, Window, lay_grid, slice_windows
from vidbench.system.pool import DEFAULT_TIMEOUT_SECONDS, MEMORY_BYTES, start_worker
from vidbench.terminal.signals import block_signals_in_children

if TYPE_CHECKING:
    from vidbench.footage.frames import TimedFrame

_END_SECONDS = 5.0


class Footage(NamedTuple):
    """What is known of a video once all its windows are there.

    Attributes:
        seconds: From its first frame to the end of the last.
        grid: Where windows lie.
        damage: Why it is no whole video, if it is truncated and taken for a whole one; else empty.
        note: What is odd about it, if anything.
    """

    seconds: float
    grid: Grid
    damage: str = ""
    note: str = ""


class WindowTask(NamedTuple):
    """What is wanted of videos: see :func:`lay_grid` and :func:`slice_windows`.

    Attributes:
        keep_truncated: Take what decodes of a truncated video for the whole.
        frames: What is known of videos that are folders of frames.
    """

    spec: PreprocessSpec
    window_seconds: float | None = None
    step_seconds: float | None = None
    keep_truncated: bool = False
    frames: FrameFolder | None = None


def file_windows(path: Path, task: WindowTask, put: Callable[[Window], None]) -> Footage:
    """What the file is, after all its windows were given to ``put``, in this process.

    Raises:
        VideoError: It is unreadable, truncated, or too short.
    """
    # Here, because the process that runs the model has no use for decoders in its memory.
    from vidbench.footage.frames import file_frames

    begin, end, damage = None, 0.0, ""

    def watched(frames: Iterator[TimedFrame]) -> Iterator[TimedFrame]:
        nonlocal begin, end, damage
        try:
            for frame in frames:
                begin = frame.seconds if begin is None else begin
                end = frame.seconds + frame.lasts
                yield frame
        except VideoError as error:
            if error.reason != "truncated" or not task.keep_truncated:
                raise
            damage = str(error)

    with file_frames(path, task.spec, task.frames) as (period, frames, note):
        grid = lay_grid(task.spec, period, task.window_seconds, task.step_seconds)
        for window in slice_windows(watched(frames), grid, task.spec):
            put(window)
    return Footage(end - (begin or 0.0), grid, damage, note)


class WindowDecoder:
    """Decodes files one after another, in a process that is replaced if one takes it down.

    Args:
        task: What is wanted of each.
        timeout_seconds: For one window; a process that takes longer is replaced.
    """

    def __init__(self, task: WindowTask, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> None:
        self._task = task
        self._timeout_seconds = timeout_seconds
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None

    def windows(self, path: Path, put: Callable[[Window], None]) -> Footage:
        """As :func:`file_windows`; decoding goes on while ``put`` is at work.

        Raises:
            VideoError: It is unreadable, truncated or too short; or its decoder crashed or hung.
        """
        answered = False
        try:
            connection = self._connect()
            connection.send(path)
            while isinstance(found := self._receive(connection), Window):
                put(found)
            answered = True
        finally:
            if not answered:
                self.close()
        if isinstance(found, Skip):
            raise VideoError(*found)
        return found

    def close(self) -> None:
        """Ends the process and whatever it is doing; another video starts a new one."""
        process, self._process = self._process, None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        if process is not None:
            process.kill()
            process.join(_END_SECONDS)

    def _connect(self) -> Connection:
        if self._connection is None:
            context = multiprocessing.get_context("spawn")
            self._connection, theirs = context.Pipe()
            self._process = context.Process(target=_serve, args=(theirs, self._task), daemon=True)
            with block_signals_in_children():
                self._process.start()
            theirs.close()  # or nobody would notice that the process is gone
        return self._connection

    def _receive(self, connection: Connection) -> Window | Footage | Skip:
        late = threading.Event()

        def give_up() -> None:
            late.set()
            if (process := self._process) is not None:
                process.kill()  # which ends the message that may have come in half

        timer = threading.Timer(self._timeout_seconds, give_up)
        timer.daemon = True  # a signal may end this before it is cancelled
        try:
            timer.start()
            return connection.recv()  # type: ignore[no-any-return]
        except (EOFError, OSError) as error:
            taken = f"decoding a window takes longer than {self._timeout_seconds:g} s"
            raise VideoError(
                "unreadable", taken if late.is_set() else self._last_words()
            ) from error
        finally:
            timer.cancel()

    def _last_words(self) -> str:
        if self._process is None:
            return "the decoder's process is gone"
        self._process.join(_END_SECONDS)
        return f"the decoder's process ended with exit code {self._process.exitcode}"


def _serve(connection: Connection, task: WindowTask) -> None:
    """What the process does: a path comes in, windows and then one word about the whole go out."""
    start_worker()
    while True:
        try:
            path = connection.recv()
        except EOFError:
            return
        connection.send(_answer(path, task, connection.send))


def _answer(path: Path, task: WindowTask, put: Callable[[Window], None]) -> Footage | Skip:
    try:
        return file_windows(path, task, put)
    except VideoError as error:
        return Skip(error.reason, " ".join(error.detail.split()))
    except MemoryError:
        detail = f"decoding needs more than {MEMORY_BYTES >> 20} MiB: lower --window_seconds"
        return Skip("unreadable", detail)
