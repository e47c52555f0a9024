"""Show videos as strips of frames, animated pictures and tables."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbench.data.records import Frame, FrameFolder, VideoRecord
from vidbench.errors import ConfigError, VideoError
from vidbench.storage.hashes import FileIdentity
from vidbench.terminal.sanitize import escape_controls

if TYPE_CHECKING:
    import pandas as pd

    from vidbench.data.video.container import VideoInfo

Frames = NDArray[np.uint8]
"""Consecutive images: (frames, height, width, 3), RGB."""

_GAP = 2  # white pixels between the frames of a strip
_COLUMNS = ("id", "label", "seconds", "fps", "width", "height", "frames", "codec", "mb", "problem")
_MIME_TYPES = {b"GIF8": "image/gif", b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png"}


class Html(str):
    """HTML that a notebook renders; all untrusted text in it is escaped."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<HTML of {len(self)} characters>"

    def _repr_html_(self) -> str:
        return str(self)


def read_frames(path: Path, num_frames: int = 8, max_side_px: int = 224) -> Frames:
    """Read evenly spaced whole frames of a video, (num_frames, height, width, 3), uint8 RGB.

    Pictures are as displayed by a player, with a longer side of ``max_side_px``. Of a truncated
    video, the decodable frames are used.

    Raises:
        VideoError: No frame can be decoded.
    """
    from vidbench.data.spec import PreprocessSpec
    from vidbench.data.video.decode import decode_views

    info = _describe(path)
    spec = PreprocessSpec(num_frames=num_frames, resize_type="pad", crop_size=max_side_px)
    frames = decode_views(path, spec, keep_truncated=True)[0]
    scale = max_side_px / max(info.width, info.height)
    height, width = (max(1, round(side * scale)) for side in (info.height, info.width))
    top, left = (max_side_px - height) // 2, (max_side_px - width) // 2
    return np.asarray(frames[:, top : top + height, left : left + width])


def frame_strip(frames: Frames, num_frames: int = 8, height_px: int = 64) -> Frame:
    """Put frames side by side, with a thin white gap: (height_px, width, 3), uint8 RGB.

    They are evenly spaced, from the first to the last; all frames if there are fewer.

    Args:
        frames: (frames, height, width, 3), uint8 RGB, at least one.
        num_frames: Maximum number of frames, at least 1.
        height_px: Height of the strip.
    """
    width_px = max(1, round(frames.shape[2] * height_px / frames.shape[1]))
    count = min(num_frames, len(frames))
    chosen = np.rint(np.linspace(0, len(frames) - 1, count)).astype(np.intp)
    strip = np.full((height_px, count * (width_px + _GAP) - _GAP, 3), 255, np.uint8)
    for column, index in enumerate(chosen.tolist()):
        left = column * (width_px + _GAP)
        strip[:, left : left + width_px] = _shrink(frames[index], height_px, width_px)
    return strip


