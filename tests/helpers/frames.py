"""Frames that were decoded, by vidbench and by OpenCV."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from tests.helpers.numbered import numbers_of
from vidbench.data.records import Frame
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.opening import open_container
from vidbench.data.video.resize import fit_frame
from vidbench.footage.window_decoder import Footage, WindowTask, file_windows
from vidbench.footage.windows import Window


def decoded(path: Path) -> list[int]:
    """The numbers of the frames that FFmpeg's decoder gives, in its order."""
    with av.open(str(path)) as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    return numbers_of(np.asarray(frames))


SPEC = PreprocessSpec(num_frames=16, crop_size=32)


def every_frame(path: Path, spec: PreprocessSpec = SPEC) -> list[tuple[int | None, Frame]]:
    """Time stamp and crop of whatever PyAV decodes of all packets, going on after errors.

    It is the oracle of these tests: no frame is skipped, and nothing is sampled.
    """
    found = []
    with open_container(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        aspect = float(stream.sample_aspect_ratio or 1)
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue
            for frame in frames:
                turns = round(frame.rotation / 90)
                rgb = frame.reformat(format="rgb24", interpolation="BICUBIC").to_ndarray()
                turned = np.ascontiguousarray(np.rot90(rgb, turns), np.uint8)
                crop = fit_frame(turned, spec, 1 / aspect if turns % 2 else aspect)[0]
                found.append((frame.pts, crop))
    return found


def evenly(available: int, spec: PreprocessSpec = SPEC) -> list[int]:
    """Indices of the frames that a uniform spec takes."""
    return [int(i) for i in np.rint(np.linspace(0, available - 1, spec.num_frames))]


def opencv_frames(path: Path) -> list[NDArray[np.uint8]]:
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(np.ascontiguousarray(read[1][..., ::-1], np.uint8))
    return frames


def windows_of(path: Path, spec: PreprocessSpec, **options: Any) -> tuple[list[Window], Footage]:
    windows: list[Window] = []
    footage = file_windows(path, WindowTask(spec, **options), windows.append)
    return windows, footage
