"""Whether videos are whole, before a long run: every frame of every file, in worker processes."""

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
    """Whether each video is whole, in order, by :func:`~vidbench.data.video.scan.scan_video`.

    Args:
        videos: Files to decode.
        num_workers: Processes; a decoder that crashes or hangs costs its one video. 0 decodes in
            this process, which shares the decoder's fate.
        timeout_seconds: For one video.
    """
    with closing(Pool(scan_video, num_workers, timeout_seconds)) as pool:
        waiting = iter(videos)
        begun = islice(waiting, 1 + 4 * num_workers)
        window = deque((video, pool.submit(video)) for video in begun)
        while window:
            video, future = window.popleft()
            try:
                scan = pool.result(future, video)
            except LostError as error:
                scan = Scan("broken", str(error))
            yield scan
            window.extend((video, pool.submit(video)) for video in islice(waiting, 1))
