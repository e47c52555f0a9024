"""Dataset, spec and cache become batches: the KineticsLoader and its general form."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from vidbench.data.cache import CacheKey
from vidbench.data.clips import CachePolicy, ClipSource
from vidbench.data.datasets.base import Dataset, load_dataset
from vidbench.data.prefetch import prefetched
from vidbench.data.prepare import Workers
from vidbench.data.records import Selection, Skip, VideoRecord, Views
from vidbench.data.spec import PreprocessSpec
from vidbench.machine import default_num_workers

logger = logging.getLogger(__name__)

_VIDEOS_PER_WORKER = 8  # to start one takes as long as to decode so many usual videos
_BATCHES_AHEAD = 1  # beside the one in use; a second one would only take memory

DEFAULT_DATA_DIR = Path("data/raw")
DEFAULT_CACHE_DIR = Path("data/processed")


class Batch(NamedTuple):
    """What could be read of consecutive requested videos.

    Attributes:
        rows: Places of the videos in the list of requested ones; a skipped one leaves a gap.
        views: (len(rows), views, frames, height, width, 3), uint8 RGB.
        skips: Why the others were not read, by place.
    """

    rows: list[int]
    views: Views
    skips: Mapping[int, Skip]


class LabelledBatch(NamedTuple):
    """Clips with their labels and video ids.

    Attributes:
        views: (batch, frames, height, width, 3), uint8 RGB; with several views a video
            (batch, views, frames, height, width, 3).
    """

    views: Views
    labels: list[str | None]
    ids: list[str]


class VideoLoader:
    """Batches of clips of any dataset; constructing it does no I/O.

    Args:
        dataset: Where videos and labels come from.
        spec: What is done to their pixels.
        cache_dir: Folder of decoded clips, shared by all datasets and models.
        num_workers: Most decoding processes; None for one a core, 0 to decode in this process.
        policy: Which of the cache's entries are made anew.
        compression: How clips are cached, ``zstd`` or None; lossless, and both kinds are read.
    """

    def __init__(
        self,
        dataset: Dataset,
        spec: PreprocessSpec,
        *,
        cache_dir: Path = DEFAULT_CACHE_DIR,
        num_workers: int | None = None,
        policy: CachePolicy | None = None,
        compression: str | None = None,
    ) -> None:
        self.dataset = dataset
        self.spec = spec
        self._cache_dir = cache_dir
        self._num_workers = default_num_workers() if num_workers is None else num_workers
        self._compression = compression
        self._clips = ClipSource(
            dataset.folder, spec, cache_dir, policy or CachePolicy(), compression
        )

    def select(
        self, num_videos: int | None = None, classes: Sequence[str] | None = None
    ) -> Selection:
        """The requested videos in order, after fetching what they need; None for all."""
        return self.dataset.fetch(num_videos, classes)

    @property
    def work(self) -> Mapping[str, float]:
        """Seconds spent on clips so far, by stage, in all workers together."""
        return self._clips.work.seconds

    @property
    def cache_bytes(self) -> int:
        """Bytes on disk of the clips read so far."""
        return self._clips.cache_bytes

    def skip_stands(self, record: VideoRecord) -> bool:
        """Whether this skipped video need not be tried again: nothing changed, nobody asked."""
        return self._clips.skip_stands(record)

    def prepare(self, records: Sequence[VideoRecord]) -> Mapping[int, Skip]:
        """Why videos cannot be used, by place; all the others are cached afterwards."""
        with self._workers(len(records)) as workers:
            results = enumerate(self._clips.prepare(records, workers, lookahead=0))
            bar = tqdm(results, total=len(records), desc="decode", unit=" videos", disable=None)
            return {row: result for row, result in bar if isinstance(result, Skip)}

    @contextmanager
    def stream(
        self, records: Sequence[VideoRecord], slots: Sequence[Sequence[int]]
    ) -> Iterator[Iterator[Batch]]:
        """An iterator of batches in order; decoding starts on entering and stops on leaving.

        Args:
            records: All requested videos.
            slots: The places of the videos of each batch.
        """
        with self._workers(len(records)) as workers:
            # Workers start here if they are needed, before the caller imports a framework.
            batches = self._batches(records, slots, workers)
            with prefetched(batches, _BATCHES_AHEAD, on_leaving=workers.close) as ahead:
                yield ahead

    @contextmanager
    def _workers(self, num_videos: int) -> Iterator[Workers]:
        useful = math.ceil(num_videos / _VIDEOS_PER_WORKER)
        try:
            with closing(Workers(min(self._num_workers, useful))) as workers:
                yield workers
        finally:
            self._clips.sweep()

    def _batches(
        self, records: Sequence[VideoRecord], slots: Sequence[Sequence[int]], workers: Workers
    ) -> Iterator[Batch]:
        wanted = [records[row] for places in slots for row in places]
        largest = max((len(places) for places in slots), default=0)
        results = self._clips.prepare(wanted, workers, lookahead=largest)
        return self._cut_batches(records, slots, results, workers)

    def _cut_batches(
        self,
        records: Sequence[VideoRecord],
        slots: Sequence[Sequence[int]],
        results: Iterator[CacheKey | Skip],
        workers: Workers,
    ) -> Iterator[Batch]:
        for places in slots:
            rows: list[int] = []
            skips: dict[int, Skip] = {}
            views = np.empty((len(places), *self.spec.views_shape), np.uint8)
            for row in places:
                clip = self._clips.read(records[row], next(results), workers)
                if isinstance(clip, Skip):
                    skips[row] = clip
                else:
                    views[len(rows)] = clip
                    rows.append(row)
            yield Batch(rows, views[: len(rows)], skips)


class KineticsLoader(VideoLoader):
    """Kinetics as cached NumPy arrays; constructing it does no I/O.

    Args:
        version: ``400``, ``600`` or ``700`` (which is 700-2020).
        split: ``train``, ``val`` or ``test``.
        spec: What is done to a video's pixels; None for 100 even frames of the centre square.
        data_dir: Folder of fetched videos.
        cache_dir: Folder of decoded clips.
        root_url: Server or folder that takes the place of the official one.
        seed: Draw the videos at random instead of taking the first ones.
        num_tarballs: Take videos from the first so many tarballs only.
        num_workers: Most decoding processes; None for one a core, 0 to decode in this process.
        compression: How clips are cached, ``zstd`` or None; lossless, and both kinds are read.
    """

    def __init__(
        self,
        version: str = "400",
        split: str = "val",
        spec: PreprocessSpec | None = None,
        *,
        data_dir: Path = DEFAULT_DATA_DIR,
        cache_dir: Path = DEFAULT_CACHE_DIR,
        root_url: str | None = None,
        seed: int | None = None,
        num_tarballs: int | None = None,
        num_workers: int | None = None,
        compression: str | None = None,
    ) -> None:
        dataset = load_dataset(
            f"kinetics/{version}",
            split,
            data_dir=Path(data_dir),
            root_url=root_url,
            seed=seed,
            num_tarballs=num_tarballs,
        )
        super().__init__(
            dataset,
            spec or PreprocessSpec(),
            cache_dir=Path(cache_dir),
            num_workers=num_workers,
            compression=compression,
        )

    @property
    def num_videos_downloaded(self) -> int:
        """How many videos of the split are on disk."""
        return len(self.dataset.paths_on_disk())

    @property
    def num_videos_processed(self) -> int:
        """How many videos of the split are on disk and cached with this spec."""
        return sum(map(self._clips.is_cached, self.dataset.paths_on_disk()))

    def download_n_videos(self, n: int | None = None) -> Selection:
        """The first ``n`` videos of the split (None: all), on disk afterwards.

        Raises:
            FetchError, ArchiveError: A list or a tarball could not be had.
        """
        return self.select(n)

    def load_and_cache_video_examples(self, n: int | None = None) -> Mapping[int, Skip]:
        """Why videos cannot be used, by place; all others of the first ``n`` are cached."""
        return self.prepare(self.select(n).records)

    def get_batches(
        self, num_videos: int | None, batch_size: int, num_frames: int | None = None
    ) -> Iterator[LabelledBatch]:
        """Batches of the first ``num_videos`` videos, the last one as short as it comes.

        A video that cannot be used is missing from its batch, and a warning says why.

        Args:
            num_videos: How many videos; None for the whole split.
            batch_size: Requested videos in a batch.
            num_frames: Frames in a clip, where it is not the spec's: another cache entry.
        """
        loader = self if num_frames is None else self._with_frames(num_frames)
        records = self.select(num_videos).records
        with loader.stream(records, cut(len(records), batch_size)) as batches:
            for batch in batches:
                for row, skip in batch.skips.items():
                    logger.warning("%s skipped: %s", records[row].video_id, skip.detail)
                if batch.rows:
                    yield LabelledBatch(
                        batch.views[:, 0] if loader.spec.num_views == 1 else batch.views,
                        [records[row].label for row in batch.rows],
                        [records[row].video_id for row in batch.rows],
                    )

    def _with_frames(self, num_frames: int) -> VideoLoader:
        return VideoLoader(
            self.dataset,
            replace(self.spec, num_frames=num_frames),
            cache_dir=self._cache_dir,
            num_workers=self._num_workers,
            compression=self._compression,
        )


def cut(count: int, size: int) -> list[range]:
    """``range(count)`` in consecutive pieces of ``size``, the last one as short as it comes."""
    return [range(start, min(start + size, count)) for start in range(0, count, size)]
