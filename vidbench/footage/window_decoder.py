"""Decode windows of video files in a process that may crash, hang, or use too much memory.

It decodes one file at a time, in one thread, while the model predicts earlier windows. Windows are
sent through a pipe, which slows the decoder down if the model is slower.
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
    """Properties of a video, known after all its windows.

    Attributes:
        seconds: Time from its first frame to the end of the last.
        grid: Grid of the windows.
        damage: What is missing, if it is truncated but treated as whole; else empty.
        note: Oddities of the file; empty if there are none.
    """

    seconds: float
    grid: Grid
    damage: str = ""
    note: str = ""


class WindowTask(NamedTuple):
    """How to cut videos into windows; see :func:`lay_grid` and :func:`slice_windows`.

    Attributes:
        keep_truncated: Treat the decodable frames of a truncated video as the whole video.
        frames: Properties of folders of frames.
    """

    spec: PreprocessSpec
    window_seconds: float | None = None
    step_seconds: float | None = None
    keep_truncated: bool = False
    frames: FrameFolder | None = None


def file_windows(path: Path, task: WindowTask, put: Callable[[Window], None]) -> Footage:
    """Pass all windows of a file to ``put``, in this process, and return its properties.

    Raises:
        VideoError: It is unreadable, truncated, or too short.
    """
    # Imported here, so that the process of the model does not load decoders.
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
    """Decodes files one after another, in a process that is replaced if a file crashes it.

    Args:
        task: How to cut each file into windows.
        timeout_seconds: Limit for one window; a process that takes longer is replaced.
    """

    def __init__(self, task: WindowTask, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> None:
        self._task = task
        self._timeout_seconds = timeout_seconds
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None

    def windows(self, path: Path, put: Callable[[Window], None]) -> Footage:
        """Like :func:`file_windows`; decoding continues while ``put`` is running.

        Raises:
            VideoError: It is unreadable, truncated or too short; or its decoder crashed or hung.
        """
        answered = False
        try:
            connection = self._connect()
            connection.send(path)
            while isinstance(answer := self._receive(connection), Window):
                put(answer)
            answered = True
        finally:
            if not answered:
                self.close()
        if isinstance(answer, Skip):
            raise VideoError(*answer)
        return answer

    def close(self) -> None:
        """End the process at once; the next video starts a new one."""
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
            theirs.close()  # so that the end of the process is noticed
        return self._connection

    def _receive(self, connection: Connection) -> Window | Footage | Skip:
        late = threading.Event()

        def give_up() -> None:
            late.set()
            if (process := self._process) is not None:
                process.kill()  # also ends a message that is only partly received

        timer = threading.Timer(self._timeout_seconds, give_up)
        timer.daemon = True  # a signal may end this before it is cancelled
        try:
            timer.start()
            return connection.recv()  # type: ignore[no-any-return]
        except (EOFError, OSError) as error:
            timeout = f"decoding a window takes longer than {self._timeout_seconds:g} s"
            raise VideoError(
                "unreadable", timeout if late.is_set() else self._reason_of_end()
            ) from error
        finally:
            timer.cancel()

    def _reason_of_end(self) -> str:
        if self._process is None:
            return "the decoder's process is gone"
        self._process.join(_END_SECONDS)
        return f"the decoder's process ended with exit code {self._process.exitcode}"


def _serve(connection: Connection, task: WindowTask) -> None:
    """Main loop of the process: receive a path, send its windows and then its properties."""
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
