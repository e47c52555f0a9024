"""What ``run.json`` says of a run; here alone it is read and given its form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ConfigError
from vidbench.runs.context import RunContext
from vidbench.storage.typed_json import (
    IF_ANY,
    REST,
    Amount,
    Count,
    LaterFormatError,
    decode,
    encode,
    read_json,
    under,
)
from vidbench.system.pool import DEFAULT_TIMEOUT_SECONDS

FORMAT = 1
"""The form of ``run.json``; it rises when a reader of the present one would misread the next.

Runs of before the first format have no number, and are read as the first.
"""


class RecordedMember(NamedTuple):
    """A run that was fused with others: its folder's name, digest, weight and signature."""

    run: str
    digest: str
    weight: float
    signature: str


@dataclass(frozen=True, kw_only=True)
class RecordedIdentity:
    """What decided a run's predictions, whoever made them, but for the videos.

    Attributes:
        model: ``family`` or ``family/variant``, the name of another program, or a fusion.
        weights: Digest of weights and class list, or of a file of predictions; None of a fusion.
        dataset: E.g. ``kinetics-400``.
        split: E.g. ``val``.
        spec: What was done to pixels; None where that is not known.
        precision: Of the model's arithmetic.
        labels: How the dataset's labels were matched with the model's classes.
        choices: Classes that the model may choose from; empty for all of its own.
        file: Name of the file of predictions that another program made.
        sha256: Of that file.
        members: The runs of a fusion.
        rest: What further kinds of runs say.
    """

    model: str
    weights: str | None = None
    dataset: str
    split: str
    spec: Mapping[str, Any] | None = None
    precision: str
    labels: str
    choices: tuple[str, ...]
    file: str | None = None
    sha256: str | None = None
    members: tuple[RecordedMember, ...] = field(default=(), metadata=IF_ANY)
    rest: Mapping[str, Any] = field(default_factory=dict, metadata=REST)

    @property
    def split_name(self) -> str:
        """Dataset and split, e.g. ``kinetics-400/val``."""
        return f"{self.dataset}/{self.split}"

    @cached_property
    def preprocessing(self) -> PreprocessSpec | None:
        """What was done to pixels; None where that is not known, or this version cannot do it."""
        try:
            return None if self.spec is None else PreprocessSpec(**self.spec)
        except (ConfigError, TypeError):
            return None


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Milliseconds of a video."""

    median: Amount
    p95: Amount | None = None


@dataclass(frozen=True, kw_only=True)
class ClusterShape:
    """How a cluster was divided."""

    nodes: Count
    models: Count
    threads: Count
    model_cores: Amount
    model_gpus: Amount
    decoders: Count
    decoder_cores: Amount


@dataclass(frozen=True, kw_only=True)
class Session:
    """What one command predicted of a run, and what it took.

    Attributes:
        ended: ISO 8601, in UTC.
        videos: How many it predicted.
        seconds: By stage, one after another.
        beside: By stage, in other threads and processes at the same time.
        latency_ms: Of a video; None where the model ran on none.
        videos_per_second: Likewise.
        peak_memory_bytes: Of the largest process with a model.
        cache_bytes: Of the clips that were read.
        cluster: Its shape; None on one machine.
        rest: What later versions measure.
    """

    ended: str | None = None
    videos: Count = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    beside: Mapping[str, float] = field(default_factory=dict)
    latency_ms: Latency | None = None
    videos_per_second: Amount | None = None
    peak_memory_bytes: Count | None = None
    cache_bytes: Count | None = None
    cluster: ClusterShape | None = None
    rest: Mapping[str, Any] = field(default_factory=dict, metadata=REST)


@dataclass(frozen=True, kw_only=True)
class DecodingOptions:
    """Those of a run's options by which its clips are made again."""

    data_dir: str | None = None
    cache_dir: str | None = None
    truncated: str = "skip"
    num_workers: int | None = None
    decode_timeout: float = DEFAULT_TIMEOUT_SECONDS


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """All that is kept of a run beside its predictions and numbers.

    Attributes:
        format: See :data:`FORMAT`.
        digest: 8 hexadecimal digits of what decided the predictions.
        identity: What decided them.
        spec_digest: Of what was done to pixels; None where that is not known.
        options: What was asked for, by the names of options; empty of a fusion.
        unlisted: Files that no annotation lists.
        started: ISO 8601, in UTC.
        versions: Of vidbench and of the packages that it runs on.
        git_revision: Of vidbench's checkout; None outside one.
        machine: Python, platform and cores.
        sessions: What each command predicted, the earliest first.
        context: What its numbers need; None of a run from before it was kept.
        places: Of its videos and clips, as seen from its folder, or the URL of what others share.
        thumbnails_of: The folder that has a fusion's pictures, as seen from its own.
        cost_usd: What services charged for it; None where nothing was counted.
        rest: What later versions keep.
    """

    format: int = field(default=0, metadata=IF_ANY)
    digest: str
    identity: RecordedIdentity
    spec_digest: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict, metadata=under("config", if_any=True))
    unlisted: tuple[str, ...] = ()
    started: str
    versions: Mapping[str, str]
    git_revision: str | None
    machine: Mapping[str, str | int]
    sessions: tuple[Session, ...]
    context: RunContext | None = field(default=None, metadata=under("facts"))
    places: Mapping[str, str] = field(default_factory=dict)
    thumbnails_of: str | None = None
    cost_usd: Amount | None = None
    rest: Mapping[str, Any] = field(default_factory=dict, metadata=REST)

    @cached_property
    def decoding(self) -> DecodingOptions:
        """The options by which its clips are made again."""
        return decode(DecodingOptions, self.options, "config")

    @property
    def timed_session(self) -> Session | None:
        """Of its sessions the one that timed most videos, the last of equals."""
        timed = [session for session in self.sessions if session.latency_ms]
        return max(reversed(timed), key=lambda session: session.videos, default=None)

    def as_json(self) -> dict[str, Any]:
        """The content of ``run.json``."""
        content: dict[str, Any] = encode(self)
        return {"format": FORMAT, **content}

    @classmethod
    def from_json(cls, content: object) -> RunRecord:
        """The record in the content of a ``run.json``.

        Raises:
            FieldError: The content is no record, or of a later format.
        """
        found = decode(_Format, content).format
        if found > FORMAT:
            raise LaterFormatError(f"format {found}, and this version reads up to {FORMAT}")
        record = decode(cls, content)
        _ = record.decoding  # refused now rather than where it is needed
        return record


class _Format(NamedTuple):
    format: int = 0


def read_record(
    path: Path, shown: str = "", remedy: str = "make the run again, or leave it out"
) -> RunRecord:
    """The record in a ``run.json``; the arguments are those of :func:`read_json`.

    Raises:
        ConfigError: The file is damaged, of another program, or of a later version.
    """
    return read_json(path, RunRecord.from_json, remedy, shown)
