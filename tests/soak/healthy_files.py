"""Whole, valid videos of every kind that the ffmpeg program writes, more than a thousand of them.

A file counts as healthy where ``ffmpeg -v error`` reads all of it and prints no word. Recipes that
this build of ffmpeg cannot follow, such as a codec that a container does not take, give no file.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import NamedTuple

FRAMES = 50
_RATE = 25
_THREADS = 2
# Frame i has a bar of eight blocks, black or white as the bits of i, over a picture that moves.
_SOURCE = (
    f"testsrc2=size=176x144:rate={_RATE}:duration={FRAMES / _RATE},format=yuv420p,"
    "geq=lum='if(lt(Y,32),16+219*mod(floor(N/pow(2,floor(X/22))),2),lum(X,Y))':cb='cb(X,Y)':cr='cr(X,Y)'"
)

ENCODERS: dict[str, tuple[str, ...]] = {
    "libx264": ("-preset", "veryfast", "-bf", "0"),
    "libx265": ("-preset", "ultrafast", "-x265-params", "log-level=none:bframes=0"),
    "libvpx": ("-cpu-used", "8", "-b:v", "300k", "-auto-alt-ref", "0"),
    "libvpx-vp9": ("-cpu-used", "8", "-deadline", "realtime", "-b:v", "300k"),
    "libaom-av1": ("-cpu-used", "8", "-usage", "realtime", "-b:v", "300k"),
    "mpeg4": ("-q:v", "3"),
    "libxvid": ("-q:v", "3"),
    "mpeg2video": ("-q:v", "3"),
    "mpeg1video": ("-q:v", "3"),
    "libtheora": ("-q:v", "7"),
    "wmv1": ("-q:v", "3"),
    "wmv2": ("-q:v", "3"),
    "msmpeg4v2": ("-q:v", "3"),
    "msmpeg4": ("-q:v", "3"),
    "h261": ("-q:v", "3"),
    "h263": ("-q:v", "3"),
    "h263p": ("-q:v", "3"),
    "flv": ("-q:v", "3"),
    "rv20": ("-q:v", "3"),
    "svq1": ("-q:v", "3"),
    "asv2": ("-q:v", "3"),
    "mjpeg": ("-q:v", "3", "-pix_fmt", "yuvj420p"),
    "ffv1": (),
    "huffyuv": ("-pix_fmt", "yuv422p"),
    "ffvhuff": (),
    "utvideo": (),
    "magicyuv": (),
    "prores_ks": (),
    "dnxhd": ("-profile:v", "dnxhr_lb", "-vf", "scale=256:144", "-pix_fmt", "yuv422p"),
    "dvvideo": ("-s", "720x576", "-pix_fmt", "yuv420p"),
    "cfhd": (),
    "jpeg2000": (),
    "png": (),
    "qtrle": (),
    "zlib": (),
    "flashsv2": ("-pix_fmt", "bgr24"),
    "rawvideo": ("-pix_fmt", "yuv420p"),
    "gif": (),
    "apng": (),
}

CONTAINERS: dict[str, tuple[str, ...]] = {
    "mp4": (),
    "fast.mp4": ("-movflags", "faststart"),
    "parts.mp4": ("-movflags", "frag_keyframe+empty_moov+default_base_moof"),
    "mov": (),
    "3gp": (),
    "mkv": (),
    "webm": (),
    "avi": (),
    "ts": (),
    "m2ts": (),
    "mpg": (),
    "vob": (),
    "flv": (),
    "wmv": (),
    "ogv": (),
    "nut": (),
    "mxf": (),
    "rm": (),
    "ivf": (),
    "dv": (),
    "h264": (),
    "hevc": (),
    "m2v": (),
    "m4v": (),
    "mjpeg": (),
    "y4m": (),
    "gif": (),
    "apng": (),
}

_VARIED = (
    *("libx264", "libx265", "libvpx", "libvpx-vp9", "libaom-av1", "libtheora", "ffv1", "mjpeg"),
    *("mpeg4", "libxvid", "mpeg2video", "mpeg1video", "wmv2", "h263p"),
)
_B_FRAMES: dict[str, tuple[str, ...]] = {
    "libx264": ("-bf", "3", "-x264-params", "b-pyramid=normal:open-gop=1:keyint=12"),
    "libx265": ("-x265-params", "log-level=none:bframes=3:open-gop=1:keyint=12"),
    **dict.fromkeys(("mpeg4", "libxvid", "mpeg2video", "mpeg1video"), ("-bf", "2")),
    "libvpx": ("-auto-alt-ref", "1", "-lag-in-frames", "16", "-deadline", "good"),
    "libvpx-vp9": ("-auto-alt-ref", "1", "-lag-in-frames", "16", "-deadline", "good"),
}
_VARIATIONS: dict[str, tuple[str, ...]] = {
    "groups of 12": ("-g", "12"),
    "all key frames": ("-g", "1"),
    "interlaced": ("-flags", "+ildct+ilme", "-top", "1"),
    "dropped": ("-vf", "select='not(eq(mod(n,10),9))'", "-fps_mode", "vfr"),
    "dropped runs": ("-vf", "select='lt(mod(n,20),13)'", "-fps_mode", "vfr"),
    "uneven times": ("-vf", "setpts='PTS+mod(N,3)*0.01/TB'", "-fps_mode", "vfr"),
    "starts late": ("-output_ts_offset", "1.5"),
    "starts early": ("-output_ts_offset", "-0.6", "-avoid_negative_ts", "disabled"),
    "one frame": ("-frames:v", "1"),
    "two frames": ("-frames:v", "2"),
    "29.97": ("-r", "30000/1001"),
}
_VARIED_IN = ("mp4", "mov", "mkv", "avi", "ts", "mpg", "flv", "webm", "wmv", "ogv", "nut")

_TRIMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "copied": ((), ()),
    "cut from 0.9 s": (("-ss", "0.9"), ()),
    "cut from 0.9 s, 0.7 s long": (("-ss", "0.9"), ("-t", "0.7")),
    "cut to 0.7 s": ((), ("-t", "0.7")),
    "cut late": ((), ("-ss", "0.9")),
    "below zero": ((), ("-output_ts_offset", "-0.5", "-avoid_negative_ts", "disabled")),
    "beside sound": ((), ()),
}
_TRIMMED_INTO = ("mp4", "mov", "mkv", "avi", "ts", "flv")
_SOUND = ("-itsoffset", "0.7", "-f", "lavfi", "-i", "sine=duration=2")


class Healthy(NamedTuple):
    """A whole file.

    Attributes:
        path: Where it lies.
        kind: Encoder, variation and container.
        num_frames: That the ffmpeg program decodes.
    """

    path: Path
    kind: str
    num_frames: int


class _Recipe(NamedTuple):
    kind: str
    name: str
    command: tuple[str, ...]


def make_healthy(folder: Path) -> list[Healthy]:
    """Makes all files in the folder; those that ffmpeg cannot write or read are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder.parent / f"{folder.name}-source.nut"
    ffmpeg("-f", "lavfi", "-i", _SOURCE, "-c:v", "ffv1", str(source))
    with ThreadPoolExecutor(_THREADS) as pool:
        encoded = pool.map(lambda recipe: _follow(recipe, folder), _encodings(source))
        first = [file for file in encoded if file is not None]
        trims = _trims([file.path for file in first])
        trimmed = pool.map(lambda recipe: _follow(recipe, folder), trims)
        return first + [file for file in trimmed if file is not None] + _patched(folder, first)


