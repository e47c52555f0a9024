"""Convert clips to and from the bytes of HDF5 files; the only importer of h5py."""

from __future__ import annotations

import io
import json
from typing import NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from vidbench.data.clips import codec
from vidbench.data.records import Views
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import CacheError
from vidbench.storage.seal import USER_BLOCK, BytesFile, seal

_ZSTD_FILTER = 32015  # registered with the HDF Group


class NotedClip(NamedTuple):
    """A clip with a note about its video.

    Attributes:
        views: (views, frames, height, width, 3), uint8 RGB.
        note: Anomaly of the video on one line; usually empty.
        num_bytes: Size of the file that it was read from.
    """

    views: Views
    note: str
    num_bytes: int = 0


def pack_clip(sha256: str, spec: PreprocessSpec, clip: NotedClip, *, compress: bool) -> memoryview:
    """Content of the clip's file; made in memory, so that the seal covers the intended bytes."""
    image = io.BytesIO()
    with h5py.File(image, "w", userblock_size=USER_BLOCK) as file:
        file.attrs["sha256"] = np.bytes_(sha256.encode())
        file.attrs["spec"] = np.bytes_(json.dumps(spec.canonical()).encode())
        if clip.note:
            file.attrs["note"] = np.bytes_(clip.note.encode())
        if compress:
            _add_compressed(file, clip.views)
        else:
            file.create_dataset("views", data=clip.views)
    with image.getbuffer() as content:  # released here: an open view would lock the buffer
        seal(content)
    return memoryview(image.getvalue())  # does not copy


def _add_compressed(file: h5py.File, views: Views) -> None:
    """Add blocks of frames as HDF5 chunks, readable by any program with HDF5's zstd filter."""
    dataset = file.create_dataset(
        "views",
        views.shape,
        np.uint8,
        chunks=codec.block_shape(views.shape),
        compression=_ZSTD_FILTER,
        allow_unknown_filter=True,  # chunks are compressed here, not by HDF5
    )
    for block in codec.compress(views):
        dataset.id.write_direct_chunk(*block)
    dataset.attrs["filter"] = np.bytes_(codec.NAME.encode())


def unpack_clip(content: NDArray[np.uint8], sha256: str, spec: PreprocessSpec) -> NotedClip:
    """The clip in a file's verified content; shares its memory unless compressed."""
    with h5py.File(BytesFile(content), "r") as file:
        _refuse_another(file, sha256, spec)
        dataset = file["views"]
        if not isinstance(dataset, h5py.Dataset) or dataset.dtype != np.uint8:
            raise CacheError("its views are not bytes")
        if dataset.shape != spec.views_shape:
            raise CacheError(f"its shape is {dataset.shape}, not {spec.views_shape}")
        views = _restore(dataset) if "filter" in dataset.attrs else _view(dataset, content)
        return NotedClip(views, _text(file.attrs.get("note", "")), len(content))


def _refuse_another(file: h5py.File, sha256: str, spec: PreprocessSpec) -> None:
    stored_spec = json.loads(_text(file.attrs["spec"]))
    if _text(file.attrs["sha256"]) != sha256 or stored_spec != spec.canonical():
        raise CacheError("it is the clip of another video or spec")


def _view(dataset: h5py.Dataset, content: NDArray[np.uint8]) -> Views:
    begin = dataset.id.get_offset()  # from the beginning of the file, user block included
    if begin is None:
        raise CacheError("its pixels are neither contiguous nor in known blocks")
    return content[begin : begin + dataset.nbytes].reshape(dataset.shape)


def _restore(dataset: h5py.Dataset) -> Views:
    name, shape = _text(dataset.attrs["filter"]), dataset.shape
    if name != codec.NAME or dataset.chunks != codec.block_shape(shape):
        raise CacheError(f"blocks of {dataset.chunks} in a clip of {shape}, filter {name!r}")
    blocks = [
        codec.Block(offset, dataset.id.read_direct_chunk(offset)[1])
        for offset in codec.block_offsets(shape)
    ]
    return codec.decompress(blocks, shape)


def _text(attribute: object) -> str:
    return attribute.decode() if isinstance(attribute, bytes) else str(attribute)
