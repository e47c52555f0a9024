"""Thumbnails: a strip of the frames that a run's model saw, for each of its videos.

They are made from cached clips, or from the videos if the clips are gone, and kept in the run's
folder, so that they survive when the folder is moved away from both.
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
"""Name of the run's archive of strips, ``<row>.jpg`` each."""

_MAX_BYTES = 1 << 20  # limit for one strip: archives in run folders are untrusted input
_DATE = (1980, 1, 1, 0, 0, 0)  # fixed, so that equal strips make equal archives


def collect_thumbnails(run: FinishedRun, rows: Sequence[int]) -> Mapping[int, bytes]:
    """JPEG strips by row, without rows whose frames are not available.

    New strips are kept in the run's folder.

    Args:
        run: The run, which knows the locations of its clips and videos.
        rows: Rows of its predictions; only scored ones have frames.
    """
    if run.record.thumbnails_of is not None:
        return _borrow(run, run.path / run.record.thumbnails_of, rows)
    kept = _read(run.path / FILE)
    missing = [row for row in rows if row not in kept]
    spec = run.record.identity.preprocessing
    made = dict(_make(run, spec, missing)) if missing and spec else {}
    if made:
        with disk_errors(run.path):
            _write(run.path / FILE, kept | made)
    strips = kept | made
    return {row: strips[row] for row in rows if row in strips}


def _borrow(fused: FinishedRun, folder: Path, rows: Sequence[int]) -> Mapping[int, bytes]:
    """Strips of a fusion's first member; none if it is gone or has been replaced."""
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
    with closing(workers):  # idle if all clips are cached
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
    """Frames of the centre crop of the middle clip, (frames, height, width, 3).

    With an even number of clips, the earlier of the two in the middle.
    """
    index = fewer_views(spec).get("1x1", np.zeros(1, np.intp))[0]
    return np.asarray(views[index])


def _write(path: Path, strips: Mapping[int, bytes]) -> None:
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for row in sorted(strips):
            archive.writestr(zipfile.ZipInfo(f"{row:06d}.jpg", _DATE), strips[row])


def _read(path: Path) -> dict[int, bytes]:
    """The strips in the archive by row; none if it is missing or damaged."""
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
        logger.warning("%s is damaged; making it again: %s", path, error)
        return {}
