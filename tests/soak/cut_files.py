"""Videos that lost a part: cut short, or with a hole, in containers that say what they held."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.soak.healthy_files import Healthy, ffmpeg

_THREADS = 2
_COUNTING = frozenset({".mp4", ".mov", ".3gp", ".avi", ".flv", ".mkv", ".webm", ".wmv", ".mxf"})
_SHARES = (0.35, 0.5, 0.65, 0.8)
_LOST = 3  # frames: one or two may be what a container counts too many


class Cut(NamedTuple):
    """A file that is not whole.

    Attributes:
        path: Where it lies.
        kind: What was done to which kind of file.
        num_frames: That the ffmpeg program still decodes.
        num_lost: Frames that it does not.
    """

    path: Path
    kind: str
    num_frames: int
    num_lost: int


def make_cut(folder: Path, healthy: Sequence[Healthy], number: int) -> list[Cut]:
    """Damaged copies, spread evenly over kinds of files, of which each lost three frames or more.

    Args:
        folder: Where they are written.
        healthy: Whole files.
        number: How many to make at most.
    """
    folder.mkdir(parents=True, exist_ok=True)
    counting = [f for f in healthy if f.path.suffix in _COUNTING and f.num_frames > 2 * _LOST]
    drawn = sorted(counting, key=lambda file: _draw(file.kind))
    with ThreadPoolExecutor(_THREADS) as pool:
        made: list[Cut] = []
        for found in pool.map(lambda file: list(_damage(folder, file)), drawn):
            made += found
            if len(made) >= number:
                break
    return made[:number]


def _damage(folder: Path, file: Healthy) -> Iterator[Cut]:
    """Up to two damaged copies of a file: its tail lost, and its middle overwritten with zeros."""
    content = file.path.read_bytes()
    share = _SHARES[_draw(file.kind) % len(_SHARES)]
    at = int(len(content) * share)
    hole = bytearray(content)
    hole[at // 2 : at // 2 + len(content) // 3] = bytes(len(content) // 3)
    for damage, damaged in ((f"cut to {share:.0%}", content[:at]), ("hole", bytes(hole))):
        path = folder / f"{file.path.stem}-{damage.replace(' ', '_')}{file.path.suffix}"
        path.write_bytes(damaged)
        left = _frames_left(path)
        if left <= file.num_frames - _LOST:
            yield Cut(path, f"{file.kind} | {damage}", left, file.num_frames - left)
        else:
            path.unlink()


def _draw(kind: str) -> int:
    """A number that the kind decides."""
    return int.from_bytes(hashlib.sha256(kind.encode()).digest()[:4], "big")


def _frames_left(path: Path) -> int:
    done = ffmpeg("-i", str(path), "-an", "-fps_mode", "passthrough", "-f", "framecrc", "-")
    return sum(not line.startswith(b"#") for line in done.stdout.splitlines())
