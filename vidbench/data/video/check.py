"""Check whole videos before a long run: decode every frame of every file in worker processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

from vidbench.data.video.scan import Scan, scan_video
from vidbench.system.pool import DEFAULT_TIMEOUT_SECONDS, LostError, Pool


def check_videos(
    videos: Sequence[Path], num_workers: int, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
) -> Iterator[Scan]:
    """Scan each video in order; see :func:`~vidbench.data.video.scan.scan_video`.

    Args:
        videos: Files to decode.
        num_workers: Number of processes; a decoder that crashes or hangs affects only its video.
            0 decodes in this process, where a crash ends the program.
        timeout_seconds: Limit for one video.
    """
    with closing(Pool(scan_video, num_workers, timeout_seconds)) as pool:
        waiting = iter(videos)
        first = islice(waiting, 1 + 4 * num_workers)
        window = deque((video, pool.submit(video)) for video in first)
        while window:
            video, future = window.popleft()
            try:
                scan = pool.result(future, video)
            except LostError as error:
                scan = Scan("broken", str(error))
            yield scan
            window.extend((video, pool.submit(video)) for video in islice(waiting, 1))