def ffmpeg(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Runs the ffmpeg program, which says errors alone."""
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments]
    return subprocess.run(command, capture_output=True, check=False, timeout=120)


def count_frames(path: Path) -> int:
    """Frames that the ffmpeg program decodes; -1 where it complains."""
    done = ffmpeg("-i", str(path), "-an", "-fps_mode", "passthrough", "-f", "framecrc", "-")
    if done.returncode or done.stderr:
        return -1
    return sum(not line.startswith(b"#") for line in done.stdout.splitlines())


def _encodings(source: Path) -> Iterator[_Recipe]:
    for (encoder, options), container in product(ENCODERS.items(), CONTAINERS):
        yield _encoding(source, encoder, "plain", options, container)
    for encoder, container in product(_VARIED, _VARIED_IN):
        options = ENCODERS[encoder]
        for variation, more in _VARIATIONS.items():
            yield _encoding(source, encoder, variation, (*options, *more), container)
    for (encoder, more), container in product(_B_FRAMES.items(), CONTAINERS):
        options = (*ENCODERS[encoder], *more)
        for variation in ("interlaced", "dropped", "uneven times", "29.97"):
            varied = (*options, *_VARIATIONS[variation])
            yield _encoding(source, encoder, f"B-frames, {variation}", varied, container)
        yield _encoding(source, encoder, "B-frames", options, container)


def _encoding(
    source: Path, encoder: str, variation: str, options: Sequence[str], container: str
) -> _Recipe:
    name = f"{encoder}-{variation}.{container}".replace(" ", "_")
    made = ("-i", str(source), "-c:v", encoder, *options, *CONTAINERS[container])
    return _Recipe(f"{encoder} | {variation} | {container}", name, made)


def _trims(files: Sequence[Path]) -> Iterator[_Recipe]:
    """Files of one container, copied or cut into others without encoding them again."""
    whole = [f for f in files if f.name.endswith((".mkv", ".ts")) and _may_be_cut(f.name)]
    for path, (trim, (before, after)), container in product(whole, _TRIMS.items(), _TRIMMED_INTO):
        sound = _SOUND if trim == "beside sound" else ()
        into = ("-i", str(path), *sound, "-c:v", "copy", *after, *CONTAINERS[container])
        kind = f"{path.name.replace('_', ' ')} | {trim} | {container}"
        name = f"{path.name.replace('.', '_')}-{trim.replace(' ', '_')}.{container}"
        yield _Recipe(kind, name, (*before, *into))


def _may_be_cut(name: str) -> bool:
    encoder, _, rest = name.partition("-")
    variations = ("B-frames.", "groups_of_12.", "dropped.")
    return encoder in {"libx264", "libx265", "mpeg4", "mpeg2video"} and rest.startswith(variations)


def _follow(recipe: _Recipe, folder: Path) -> Healthy | None:
    path = folder / recipe.name
    if ffmpeg(*recipe.command, str(path)).returncode or not path.is_file():
        path.unlink(missing_ok=True)
        return None
    return _judged(path, recipe.kind)


def _judged(path: Path, kind: str) -> Healthy | None:
    frames = count_frames(path)
    if frames < 1:
        path.unlink()
        return None
    return Healthy(path, kind, frames)


def _patched(folder: Path, files: Sequence[Healthy]) -> list[Healthy]:
    """What editors and recorders leave: edit lists, recordings that begin amid a group, joins."""
    found = []
    for file in files:
        content, stem = file.path.read_bytes(), file.path.stem
        is_long = file.num_frames > _RATE  # what is shown begins before the end
        if is_long and file.path.suffix in {".mp4", ".mov"} and b"elst" in content:
            for begin in (0.4, 0.9):
                edited = folder / f"{stem}-edit_{begin}{file.path.suffix}"
                edited.write_bytes(_edit(content, begin))
                found.append(_judged(edited, f"{file.kind} | edit list from {begin} s"))
        if file.path.suffix == ".ts":
            joined, amid = folder / f"{stem}-joined.ts", folder / f"{stem}-amid.ts"
            joined.write_bytes(content + content)
            amid.write_bytes(content[: 3 * 188] + content[len(content) // 3 // 188 * 188 :])
            found.append(_judged(joined, f"{file.kind} | joined"))
            found.append(_judged(amid, f"{file.kind} | begins amid a group"))
    return [file for file in found if file is not None]


def _edit(content: bytes, begin: float) -> bytes:
    """The mp4 with an edit list of one entry, which begins later and lasts half a second."""
    at = content.index(b"elst") + 12
    scale = content.index(b"mdhd") + 16
    movie, media = (struct.unpack_from(">I", content, i)[0] for i in (_movie_scale(content), scale))
    edited = bytearray(content)
    before = struct.unpack_from(">i", content, at + 4)[0]
    struct.pack_into(">Ii", edited, at, movie // 2, max(before, 0) + int(begin * media))
    return bytes(edited)


def _movie_scale(content: bytes) -> int:
    return content.index(b"mvhd") + 16
