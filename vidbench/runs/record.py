"""RunRecord: the typed content of ``run.json``, which only this module reads and formats."""

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
"""Version of the format of ``run.json``; increase it if older readers would misread new files.

Runs from before the first format have no number and are read as the first.
"""


class RecordedMember(NamedTuple):
    """A run that was fused with others: its folder's name, digest, weight and signature."""

    run: str
    digest: str
    weight: float
    signature: str


@dataclass(frozen=True, kw_only=True)
class RecordedIdentity:
    """Identity of any kind of run: all that decided its predictions, except the videos.

    Attributes:
        model: ``family`` or ``family/variant``, the name of another program, or a fusion.
        weights: Digest of weights and class list, or of a predictions file; None for a fusion.
        dataset: Name of the dataset, e.g. ``kinetics-400``.
        split: Name of the split, e.g. ``val``.
        spec: Preprocessing of clips; None if unknown.
        precision: Precision of the model's arithmetic.
        labels: How the dataset's labels were matched with the model's classes.
        choices: Classes that the model may choose from; empty for all.
        file: Name of the predictions file, if another program made it.
        sha256: SHA-256 of that file.
        members: The runs of a fusion.
        rest: Keys of other kinds of runs.
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
        """Preprocessing of clips; None if it is unknown, or unsupported by this version."""
        try:
            return None if self.spec is None else PreprocessSpec(**self.spec)
        except (ConfigError, TypeError):
            return None


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Latency of a video in milliseconds."""

    median: Amount
    p95: Amount | None = None


@dataclass(frozen=True, kw_only=True)
class ClusterShape:
    """How many nodes, models and decoders a cluster ran, and their resources."""

    nodes: Count
    models: Count
    threads: Count
    model_cores: Amount
    model_gpus: Amount
    decoders: Count
    decoder_cores: Amount


@dataclass(frozen=True, kw_only=True)
class Session:
    """One command's share of a run: what it predicted, and its cost.

    Attributes:
        ended: Time of its end, ISO 8601 in UTC.
        videos: Number of videos that it predicted.
        seconds: Time by stage, one after another.
        beside: Time by stage, in other threads and processes at the same time.
        latency_ms: Latency of a video; None if the model ran on no video.
        videos_per_second: Throughput; None if the model ran on no video.
        peak_memory_bytes: Peak memory of the largest process with a model.
        cache_bytes: Size of the clips that were read.
        cluster: Shape of the cluster; None on one machine.
        rest: Measurements of later versions.
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
    """The options of a run that are needed to decode its clips again."""

    data_dir: str | None = None
    cache_dir: str | None = None
    truncated: str = "skip"
    num_workers: int | None = None
    decode_timeout: float = DEFAULT_TIMEOUT_SECONDS


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """Record of a run, apart from its predictions and metrics.

    Attributes:
        format: See :data:`FORMAT`.
        digest: Digest of the identity, 8 hexadecimal digits.
        identity: All that decided the predictions, except the videos.
        spec_digest: Digest of the preprocessing; None if unknown.
        options: Values of the options by name; empty for a fusion.
        unlisted: Files that no annotation lists.
        started: Time of its start, ISO 8601 in UTC.
        versions: Versions of vidbench and of its dependencies.
        git_revision: Revision of vidbench's checkout; None outside one.
        machine: Python, platform and cores.
        sessions: One entry for each command that predicted, the earliest first.
        context: Context that its metrics need; None for runs of early versions.
        places: Locations of its videos and clips: paths relative to its folder, or URLs.
        thumbnails_of: Folder that has a fusion's thumbnails, relative to its own.
        cost_usd: Charges of hosted services; None if not counted.
        rest: Keys of later versions.
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
        """The options that are needed to decode its clips again."""
        return decode(DecodingOptions, self.options, "config")

    @property
    def timed_session(self) -> Session | None:
        """The session that timed the most videos, the last one of equals; None if none did."""
        timed = [session for session in self.sessions if session.latency_ms]
        return max(reversed(timed), key=lambda session: session.videos, default=None)

    def as_json(self) -> dict[str, Any]:
        """The content of ``run.json``."""
        content: dict[str, Any] = encode(self)
        return {"format": FORMAT, **content}

    @classmethod
    def from_json(cls, content: object) -> RunRecord:
        """Build the record from the content of a ``run.json``.

        Raises:
            FieldError: The content is not a record, or has a later format.
        """
        version = decode(_Format, content).format
        if version > FORMAT:
            raise LaterFormatError(f"format {version}, and this version reads up to {FORMAT}")
        record = decode(cls, content)
        _ = record.decoding  # raises for bad options now, not at first use
        return record


class _Format(NamedTuple):
    format: int = 0


def read_record(
    path: Path, shown: str = "", remedy: str = "make the run again, or leave it out"
) -> RunRecord:
    """Read a ``run.json``; takes the arguments of :func:`read_json`.

    Raises:
        ConfigError: The file is damaged, or another program or a later version wrote it.
    """
    return read_json(path, RunRecord.from_json, remedy, shown)
