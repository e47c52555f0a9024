"""Score the videos of a run with one model, batch by batch, resuming an earlier run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from types import MappingProxyType
from typing import NamedTuple, Protocol

import numpy as np

from vidbench.data.clips.prepare import Workers
from vidbench.data.datasets.base import Dataset
from vidbench.data.loader import batched
from vidbench.data.records import Skip, VideoRecord
from vidbench.data.spec import PreprocessSpec
from vidbench.data.views import Scores
from vidbench.engines.pace import Pace
from vidbench.runs.folder import RunFolder
from vidbench.runs.predictions import PENDING, Predictions
from vidbench.system.stopwatch import Stopwatch
from vidbench.terminal.progress import progress
from vidbench.terminal.signals import (
    block_signals_in_children,
    finish_before_stopping,
    note_progress,
)

logger = logging.getLogger(__name__)


class Scored(NamedTuple):
    """Scores of one video.

    Attributes:
        scores: (classes,), the mean over views; for a ranking, numbers that decrease with the
            rank.
        fewer_views: Scores from fewer views, by the name of the protocol.
        note: Anomaly of the video; usually empty.
        ranked: Maximum number of classes that the scores rank; None for all.
    """

    scores: Scores
    fewer_views: Mapping[str, Scores] = MappingProxyType({})
    note: str = ""
    ranked: int | None = None


class Outcomes(NamedTuple):
    """Outcomes of a batch, by index in the list of requested videos.

    Attributes:
        scored: Scores of the scored videos.
        skips: Skips of the others.
        judged: Number of videos that the model ran on in this call.
    """

    scored: Mapping[int, Scored]
    skips: Mapping[int, Skip]
    judged: int


ReadyBatch = Callable[[], Outcomes]
"""A batch whose input is ready; calling it runs the model."""


class Scorer(Protocol):
    """Scores videos of one dataset with one model; the model's input decides which scorer is used.

    Constructing a scorer does no I/O. Scorers keep to the given batches, and the bits of a score
    do not depend on what was scored before.
    """

    @property
    def dataset(self) -> Dataset:
        """Source of the videos."""
        ...

    @property
    def spec(self) -> PreprocessSpec | None:
        """Preprocessing of clips; None if the model reads video files itself."""
        ...

    @property
    def evidence(self) -> str:
        """Kind of scores, at least, one of :data:`~vidbench.metrics.ranking.EVIDENCE`."""
        ...

    @property
    def fewer_views(self) -> Sequence[str]:
        """Names of the protocols with fewer views that are scored in the same pass."""
        ...

    @property
    def batch_size(self) -> int:
        """Default maximum number of videos in a batch."""
        ...

    @property
    def seconds_by_stage(self) -> Mapping[str, float]:
        """Seconds spent on input so far, by stage, summed over all workers."""
        ...

    @property
    def cache_bytes(self) -> int:
        """Bytes of cached clips read so far."""
        ...

    def check(self, records: Sequence[VideoRecord]) -> None:
        """Raise ConfigError if videos of this kind cannot be scored."""
        ...

    def skip_is_final(self, record: VideoRecord, reason: str) -> bool:
        """Whether a video that was skipped for this reason need not be tried again."""
        ...

    def require_room(self, records: Sequence[VideoRecord]) -> None:
        """Raise DiskFullError unless the disk has room for the cache entries of these videos."""
        ...

    def load(self) -> None:
        """Load the model and test it, as far as possible without a video.

        Raises:
            ModelError: The model cannot be loaded or run.
        """
        ...

    def prepare(self, records: Sequence[VideoRecord], workers: Workers) -> str:
        """Prepare the input of these videos, for a scorer of another process.

        Returns:
            Text for the argument ``prepared`` of :meth:`stream`.
        """
        ...

    def stream(
        self,
        records: Sequence[VideoRecord],
        slots: Sequence[Sequence[int]],
        prepared: str | None = None,
    ) -> AbstractContextManager[Iterator[ReadyBatch]]:
        """Context with the batches in order, inside of which their input is prepared.

        Args:
            records: All requested videos.
            slots: Indices of the videos of each batch.
            prepared: Result of :meth:`prepare` for these videos, one batch after another; None to
                prepare them here, ahead of the batches.
        """
        ...

    def sweep(self) -> None:
        """Remove partial files that killed workers left in the cache."""
        ...


def unfinished_batches(
    predictions: Predictions,
    records: Sequence[VideoRecord],
    skip_is_final: Callable[[VideoRecord, str], bool],
    batch_size: int,
) -> list[range]:
    """Batches with a video that has no outcome yet, or a skip that is not final.

    Batches are cut from the whole list of requested videos, so their composition depends neither
    on where a run was stopped nor on how many videos were skipped.

    Args:
        predictions: Table of the predictions.
        records: Its videos.
        skip_is_final: Takes a skipped video and the reason; returns whether it need not be tried
            again.
        batch_size: Maximum number of videos in a batch.
    """

    def is_open(row: int) -> bool:
        reason = str(predictions.reasons[row])
        return bool(reason) and (reason == PENDING or not skip_is_final(records[row], reason))

    return [rows for rows in batched(len(records), batch_size) if any(map(is_open, rows))]


def predict(
    scorer: Scorer,
    records: Sequence[VideoRecord],
    predictions: Predictions,
    batches: Sequence[range],
    folder: RunFolder,
    stopwatch: Stopwatch,
) -> Pace:
    """Predict these batches and write each one immediately; return the model's pace.

    If a signal stops the run, see :mod:`vidbench.terminal.signals`, the current batch is finished
    first.

    Args:
        scorer: Scorer of the videos; its model is loaded before any video is decoded.
        records: All requested videos.
        predictions: Table of their predictions, which is filled in.
        batches: Indices of the videos of each batch to predict.
        folder: Folder that batches are written to.
        stopwatch: Measures what the run waited for.
    """
    total = sum(len(rows) for rows in batches)
    pace = Pace()
    done = Done(predictions)
    with stopwatch("load_model"):
        scorer.load()
    with ExitStack() as stack:
        with block_signals_in_children():
            stream = stack.enter_context(scorer.stream(records, batches))  # decoding starts here
        advance = stack.enter_context(progress("predict", total))
        for rows, batch in zip(batches, stopwatch.each("wait_for_clips", stream), strict=True):
            with finish_before_stopping():
                start = time.perf_counter()
                with stopwatch("predict"):
                    outcomes = batch()
                    fill(predictions, outcomes)
                seconds = time.perf_counter() - start
                if outcomes.judged:  # else all features were cached, and the model did not run
                    pace.add(seconds, outcomes.judged)
                logger.debug("predicted %d videos in %.3f s", outcomes.judged, seconds)
                with stopwatch("write"):
                    folder.add(predictions, rows)
                advance(len(rows))
                done.add(rows)
    return pace


class Done:
    """Counts the videos of a table that have an outcome, for the message if a signal arrives.

    Args:
        predictions: The table, before more of it is filled in.
    """

    def __init__(self, predictions: Predictions) -> None:
        self._pending = np.asarray(predictions.reasons == PENDING)
        self.add(())

    def add(self, rows: Sequence[int]) -> None:
        """Record that these rows have an outcome now."""
        self._pending[list(rows)] = False
        left = int(np.count_nonzero(self._pending))
        note_progress(len(self._pending) - left, len(self._pending))


def fill(predictions: Predictions, outcomes: Outcomes) -> None:
    """Write the outcomes of a batch into the table.

    An earlier score is kept if the video can no longer be scored.
    """
    for row, scored in outcomes.scored.items():
        predictions.set_scores(row, *scored)
    for row, skip in outcomes.skips.items():
        if predictions.reasons[row]:
            predictions.set_skip(row, skip)
