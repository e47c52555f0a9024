"""VideoLoader: batches of clips from a dataset, a spec and the cache."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from vidbench.data.clips.cache import CacheKey
from vidbench.data.clips.features import Array, FeatureCache
from vidbench.data.clips.prepare import Workers
from vidbench.data.clips.source import CachePolicy, ClipSource
from vidbench.data.datasets.base import Dataset
from vidbench.data.records import Selection, Skip, VideoRecord, Views
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import DiskFullError
from vidbench.storage.files import free_bytes
from vidbench.storage.locations import Location, working_folder
from vidbench.system.machine import default_num_workers
from vidbench.system.pool import DEFAULT_TIMEOUT_SECONDS
from vidbench.system.prefetch import prefetched
from vidbench.terminal.progress import progress

logger = logging.getLogger(__name__)

_VIDEOS_PER_WORKER = 8  # starting a worker takes as long as decoding 8 typical videos
_BATCHES_AHEAD = 1  # beside the one in use; a second one would only take memory

DEFAULT_DATA_DIR = Path("data/raw")
DEFAULT_CACHE_DIR = Path("data/processed")


class Batch(NamedTuple):
    """The clips of consecutive requested videos; an index is a video's position in the request.

    Attributes:
        rows: Indices of the videos that were read; a skipped video leaves a gap.
        views: (len(rows), views, frames, height, width, 3), uint8 RGB.
        skips: Why other videos were not read, by index.
        notes: Damage or oddities of videos that were read, by index.
        features: Cached features of videos, whose clips were not read, by index.
        keys: Cache keys of the videos that were read and have no note, by index.
    """

    rows: list[int]
    views: Views
    skips: Mapping[int, Skip]
    notes: Mapping[int, str] = MappingProxyType({})
    features: Mapping[int, Array] = MappingProxyType({})
    keys: Mapping[int, CacheKey] = MappingProxyType({})


class VideoLoader:
    """Batches of clips of any dataset; constructing it does no I/O.

    Args:
        dataset: Source of videos and labels.
        spec: Preprocessing of the videos.
        cache_dir: Folder or URL of decoded clips, shared by all datasets and models.
        num_workers: Maximum number of decoding processes; None for one per core, 0 to decode in
            this process.
        policy: Which cache entries are created again.
        compression: Compression of cached clips, ``zstd`` or None; lossless, and both can be read.
        timeout_seconds: Limit for one video; a decoder that takes longer is ended, and the video
            is skipped.
        features: Cache of the model's features, if it has one; clips with cached features are not
            read.
        videos: Folder or URL of the videos, if it is not the folder of the dataset.
        hashes: SQLite file with the hashes of video files; None for one beside the clips.
        sweep: Remove temporary files of killed workers from the cache when batches end; slow for a
            large cache. If False, call :meth:`sweep` yourself.
    """

    def __init__(
        self,
        dataset: Dataset,
        spec: PreprocessSpec,
        *,
        cache_dir: Location = DEFAULT_CACHE_DIR,
        num_workers: int | None = None,
        policy: CachePolicy | None = None,
        compression: str | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        features: FeatureCache | None = None,
        videos: Location | None = None,
        hashes: Path | None = None,
        sweep: bool = True,
    ) -> None:
        self.dataset = dataset
        self.spec = spec
        self.features = features
        self._cache_dir = cache_dir
        self._num_workers = default_num_workers() if num_workers is None else num_workers
        self._policy = policy or CachePolicy()
        self._compression = compression
        self._timeout_seconds = timeout_seconds
        self._sweeps = sweep
        folder = dataset.folder if videos is None else videos
        self._clips = ClipSource(folder, spec, cache_dir, self._policy, compression, hashes)

    def select(
        self, num_videos: int | None = None, classes: Sequence[str] | None = None
    ) -> Selection:
        """Fetch and return the requested videos in order; None for all."""
        return self.dataset.fetch(num_videos, classes)

    @property
    def seconds_by_stage(self) -> Mapping[str, float]:
        """Seconds spent on clips so far, by stage, in all workers together."""
        return self._clips.work.seconds

    @property
    def cache_bytes(self) -> int:
        """Size on disk of the clips read so far, in bytes."""
        return self._clips.cache_bytes

    def sweep(self) -> None:
        """Remove temporary files that killed workers left in the clip cache."""
        self._clips.sweep()

    def skip_is_final(self, record: VideoRecord) -> bool:
        """Whether this skipped video need not be tried again: the file and options are the same."""
        return self._clips.skip_is_final(record)

    def require_room(self, records: Sequence[VideoRecord]) -> None:
        """Raise DiskFullError unless the disk has room for the clips that are not cached yet.

        With compression this is only a warning: how much it saves depends on the videos.
        """
        free, each = free_bytes(working_folder(self._cache_dir)), self.spec.views_bytes
        if len(records) * each <= free:
            return  # avoids looking up every clip twice in long runs
        missing = sum(
            not self._clips.is_cached(record)
            for record in records
            if record.path and self._key_with_features(record) is None
        )
        if missing * each <= free:
            return
        shortage = (
            f"{missing} clips of {each / 1e6:.1f} MB are not cached yet, "
            f"{missing * each / 1e9:.1f} GB; {self._cache_dir} has {free / 1e9:.1f} GB free"
        )
        if self._compression is None:
            raise DiskFullError(
                f"{shortage}: use --cache_compression zstd, another --cache_dir, or fewer videos"
            )
        logger.warning("%s: enough only if compression saves the difference", shortage)

    def prepare(self, records: Sequence[VideoRecord]) -> Mapping[int, Skip]:
        """Cache the clips of all videos; return why videos cannot be used, by index."""
        skips: dict[int, Skip] = {}
        with self.workers(len(records)) as workers, progress("decode", len(records)) as advance:
            for row, result in enumerate(self.results(records, workers)):
                if isinstance(result, Skip):
                    skips[row] = result
                advance(1)
        return skips

    def results(
        self, records: Sequence[VideoRecord], workers: Workers, lookahead: int = 0
    ) -> Iterator[CacheKey | Skip]:
        """Yield the cache key of each video's clip, or why there is none, in order.

        Decoding starts at once. A video with cached features may have no cached clip.

        Args:
            records: The videos.
            workers: Processes that decode videos missing from the cache.
            lookahead: Number of later videos to decode in advance, beyond those that keep the
                workers busy.
        """
        cached = {
            row: key
            for row, record in enumerate(records)
            if (key := self._key_with_features(record))
        }
        missing = [record for row, record in enumerate(records) if row not in cached]
        prepared = self._clips.prepare(missing, workers, lookahead)
        return (cached[row] if row in cached else next(prepared) for row in range(len(records)))

    @contextmanager
    def stream(
        self,
        records: Sequence[VideoRecord],
        slots: Sequence[Sequence[int]],
        results: Sequence[CacheKey | Skip] | None = None,
    ) -> Iterator[Iterator[Batch]]:
        """An iterator of batches in order; decoding starts on entering and stops on leaving.

        Args:
            records: All requested videos.
            slots: Indices of the videos of each batch.
            results: Values of :meth:`results` for these indices, batch after batch; None to
                compute them here, ahead of the batches.
        """
        with self.workers(len(records)) as workers:
            if results is None:
                wanted = [records[row] for slot in slots for row in slot]
                largest = max(map(len, slots), default=0)
                keys = self.results(wanted, workers, largest)
            else:
                keys = iter(results)
            batches = self._cut_batches(records, slots, keys, workers)
            with prefetched(batches, _BATCHES_AHEAD, on_leaving=workers.close) as ahead:
                yield ahead

    @contextmanager
    def workers(self, num_videos: int) -> Iterator[Workers]:
        """Decoding processes for ``num_videos`` videos, started when the first one is needed."""
        useful = math.ceil(num_videos / _VIDEOS_PER_WORKER)
        try:
            number = min(self._num_workers, useful)
            logger.debug("%d videos, at most %d decoding processes", num_videos, number)
            with closing(Workers(number, self._timeout_seconds)) as workers:
                yield workers
        finally:
            if self._sweeps:
                self.sweep()

    def _key_with_features(self, record: VideoRecord) -> CacheKey | None:
        """Cache key of this video if its features are cached, else None."""
        if self.features is None:
            return None
        key = self._clips.known_key(record)
        return key if key and self.features.has(key) else None

    def _cut_batches(
        self,
        records: Sequence[VideoRecord],
        slots: Sequence[Sequence[int]],
        results: Iterator[CacheKey | Skip],
        workers: Workers,
    ) -> Iterator[Batch]:
        for slot in slots:
            rows: list[int] = []
            skips: dict[int, Skip] = {}
            notes: dict[int, str] = {}
            features: dict[int, Array] = {}
            keys: dict[int, CacheKey] = {}
            views = np.empty((len(slot), *self.spec.views_shape), np.uint8)
            for row in slot:
                result = next(results)
                if (cached := self._read_features(result)) is not None:
                    features[row] = cached
                    continue
                clip = self._clips.read(records[row], result, workers)
                if isinstance(clip, Skip):
                    skips[row] = clip
                    continue
                views[len(rows)] = clip
                rows.append(row)
                if isinstance(result, CacheKey) and (note := self._note(result)):
                    notes[row] = note
                elif isinstance(result, CacheKey):
                    keys[row] = result
            yield Batch(rows, views[: len(rows)], skips, notes, features, keys)

    def _note(self, result: CacheKey) -> str:
        """Damage and oddities of a video that was read; empty if there are none."""
        damage = self._clips.damage(result)
        notes = [f"{damage.reason}: {damage.detail}"] if damage else []
        return "; ".join([*notes, *filter(None, [self._clips.note(result)])])

    def _read_features(self, result: CacheKey | Skip) -> Array | None:
        if self.features is None or isinstance(result, Skip) or self._policy.overwrite:
            return None
        return self.features.read(result)


def batched(count: int, size: int) -> list[range]:
    """``range(count)`` in consecutive pieces of ``size``; the last one may be shorter."""
    return [range(start, min(start + size, count)) for start in range(0, count, size)]
