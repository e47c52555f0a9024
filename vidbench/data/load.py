"""Dataset, spec and cache become batches: the KineticsLoader and its general form."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from tqdm import tqdm

from vidbench.data.cache import CacheKey, ClipCache
from vidbench.data.datasets.base import Dataset, load_dataset
from vidbench.data.hashes import HashMemory
from vidbench.data.prepare import Prepared, Task, Workers, available_cores, prepared
from vidbench.data.records import Selection, Skip, VideoRecord, Views
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import CacheError

logger = logging.getLogger(__name__)

_Item = TypeVar("_Item")
_BATCHES_AHEAD = 2

DEFAULT_DATA_DIR = Path("data/raw")
DEFAULT_CACHE_DIR = Path("data/processed")


class Batch(NamedTuple):
    """What could be read of consecutive requested videos.

    Attributes:
        rows: Places of the videos in the list of requested ones; a skipped one leaves a gap.
        views: (len(rows) * views per video, frames, height, width, 3), uint8 RGB.
        skips: Why the others were not read, by place.
    """

    rows: list[int]
    views: Views
    skips: Mapping[int, Skip]


class LabelledBatch(NamedTuple):
    """Views (batch, frames, height, width, 3) uint8 RGB, with their labels and video ids."""

    views: Views
    labels: list[str | None]
    ids: list[str]


@dataclass(frozen=True)
class CachePolicy:
    """Which of the cache's entries are made anew.

    Attributes:
        overwrite: Decode again what is read.
        retry_skipped: Try skipped videos again.
    """

    overwrite: bool = False
    retry_skipped: bool = False


class VideoLoader:
    """Batches of clips of any dataset; constructing it does no I/O.

    Args:
        dataset: Where videos and labels come from.
        spec: What is done to their pixels.
        cache_dir: Folder of decoded clips, shared by all datasets and models.
        num_workers: Decoding processes; None for one a core, 0 to decode in this process.
        policy: Which of the cache's entries are made anew.
    """

    def __init__(
        self,
        dataset: Dataset,
        spec: PreprocessSpec,
        *,
        cache_dir: Path = DEFAULT_CACHE_DIR,
        num_workers: int | None = None,
        policy: CachePolicy | None = None,
    ) -> None:
        self.dataset = dataset
        self.spec = spec
        self._cache = ClipCache(cache_dir)
        self._hashes = HashMemory(cache_dir / "files.sqlite")
        self._num_workers = available_cores() if num_workers is None else num_workers
        self._policy = policy or CachePolicy()

    def select(self, num_videos: int | None = None) -> Selection:
        """The requested videos in order, after fetching what they need; None for all."""
        return self.dataset.fetch(num_videos)

    def skip_stands(self, record: VideoRecord) -> bool:
        """Whether this skipped video need not be tried again: nothing changed, nobody asked."""
        if not self._file(record).is_file():
            return True
        if self._policy.retry_skipped:
            return False
        key = self._known_key(self._file(record))
        return key is not None and self._cache.read_skip(key) is not None

    def prepare(self, records: Sequence[VideoRecord]) -> Mapping[int, Skip]:
        """Why videos cannot be used, by place; all the others are cached afterwards."""
        with closing(Workers(self._num_workers)) as workers:
            results = enumerate(self._prepare_ahead(records, workers, lookahead=0))
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
        self._cache.sweep()
        with closing(Workers(self._num_workers)) as workers:
            batches = self._batches(records, slots, workers)
            with _prefetched(batches, _BATCHES_AHEAD, on_leaving=workers.close) as ahead:
                yield ahead

    def _batches(
        self, records: Sequence[VideoRecord], slots: Sequence[Sequence[int]], workers: Workers
    ) -> Iterator[Batch]:
        wanted = [records[row] for places in slots for row in places]
        largest = max((len(places) for places in slots), default=0)
        results = self._prepare_ahead(wanted, workers, lookahead=largest)
        for places in slots:
            rows: list[int] = []
            clips: list[Views] = []
            skips: dict[int, Skip] = {}
            for row in places:
                clip = self._read(records[row], next(results), workers)
                if isinstance(clip, Skip):
                    skips[row] = clip
                else:
                    rows.append(row)
                    clips.append(clip)
            yield Batch(rows, np.concatenate(clips) if clips else self._no_views(), skips)

    def _no_views(self) -> Views:
        size = self.spec.crop_size
        return np.empty((0, self.spec.num_frames, size, size, 3), np.uint8)

    def _prepare_ahead(
        self, records: Sequence[VideoRecord], workers: Workers, lookahead: int
    ) -> Iterator[CacheKey | Skip]:
        """Where the clip of each video is, in order; later ones are decoded meanwhile."""
        window: deque[tuple[VideoRecord, Future[Prepared]]] = deque()
        for record in records:
            window.append((record, self._begin(record, workers)))
            if len(window) > lookahead + 2 * workers.num_workers:
                yield self._finish(*window.popleft())
        while window:
            yield self._finish(*window.popleft())

    def _begin(self, record: VideoRecord, workers: Workers) -> Future[Prepared]:
        """The future of one video; known at once if the video is missing or its clip cached."""
        file = self._file(record)
        if not file.is_file():
            return _done(Prepared(Skip("missing", "no tarball holds this video")))
        key = self._known_key(file)
        if key and self._cache.has(key) and not self._policy.overwrite:
            return _done(Prepared(key))
        return workers.submit(self._task(file, key, overwrite=self._policy.overwrite))

    def _finish(self, record: VideoRecord, future: Future[Prepared]) -> CacheKey | Skip:
        outcome = prepared(future)
        if outcome.identity and outcome.sha256:
            self._hashes.remember(self._file(record), outcome.identity, outcome.sha256)
        return outcome.result

    def _read(self, record: VideoRecord, result: CacheKey | Skip, workers: Workers) -> Views | Skip:
        """The clip from the cache; one that turns out damaged is decoded again."""
        if isinstance(result, Skip):
            return result
        try:
            return self._cache.read(result)
        except CacheError as error:
            logger.warning("%s; decoding it again", error)
        again = prepared(workers.submit(self._task(self._file(record), result, overwrite=True)))
        return again.result if isinstance(again.result, Skip) else self._cache.read(again.result)

    def _task(self, file: Path, key: CacheKey | None, *, overwrite: bool) -> Task:
        return Task(
            file,
            self.spec,
            self._cache,
            sha256=key.sha256 if key else None,
            overwrite=overwrite,
            retry=self._policy.retry_skipped,
        )

    def _file(self, record: VideoRecord) -> Path:
        """The record's file; the data folder itself, no file, where it has none."""
        return self.dataset.folder / (record.path or "")

    def _known_key(self, file: Path) -> CacheKey | None:
        try:
            sha256 = self._hashes.recall(file)
        except OSError:
            return None
        return CacheKey(sha256, self.spec) if sha256 else None


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
        num_workers: Decoding processes; None for one a core, 0 to decode in this process.
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
        )

    @property
    def num_videos_downloaded(self) -> int:
        """How many videos of the split are on disk."""
        return len(self.dataset.paths_on_disk())

    @property
    def num_videos_processed(self) -> int:
        """How many videos of the split are on disk and cached with this spec."""
        return sum(map(self._is_cached, self.dataset.paths_on_disk()))

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
                        batch.views,
                        [records[row].label for row in batch.rows],
                        [records[row].video_id for row in batch.rows],
                    )

    def _with_frames(self, num_frames: int) -> VideoLoader:
        return VideoLoader(
            self.dataset,
            replace(self.spec, num_frames=num_frames),
            cache_dir=self._cache.folder,
            num_workers=self._num_workers,
        )

    def _is_cached(self, path: Path) -> bool:
        key = self._known_key(self.dataset.folder / path)
        return key is not None and self._cache.has(key)


def cut(count: int, size: int) -> list[range]:
    """``range(count)`` in consecutive pieces of ``size``, the last one as short as it comes."""
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def _done(outcome: Prepared) -> Future[Prepared]:
    future: Future[Prepared] = Future()
    future.set_result(outcome)
    return future


@contextmanager
def _prefetched(
    items: Iterator[_Item], depth: int, on_leaving: Callable[[], None]
) -> Iterator[Iterator[_Item]]:
    """The same items, made by a thread that starts on entering and runs ``depth`` items ahead."""
    with ThreadPoolExecutor(1) as thread:
        end = object()
        pending = deque(thread.submit(next, items, end) for _ in range(depth))

        def ahead() -> Iterator[_Item]:
            while (item := pending.popleft().result()) is not end:
                pending.append(thread.submit(next, items, end))
                yield item  # type: ignore[misc]

        try:
            yield ahead()
        finally:
            on_leaving()  # ends what the thread may be waiting for
            thread.shutdown(cancel_futures=True)
