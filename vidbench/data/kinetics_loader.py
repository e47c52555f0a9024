"""Kinetics as batches of NumPy arrays, for programs and notebooks."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from vidbench.data.datasets.base import load_dataset
from vidbench.data.loader import DEFAULT_CACHE_DIR, DEFAULT_DATA_DIR, VideoLoader, batched
from vidbench.data.records import Selection, Skip, VideoRecord, Views
from vidbench.data.spec import PreprocessSpec

logger = logging.getLogger(__name__)


class LabelledBatch(NamedTuple):
    """Clips with their labels and video ids.

    Attributes:
        views: (batch, frames, height, width, 3), uint8 RGB; with several views per video
            (batch, views, frames, height, width, 3).
        labels: Class name of each video; None in a split without labels.
        ids: Video ids.
    """

    views: Views
    labels: list[str | None]
    ids: list[str]


class KineticsLoader(VideoLoader):
    """Kinetics as cached NumPy arrays; constructing it does no I/O.

    Args:
        version: ``400``, ``600`` or ``700`` (which is 700-2020).
        split: ``train``, ``val`` or ``test``.
        spec: Preprocessing; None for 100 evenly spaced frames of the centre square.
        data_dir: Folder of fetched videos.
        cache_dir: Folder of decoded clips.
        root_url: Server or folder to use instead of the official one.
        seed: Draw the videos at random instead of taking the first ones.
        num_tarballs: Take videos from the first ``num_tarballs`` tarballs only.
        annotations: The official list, as a file or URL, if it is not in its usual place.
        num_workers: Maximum number of decoding processes; None for one per core, 0 to decode in
            this process.
        compression: Compression of cached clips, ``zstd`` or None; lossless, and both can be read.
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
        annotations: str | None = None,
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
            annotations=annotations,
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
        """Number of videos of the split that are on disk."""
        return len(self.dataset.paths_on_disk())

    @property
    def num_videos_processed(self) -> int:
        """Number of videos of the split that are on disk and cached with this spec."""
        return sum(
            self._clips.is_cached(VideoRecord(str(path), path, None))
            for path in self.dataset.paths_on_disk()
        )

    def download_n_videos(self, n: int | None = None) -> Selection:
        """Fetch and return the first ``n`` videos of the split (None: all).

        Raises:
            FetchError, ArchiveError: A list or a tarball could not be fetched or extracted.
        """
        return self.select(n)

    def load_and_cache_video_examples(self, n: int | None = None) -> Mapping[int, Skip]:
        """Cache the first ``n`` videos; return why videos cannot be used, by index."""
        return self.prepare(self.select(n).records)

    def get_batches(
        self, num_videos: int | None, batch_size: int, num_frames: int | None = None
    ) -> Iterator[LabelledBatch]:
        """Yield batches of the first ``num_videos`` videos; the last one may be shorter.

        A video that cannot be used is left out of its batch, with a warning that says why.

        Args:
            num_videos: Number of videos; None for the whole split.
            batch_size: Requested videos per batch.
            num_frames: Frames per clip, if other than the spec's; cached separately.
        """
        loader = self if num_frames is None else self._with_frames(num_frames)
        records = self.select(num_videos).records
        with loader.stream(records, batched(len(records), batch_size)) as batches:
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
