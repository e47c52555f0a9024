"""Whether a video file holds all that it promises: one judgement for everything that decodes.

A file says how much it holds in several places, and none of them is always there: the header
counts frames or states a duration, packets stand for frames, and the parts of the file begin with
their lengths. It is truncated where one of them says that something is missing and none of the
others explains it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import av.logging
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidbench.data.layout import count_avi_chunks, ends_early
from vidbench.data.streams import opened, promises_frame, reason_of
from vidbench.errors import VideoError

_MOV = "mov,mp4,m4a,3gp,3g2,mj2"
_FORGIVEN = 1  # frame: the header of an avi often counts one too many
_GAP = 2.5  # steps between frames: a longer one has lost two at least


def whole_frames(
    path: Path, container: InputContainer, stream: VideoStream
) -> Iterator[VideoFrame]:
    """All frames of a video, in the order in which they are shown.

    What comes before the first frame that can be shown promises nothing: a recording may begin
    amid a group of pictures, and the first group after a cut may refer to the one before.

    Raises:
        VideoError: ``truncated``, after the frames that there are; ``unreadable`` where there
            are none.
        av.FFmpegError: Nothing can be read.
    """
    tally = _Tally()
    try:
        for packet in tally.read(container, stream):
            yield from tally.decode(packet)
    except av.FFmpegError as error:
        if not tally.decoded or isinstance(error, MemoryError):  # too little memory cuts no file
            raise
        detail = f"decoding failed after {tally.decoded} frames: {reason_of(error)}"
        raise VideoError("truncated", detail) from error
    if not tally.decoded:
        raise VideoError("unreadable", "no frame could be decoded")
    if damage := tally.missing_frames() or _missing_packets(path, container, stream, tally):
        raise VideoError("truncated", damage)


class _Tally:
    """What was read and decoded of a stream.

    Attributes:
        packets: How many there were.
        stamps: When the frames that they promise are shown, in units of the stream.
        promised: How many frames that is.
        decoded: How many frames came.
        refused: Of how many packets the decoder complained after the first frame came.
        is_broken: The demuxer complained of the structure of the file.
    """

    def __init__(self) -> None:
        self.packets = self.promised = self.decoded = self.refused = 0
        self.stamps: list[int] = []
        self.is_broken = False

    def read(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
        """All packets, the empty one that flushes the decoder last."""
        packets = container.demux(stream)
        while True:
            with _complaints() as found:
                packet = next(packets, None)
            self.is_broken |= any(name == container.format.name for _, name, _ in found)
            if packet is None:
                return
            self.packets += bool(packet.size)
            if promises_frame(packet):
                self.promised += 1
                self.stamps += [] if packet.pts is None else [packet.pts]
            yield packet

    def decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        """The frames that a packet gives."""
        try:
            with _complaints() as found:
                frames = packet.decode()
        except av.error.InvalidDataError:
            if self.decoded or packet.is_keyframe:
                raise
            return []  # it refers to what came before the recording began
        self.refused += bool(found and self.decoded)
        self.decoded += len(frames)
        return frames

    def missing_frames(self) -> str:
        """How many frames the decoder could not make; empty if it made all that are shown.

        Of a picture that is never shown a decoder says nothing, of a damaged one it does.
        """
        if min(self.promised - self.decoded, self.refused) > _FORGIVEN:
            return f"{self.promised} frames promised, {self.decoded} decoded"
        return ""


@contextmanager
def _complaints() -> Iterator[list[Any]]:
    """What FFmpeg reports as errors in this thread meanwhile: (level, who, what)."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture() as found:
            yield found
    finally:
        av.logging.set_level(level)


def _missing_packets(
    path: Path, container: InputContainer, stream: VideoStream, tally: _Tally
) -> str:
    """What the file lacks by its own account; empty if nothing."""
    listed = _listed(container, stream)
    if listed > tally.packets + _FORGIVEN:
        if _is_explained(path, container, stream, tally.packets):
            return ""
        return f"{listed} frames listed, {tally.packets} in the file"
    if listed:
        return ""
    if tally.is_broken and _has_gap(tally.stamps):
        return "the file is damaged, and frames are missing there"
    is_cut = tally.is_broken or ends_early(path, container.format.name)
    return _missing_end(path, container, stream) if is_cut else ""


def _listed(container: InputContainer, stream: VideoStream) -> int:
    """How many frames the header counts; 0 where it does not."""
    if container.format.name == "mxf" and stream.duration and stream.time_base:
        return round(stream.duration * stream.time_base * (stream.average_rate or 0))
    return stream.frames


def _is_explained(path: Path, container: InputContainer, stream: VideoStream, packets: int) -> bool:
    """Whether nothing is lost though the header lists more frames than there are packets."""
    if container.format.name == "avi":  # empty chunks repeat a frame, and headers count wrong
        chunks = count_avi_chunks(path, stream.index)
        return chunks is not None and chunks <= packets + _FORGIVEN
    if container.format.name == _MOV:  # an edit list hides whole groups of pictures
        with opened(path, ignore_editlist="1") as again:
            there = sum(bool(p.size) for p in again.demux(again.streams[stream.index]))
        return stream.frames <= there + _FORGIVEN
    return False


def _has_gap(stamps: Sequence[int]) -> bool:
    """Whether two frames are further apart than frames of this video use to be."""
    steps = np.diff(np.unique(np.array(stamps, np.int64)))
    return len(steps) > 0 and float(steps.max()) > _GAP * float(np.median(steps))


def _missing_end(path: Path, container: InputContainer, stream: VideoStream) -> str:
    """What a file that is seen to be cut lacks; empty if it goes on for as long as it states.

    A duration alone proves nothing: where FFmpeg writes Matroska to a pipe, it states that of its
    input, whatever part of it was taken.
    """
    stated = (container.duration or 0) / av.time_base
    if container.format.name == _MOV or not stated:
        return "the file ends within a part of it"
    with opened(path) as again:
        found = _end_of(again)
    if stated - found <= 1.5 / float(stream.average_rate or stream.guessed_rate or 25):
        return ""
    return f"it lasts {stated:.2f} s by its header, and breaks off at {found:.2f} s"


def _end_of(container: InputContainer) -> float:
    """When the last packet of any stream ends, from time 0 or the first packet, what is longer."""
    first = last = 0.0
    try:
        for packet in container.demux():
            stamp = packet.dts if packet.pts is None else packet.pts
            if stamp is not None and packet.time_base is not None:
                first = min(first, float(stamp * packet.time_base))
                last = max(last, float((stamp + (packet.duration or 0)) * packet.time_base))
    except av.FFmpegError:
        pass  # it breaks off there
    return last - first
