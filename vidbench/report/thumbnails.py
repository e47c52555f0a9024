"""Thumbnails: a strip of the frames that a run's model saw, for each of its videos.

They come from the cached clips, or from the videos where these are gone, and are kept in the run's
folder, so that a folder that was moved away from both still shows them.
"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from vidbench.data.clips.prepare import Workers
from vidbench.data.clips.source import CachePolicy, ClipSource
from vidbench.data.records import Skip, VideoRecord, Views
from vidbench.data.spec import PreprocessSpec
from vidbench.data.views import fewer_views
from vidbench.errors import ConfigError
from vidbench.runs.finished import FinishedRun
from vidbench.storage.files import disk_errors, replacing
from vidbench.storage.locations import is_remote
from vidbench.system.machine import default_num_workers
from vidbench.visualize.videos import encode_jpeg, frame_strip

logger = logging.getLogger(__name__)

FILE = "thumbnails.zip"
"""The run's file of strips, ``<row>.jpg`` each."""

_MAX_BYTES = 1 << 20  # of one strip; an archive is not trusted, though we wrote it
_DATE = (1980, 1, 1, 0, 0, 0)  # equal strips, equal bytes


def collect_thumbnails(run: FinishedRun, rows: Sequence[int]) -> Mapping[int, bytes]:
    """The strips of these rows, as JPEG, by row; without those whose frames are nowhere to be had.

    What had to be made is kept in the run's folder.

    Args:
        run: Tells where its clips and videos were.
        rows: Places in its predictions; only scored ones have frames.
    """
    if run.record.thumbnails_of is not None:
        return _borrow(run, run.path / run.record.thumbnails_of, rows)
    known = _read(run.path / FILE)
    lacking = [row for row in rows if row not in known]
    spec = run.record.identity.preprocessing
    made = dict(_make(run, spec, lacking)) if lacking and spec else {}
    if made:
        with disk_errors(run.path):
            _write(run.path / FILE, known | made)
    strips = known | made
    return {row: strips[row] for row in rows if row in strips}


def _borrow(fused: FinishedRun, folder: Path, rows: Sequence[int]) -> Mapping[int, bytes]:
    """The strips of a fused run's first member; none where that is gone, or is another by now."""
    member = FinishedRun(folder)
    try:
        equal = np.array_equal(member.predictions.video_ids, fused.predictions.video_ids)
        return collect_thumbnails(member, rows) if equal else {}
    except ConfigError:
        return {}


def _make(
    run: FinishedRun, spec: PreprocessSpec, rows: Sequence[int]
) -> Iterator[tuple[int, bytes]]:
    options = run.record.decoding
    policy = CachePolicy(score_truncated=options.truncated == "score")
    videos, cache = run.videos or run.videos_dir, run.cache or run.cache_dir
    clips = ClipSource(videos, spec, cache, policy)
    most = options.num_workers
    num_workers = default_num_workers() if most is None else most
    here = [row for row in rows if _has_video(run, row)]
    records = [_record(run, row) for row in here]
    workers = Workers(num_workers, options.decode_timeout)
    with closing(workers):  # idle where all clips are cached
        results = clips.prepare(records, workers, lookahead=0)
        for row, record, result in zip(here, records, results, strict=True):
            views = clips.read(record, result, workers)
            if not isinstance(views, Skip):
                yield row, encode_jpeg(frame_strip(central_view(views, spec)))


def _has_video(run: FinishedRun, row: int) -> bool:
    path = run.predictions.paths[row]
    there = is_remote(run.videos or "") or (run.videos_dir / path).exists()
    return bool(run.predictions.scored[row] and path and there)


def _record(run: FinishedRun, row: int) -> VideoRecord:
    table = run.predictions
    path, section = Path(str(table.paths[row])), table.section(row)
    is_folder = (run.videos_dir / path).is_dir()
    frames = table.frame_folder(row) if is_folder else None
    return VideoRecord(str(table.video_ids[row]), path, None, section=section, frames=frames)


def central_view(views: Views, spec: PreprocessSpec) -> Views:
    """The frames of one view, (frames, height, width, 3): the centre of the lower-middle clip."""
    index = fewer_views(spec).get("1x1", np.zeros(1, np.intp))[0]
    return np.asarray(views[index])


def _write(path: Path, strips: Mapping[int, bytes]) -> None:
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for row in sorted(strips):
            archive.writestr(zipfile.ZipInfo(f"{row:06d}.jpg", _DATE), strips[row])


def _read(path: Path) -> dict[int, bytes]:
    """The strips in the file; those that can be read, where it is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                int(member.filename.removesuffix(".jpg")): archive.read(member)
                for member in archive.infolist()
                if member.file_size <= _MAX_BYTES
            }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        logger.warning("%s is damaged and is made again: %s", path, error)
        return {}
