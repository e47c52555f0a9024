"""Lossless compression of clips with fast decompression; the only importer of zstandard.

Green is subtracted from red and blue, then each row of pixels from the row below it (the filter
"Up" of PNG, section 9.2 of its specification), all modulo 256; zstd compresses blocks of frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import zstandard
from numpy.typing import NDArray

from vidbench.data.records import Views
from vidbench.errors import CacheError

NAME = "green,up"

_FRAMES = 10  # 1.5 MB of a typical clip: large enough to compress well, and a block per thread
_THREADS = 4
_LEVEL = 1  # higher levels take twice the time to save 2 % of the bytes

Shape = tuple[int, ...]


class Block(NamedTuple):
    """Some consecutive frames of one view, compressed.

    Attributes:
        offset: Index of its first value in the clip.
        content: A zstd frame; the last block of a view is padded with zeros.
    """

    offset: Shape
    content: bytes


def block_shape(clip_shape: Shape) -> Shape:
    """Shape of each block of a clip (views, frames, height, width, 3)."""
    return (1, min(_FRAMES, clip_shape[1]), *clip_shape[2:])


def block_offsets(clip_shape: Shape) -> list[Shape]:
    """Index of the first value of each block of a clip."""
    frames = range(0, clip_shape[1], block_shape(clip_shape)[1])
    return [(view, frame, 0, 0, 0) for view in range(clip_shape[0]) for frame in frames]


def compress(views: Views) -> Iterator[Block]:
    """Compress a clip block by block."""
    filtered = _filter(views)
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    whole = np.zeros(block_shape(views.shape), np.uint8)
    for offset in block_offsets(views.shape):
        view, frame = offset[:2]
        part = filtered[view, frame : frame + whole.shape[1]]
        whole[0, : len(part)], whole[0, len(part) :] = part, 0
        yield Block(offset, compressor.compress(whole.tobytes()))


def decompress(blocks: Sequence[Block], shape: Shape) -> Views:
    """Decompress the blocks of a clip of this shape.

    Raises:
        CacheError: The blocks are damaged.
    """
    filtered = np.empty(shape, np.uint8)

    def place(block: Block) -> None:
        view, frame = block.offset[:2]
        part = filtered[view, frame : frame + block_shape(shape)[1]]
        part[:] = _block(block.content, block_shape(shape))[: len(part)]

    with ThreadPoolExecutor(_THREADS) as threads:  # zstd and copying release the GIL
        list(threads.map(place, blocks))
    return _restore(filtered)


def _block(content: bytes, shape: Shape) -> NDArray[np.uint8]:
    """The frames of a block; checks its size before allocating memory."""
    try:
        if zstandard.frame_content_size(content) != np.prod(shape):
            raise CacheError("a block of frames has the wrong size")
        pixels = zstandard.ZstdDecompressor().decompress(content)
    except zstandard.ZstdError as error:
        raise CacheError(f"a block of frames is damaged: {error}") from error
    return np.frombuffer(pixels, np.uint8).reshape(shape[1:])


def _filter(views: Views) -> Views:
    filtered = views.copy()
    filtered[..., 0] -= views[..., 1]
    filtered[..., 2] -= views[..., 1]
    filtered[:, :, 1:] -= filtered[:, :, :-1].copy()
    return filtered


def _restore(filtered: Views) -> Views:
    """Undo the filter in place, from the top row down: each row needs the restored row above."""
    for row in range(1, filtered.shape[2]):
        filtered[:, :, row] += filtered[:, :, row - 1]
    filtered[..., 0] += filtered[..., 1]
    filtered[..., 2] += filtered[..., 1]
    return filtered