def encode_jpeg(image: Frame, quality: int = 80) -> bytes:
    """Encode an image as a JPEG file.

    Args:
        image: (height, width, 3), uint8 RGB.
        quality: 0 to 100.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, content = cv2.imencode(".jpg", np.ascontiguousarray(image[:, :, ::-1]), options)
    return content.tobytes()


def gif(frames: Frames, fps: float, max_side_px: int = 240) -> bytes:
    """Encode frames as a GIF file that plays in a loop.

    GIF times are in hundredths of a second, so some frames may be shown slightly longer than
    others; the total duration is right. Browsers show at most 50 frames per second, so faster
    videos play slower.

    Args:
        frames: (frames, height, width, 3), uint8 RGB, at least one.
        fps: Frames per second, above 0.
        max_side_px: Maximum length of the longer side; larger pictures are reduced.
    """
    from PIL import Image

    height, width = frames.shape[1:3]
    scale = min(1.0, max_side_px / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    # A palette per frame without dithering halves the size.
    images = [
        Image.fromarray(_shrink(frame, *size)).quantize(128, dither=Image.Dither.NONE)
        for frame in frames
    ]
    ends = np.rint(np.arange(len(frames) + 1) * 100 / min(fps, 50)).astype(int)
    durations = (10 * np.diff(ends)).tolist()  # milliseconds
    file = io.BytesIO()
    images[0].save(file, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)
    return file.getvalue()


def show_image(content: bytes, alt: str) -> Html:
    """Embed a GIF, JPEG or PNG file in a page.

    Args:
        content: Content of the file.
        alt: Alternative text.

    Raises:
        ConfigError: It has another format.
    """
    mime = next((mime for start, mime in _MIME_TYPES.items() if content.startswith(start)), None)
    if mime is None:
        raise ConfigError(
            f"an image must be a GIF, JPEG or PNG file, but this begins with {content[:8]!r}"
        )
    data = base64.b64encode(content).decode()
    return Html(
        f'<img src="data:{mime};base64,{data}" alt="{escape_text(alt)}" style="max-width:100%">'
    )


def escape_text(text: object) -> str:
    """Escape untrusted text for HTML."""
    return escape(escape_controls(text))


def make_video_table(
    videos: Iterable[VideoRecord | Path | str], folder: Path = Path()
) -> pd.DataFrame:
    """Make a table with the properties of each video, after decoding all of it.

    Columns: ``id``, ``label``, ``seconds``, ``fps`` (average), ``width`` and ``height`` (of the
    picture as displayed), ``frames``, ``codec``, ``mb`` (10^6 bytes) and ``problem`` (empty, or the
    file's damage). Unknown values are missing.

    Args:
        videos: Records of a dataset, or files.
        folder: Base of the records' paths: the dataset's folder.
    """
    import pandas as pd

    rows = [_row(record, folder) for record in map(_record, videos)]
    table = pd.DataFrame(rows, columns=list(_COLUMNS))
    counts = dict.fromkeys(("width", "height", "frames"), "Int64")
    return table.astype(counts | dict.fromkeys(("seconds", "fps", "mb"), "float64"))


def show_video_table(
    videos: Iterable[VideoRecord | Path | str],
    folder: Path = Path(),
    num_frames: int = 6,
    height_px: int = 48,
) -> Html:
    """Show the table of :func:`make_video_table` with a strip of frames in each row.

    Args:
        videos: Records of a dataset, or files.
        folder: Base of the records' paths: the dataset's folder.
        num_frames: Frames per strip.
        height_px: Height of a strip.
    """
    records = [_record(video) for video in videos]
    rows = make_video_table(records, folder).to_dict("records")
    names = ("id", "label", "seconds", "fps", "size", "frames", "codec", "MB", "problem", "strip")
    lines = [
        [*_cells(row), _strip_of(record, folder, num_frames, height_px)]
        for record, row in zip(records, rows, strict=True)
    ]
    filled = [column for column in range(len(names)) if any(line[column] for line in lines)]
    head = _line("th", [names[column] for column in filled])
    body = "".join(_line("td", [line[column] for column in filled]) for line in lines)
    return Html(f"<table><thead>{head}</thead><tbody>{body}</tbody></table>")


def _shrink(frame: Frame, height: int, width: int) -> Frame:
    return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _record(video: VideoRecord | Path | str) -> VideoRecord:
    if isinstance(video, VideoRecord):
        return video
    return VideoRecord(Path(video).stem, Path(video), None)


def _row(record: VideoRecord, folder: Path) -> dict[str, object]:
    from vidbench.data.video.scan import scan_video

    row: dict[str, object] = {"id": record.video_id, "label": record.label or ""}
    row |= {"codec": "", "problem": ""}
    if record.path is None:
        return row | {"problem": "missing: no file on disk"}
    path = folder / record.path
    status, reason, _ = scan_video(path)
    if status != "ok":
        row["problem"] = f"{status}: {reason}"
    if path.exists():
        row["mb"] = FileIdentity.of(path).size / 1e6
    try:
        info = _describe(path, record.frames)
    except VideoError as error:
        row["problem"] = row["problem"] or f"broken: {error.detail}"
        return row
    row |= {"frames": info.num_frames, "codec": info.codec, "seconds": info.seconds}
    return row | {"fps": info.fps, "width": info.width, "height": info.height}


def _describe(path: Path, frames: FrameFolder | None = None) -> VideoInfo:
    from vidbench.data.video.container import describe
    from vidbench.data.video.frame_reader import describe_frames

    return describe_frames(path, frames) if path.is_dir() else describe(path)


def _cells(row: Mapping[Any, Any]) -> list[str]:
    """Cells of a row as HTML, without the strip; unknown values are empty."""
    cells = [
        escape_text(row["id"]),
        escape_text(row["label"]),
        *[""] * 4,
        escape_text(row["codec"]),
    ]
    if row["codec"]:
        cells[2:4] = f"{row['seconds']:.2f}", f"{row['fps']:.4g}"
        cells[4:6] = f"{row['width']}x{row['height']}", str(row["frames"])
    return [*cells, "" if np.isnan(row["mb"]) else f"{row['mb']:.3f}", escape_text(row["problem"])]


def _line(tag: str, cells: Sequence[str]) -> str:
    columns = (f'<{tag} style="text-align:left">{cell}</{tag}>' for cell in cells)
    return f"<tr>{''.join(columns)}</tr>"


def _strip_of(record: VideoRecord, folder: Path, num_frames: int, height_px: int) -> str:
    if record.path is None:
        return ""
    try:
        frames = read_frames(folder / record.path, num_frames)
    except VideoError:
        return ""  # the table says why
    strip = encode_jpeg(frame_strip(frames, num_frames, height_px))
    return show_image(strip, f"frames of {record.video_id}")
