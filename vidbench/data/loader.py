"""Dataset, spec and cache become batches."""

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
from vidbench.data.clips.source import CachePolicy, ClipSource, Places
from vidbench.data.datasets.base import Dataset
from vidbench.data.records import Selection, Skip, VideoRecord, Views
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import DiskFullError
from vidbench.storage.files import free_bytes
from vidbench.system.machine import default_num_workers
from vidbench.system.pool import DEFAULT_TIMEOUT_SECONDS
from vidbench.system.prefetch import prefetched
from vidbench.terminal.progress import progress

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
        notes: What is wrong or odd with videos that were read, by place.
        features: What the model made earlier of videos, which were not read, by place.
        keys: What the clips of videos that were read, and have no note, are found by, by place.
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
        dataset: Where videos and labels come from.
        spec: What is done to their pixels.
        cache_dir: Folder of decoded clips, shared by all datasets and models.
        num_workers: Most decoding processes; None for one a core, 0 to decode in this process.
        policy: Which of the cache's entries are made anew.
        compression: How clips are cached, ``zstd`` or None; lossless, and both kinds are read.
        timeout_seconds: For one video; a decoder that takes longer is ended, and skips it.
        features: Where the model keeps what it makes of clips, if it does; clips of which there
            are features are not read.
        places: Where files lie if they are shared with other machines.
        sweep: Look for what killed workers left in the cache whenever batches end, which takes
            as long as the cache is large; otherwise whoever calls :meth:`sweep` does.
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
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        features: FeatureCache | None = None,
        places: Places | None = None,
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
        self._clips = ClipSource(dataset.folder, spec, cache_dir, self._policy, compression, places)

    def select(
        self, num_videos: int | None = None, classes: Sequence[str] | None = None
    ) -> Selection:
        """The requested videos in order, after fetching what they need; None for all."""
        return self.dataset.fetch(num_videos, classes)

    @property
    def seconds_by_stage(self) -> Mapping[str, float]:
        """Seconds spent on clips so far, by stage, in all workers together."""
        return self._clips.work.seconds

    @property
    def cache_bytes(self) -> int:
        """Bytes on disk of the clips read so far."""
        return self._clips.cache_bytes

    def sweep(self) -> None:
        """Removes what killed workers left in the cache of clips half written."""
        self._clips.sweep()

    def skip_is_final(self, record: VideoRecord) -> bool:
        """Whether this skipped video need not be tried again: nothing changed, nobody asked."""
        return self._clips.skip_is_final(record)

    def require_room(self, records: Sequence[VideoRecord]) -> None:
        """Check that the disk has room for the clips that are not cached yet.

        With compression only a warning is given: how much it saves depends on the videos.

        Raises:
            DiskFullError: It has not; nothing was decoded yet.
        """
        free, each = free_bytes(self._cache_dir), self.spec.views_bytes
        if len(records) * each <= free:
            return  # so that long runs need not look for each clip twice
        missing = sum(
            not self._clips.is_cached(record)
            for record in records
            if record.path and self._kept_features(record) is None
        )
        if missing * each <= free:
            return
        found = (
            f"{missing} clips of {each / 1e6:.1f} MB are not cached yet, "
            f"{missing * each / 1e9:.1f} GB; {self._cache_dir} has {free / 1e9:.1f} GB free"
        )
        if self._compression is None:
            raise DiskFullError(
                f"{found}: take --cache_compression zstd, another --cache_dir, or fewer videos"
            )
        logger.warning("%s: it will do if compression saves as much", found)

    def prepare(self, records: Sequence[VideoRecord]) -> Mapping[int, Skip]:
        """Why videos cannot be used, by place; all the others are cached afterwards."""
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
        """Where the clip of each video is, or why there is none, in order; begins at once.

        A clip of which there are features need not be there.

        Args:
            records: The videos.
            workers: Decode what the cache lacks.
            lookahead: How many later videos are decoded meanwhile, beside those that keep the
                workers busy.
        """
        kept = {row: key for row, one in enumerate(records) if (key := self._kept_features(one))}
        wanted = [record for row, record in enumerate(records) if row not in kept]
        prepared = self._clips.prepare(wanted, workers, lookahead)
        return (kept[row] if row in kept else next(prepared) for row in range(len(records)))

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
            slots: The places of the videos of each batch.
            results: What :meth:`results` gave for these places, one batch after another; None
                to do that work here, ahead of the batches.
        """
        with self.workers(len(records)) as workers:
            if results is None:
                wanted = [records[row] for places in slots for row in places]
                largest = max((len(places) for places in slots), default=0)
                found = self.results(wanted, workers, largest)
            else:
                found = iter(results)
            batches = self._cut_batches(records, slots, found, workers)
            with prefetched(batches, _BATCHES_AHEAD, on_leaving=workers.close) as ahead:
                yield ahead

    @contextmanager
    def workers(self, num_videos: int) -> Iterator[Workers]:
        """Decoding processes for so many videos, started when the first one is to be decoded."""
        useful = math.ceil(num_videos / _VIDEOS_PER_WORKER)
        try:
            number = min(self._num_workers, useful)
            logger.debug("%d videos, at most %d decoding processes", num_videos, number)
            with closing(Workers(number, self._timeout_seconds)) as workers:
                yield workers
        finally:
            if self._sweeps:
                self.sweep()

    def _kept_features(self, record: VideoRecord) -> CacheKey | None:
        """What the features of this video are found by, if there are any."""
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
        for places in slots:
            rows: list[int] = []
            skips: dict[int, Skip] = {}
            notes: dict[int, str] = {}
            features: dict[int, Array] = {}
            keys: dict[int, CacheKey] = {}
            views = np.empty((len(places), *self.spec.views_shape), np.uint8)
            for row in places:
                result = next(results)
                if (found := self._read_features(result)) is not None:
                    features[row] = found
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
        """What is wrong or odd with a video that was read."""
        damage = self._clips.damage(result)
        found = [f"{damage.reason}: {damage.detail}"] if damage else []
        return "; ".join([*found, *filter(None, [self._clips.note(result)])])

    def _read_features(self, result: CacheKey | Skip) -> Array | None:
        if self.features is None or isinstance(result, Skip) or self._policy.overwrite:
            return None
        return self.features.read(result)


def batched(count: int, size: int) -> list[range]:
    """``range(count)`` in consecutive pieces of ``size``, the last one as short as it comes."""
    return [range(start, min(start + size, count)) for start in range(0, count, size)]
