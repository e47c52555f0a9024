"""RunFolder: the files of one evaluation, which it resumes from and finally completes."""

from __future__ import annotations

import itertools
import logging
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vidbench.errors import ConfigError
from vidbench.runs.context import RunContext
from vidbench.runs.identity import Identity
from vidbench.runs.metrics_record import Metrics
from vidbench.runs.outputs import write_outputs
from vidbench.runs.predictions import Predictions
from vidbench.runs.record import RecordedIdentity, RunRecord, Session, read_record
from vidbench.storage.files import disk_errors, seen_from, sweep, temporary_path, write_json
from vidbench.storage.locations import Location, is_remote, without_password
from vidbench.storage.store import at_once, open_store
from vidbench.storage.typed_json import decode
from vidbench.system.provenance import now, provenance

logger = logging.getLogger(__name__)

_NOWHERE: Mapping[str, Location] = MappingProxyType({})

OUTPUTS = (  # in order of upload: a run with the last file has all of them
    "scores.npz",
    "predictions.csv",
    "skipped.csv",
    "per_class.csv",
    "confusion.csv",
    "metrics.json",
)


class RunFolder:
    """Predictions on disk: a file after every batch, one table at the end.

    ``batches/`` has the predictions of an unfinished run so far; ``scores.npz`` has the table of a
    finished one, from which ``predictions.csv``, ``skipped.csv`` and ``metrics.json`` can be
    written again.

    Args:
        location: The folder; it may be remote. Files are then written to a local working folder
            and uploaded; files that a killed process left there are ignored.
        identity: Identity of the run, which decides its predictions.

    Attributes:
        path: The folder, or the local working folder of a remote one.
    """

    def __init__(self, location: Location, identity: Identity) -> None:
        self._location = location
        self._store = open_store(location)
        self._identity = identity
        self.path = self._store.local

    def open(
        self,
        config: Mapping[str, Any],
        context: RunContext,
        unlisted: Sequence[Path] = (),
        places: Mapping[str, Location] = _NOWHERE,
        *,
        overwrite: bool = False,
    ) -> None:
        """Create the folder, or continue an earlier run with the same identity.

        Args:
            config: Values of the options.
            context: Context of the run that its metrics need.
            unlisted: Files that no annotation lists.
            places: Locations of the run's videos and clips.
            overwrite: Remove an earlier run first.

        Raises:
            ConfigError: The folder has files of something else or of a run with another identity.
        """
        self._store.evict()
        self._refuse_foreign()
        if overwrite:
            self._remove_all()
        self._store.download("run.json")
        if (self.path / "run.json").exists():
            record = self._read_record()
            self._refuse_other_identity(record)
        else:
            record = self._describe(config, unlisted)
        self._write_record(replace(record, context=context, places=self._relative(places)))

    def load(self, predictions: Predictions) -> Predictions:
        """Fill in the rows that were written so far; the others stay pending."""
        table = self.path / "scores.npz"
        at_once(self._store.download, [table.name, *self._store.list("batches")])
        for path in [*([table] if table.exists() else []), *self._batches()]:
            predictions.update(path)
        return predictions

    def add(self, predictions: Predictions, rows: Sequence[int]) -> None:
        """Write the rows of one batch; they survive if the process is killed.

        Raises:
            DiskFullError: The disk is full; earlier batches are kept.
        """
        name = f"batches/{next(self._numbers):09d}.npz"
        with disk_errors(self.path):
            predictions.save(self.path / name, rows)
        self.upload(name)

    def finish(self, predictions: Predictions, top_n: int) -> Metrics:
        """Write all files of a finished run, then remove the batches; return the metrics.

        Raises:
            DiskFullError: The disk is full; the batches are kept.
        """
        with disk_errors(self.path):
            if self._batches() or not (self.path / "scores.npz").exists():
                predictions.save(self.path / "scores.npz")
            metrics = write_outputs(self.path, predictions, self._context(), top_n)
        for name in OUTPUTS:
            self.upload(name)
        self._drop_batches()
        sweep(self.path, "")
        return metrics

    def upload(self, name: str) -> None:
        """Upload a file of a remote run, such as its report, if the working folder has it."""
        if (self.path / name).is_file():
            self._store.put(name, self.path / name)

    def add_session(
        self,
        videos: int,
        seconds: Mapping[str, float],
        beside: Mapping[str, float],
        measured: Mapping[str, Any],
    ) -> None:
        """Record in ``run.json`` what this session predicted, and its cost.

        Args:
            videos: Number of videos that it predicted.
            seconds: Time by stage, one after another.
            beside: Time by stage, in other threads and processes at the same time.
            measured: Latency, throughput, memory and bytes, by names that end in their units.
        """
        record = self._read_record()
        general = {"ended": now(), "videos": videos}
        stages = {"seconds": _rounded(seconds), "beside": _rounded(beside)}
        session = decode(Session, {**general, **stages, **measured})
        self._write_record(replace(record, sessions=(*record.sessions, session)))

    @cached_property
    def _numbers(self) -> Iterator[int]:
        """Increasing numbers of new batches: later outcomes override earlier ones."""
        batches = self._batches()
        return itertools.count(_number(batches[-1]) + 1 if batches else 0)

    def _drop_batches(self) -> None:
        """Remove all batches at once: an earlier outcome must not outlive the one overriding it.

        Those of a remote run cannot be deleted at once, so the earliest are deleted first.
        """
        batches = self.path / "batches"
        if batches.exists():
            shutil.rmtree(batches.rename(temporary_path(batches)), ignore_errors=True)
        for name in self._store.list("batches"):
            self._store.delete(name)

    def _batches(self) -> list[Path]:
        return sorted((self.path / "batches").glob("[0-9]*.npz"))

    def _refuse_foreign(self) -> None:
        """Raise ConfigError if the folder has files, apart from temporary ones, but no run."""
        store = self._store
        if not store.exists("run.json") and (store.exists("") or store.list()):
            address = store.address()
            raise ConfigError(f"{address} exists and is not a run folder: use another --run_name")

    def _remove_all(self) -> None:
        """Remove the folder; ``run.json`` last, because it marks the folder as that of a run."""
        for name in self._store.list():
            if name != "run.json":
                self._store.delete_tree(name)
        self._store.delete_tree()

    def _refuse_other_identity(self, record: RunRecord) -> None:
        digest = self._identity.digest()
        if record.digest != digest:
            raise ConfigError(
                f"{self._store.address()} has run {record.digest}, this is run {digest} (another "
                "model, videos or preprocessing): use another --run_name or --overwrite_output_dir"
            )

    def _read_record(self) -> RunRecord:
        path = self.path / "run.json"
        remedy = "--overwrite_output_dir starts the run again"
        return read_record(path, self._store.address(path.name), remedy)

    def _context(self) -> RunContext:
        context = self._read_record().context
        if context is None:
            raise ConfigError(f"{self._store.address()} was not opened: open it first")
        return context

    def _relative(self, places: Mapping[str, Location]) -> dict[str, str]:
        """The locations relative to this folder, so that all can be moved together."""
        return {name: self._seen(place) for name, place in places.items()}

    def _seen(self, place: Location) -> str:
        if is_remote(place):
            return without_password(str(place), keep_name=True)
        if is_remote(self._location):  # no relative path leads from there to a local folder
            return Path(place).absolute().as_posix()
        return seen_from(self.path, Path(place))

    def _describe(self, config: Mapping[str, Any], unlisted: Sequence[Path]) -> RunRecord:
        return RunRecord(
            digest=self._identity.digest(),
            identity=decode(RecordedIdentity, self._identity.as_dict()),
            spec_digest=self._identity.spec_digest,
            options=dict(config),
            unlisted=tuple(path.as_posix() for path in unlisted),
            sessions=(),
            **provenance(),
        )

    def _write_record(self, record: RunRecord) -> None:
        with disk_errors(self.path):
            write_json(self.path / "run.json", record.as_json())
        self.upload("run.json")


def _number(batch: Path) -> int:
    digits = re.match(r"\d+", batch.name)
    return int(digits[0]) if digits else 0


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {stage: round(value, 3) for stage, value in seconds.items()}
