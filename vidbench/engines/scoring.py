"""Score the videos of a run with one model, batch by batch; go on where an earlier run stopped."""

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
    """What a model says of one video.

    Attributes:
        scores: (classes,), the mean over views; of a ranking, numbers that fall with the rank.
        fewer_views: The same of fewer views, by the name of the protocol.
        note: What is wrong or odd with the video; empty for most.
        ranked: How many classes it ranks at most; None for all.
    """

    scores: Scores
    fewer_views: Mapping[str, Scores] = MappingProxyType({})
    note: str = ""
    ranked: int | None = None


class Outcomes(NamedTuple):
    """What came of the videos of a batch, by their places in the list of requested ones.

    Attributes:
        scored: What the model says of them.
        skips: Why the others have no score.
        judged: How many the model ran on, in this call.
    """

    scored: Mapping[int, Scored]
    skips: Mapping[int, Skip]
    judged: int


ReadyBatch = Callable[[], Outcomes]
"""A batch whose input is there; calling it runs the model."""


class Scorer(Protocol):
    """Scores videos of one dataset with one model; what the model takes decides which scorer.

    Constructing one reads nothing. Every scorer cuts batches as it is told, and gives the same
    bits for a video whatever was scored before.
    """

    @property
    def dataset(self) -> Dataset:
        """Source of the videos."""
        ...

    @property
    def spec(self) -> PreprocessSpec | None:
        """What is done to pixels; None where the model reads the files itself."""
        ...

    @property
    def evidence(self) -> str:
        """What the scores are at least, one of :data:`~vidbench.metrics.ranking.EVIDENCE`."""
        ...

    @property
    def fewer_views(self) -> Sequence[str]:
        """Names of the protocols with fewer views that are scored from the same pass."""
        ...

    @property
    def batch_size(self) -> int:
        """Most videos of a batch where none is asked for."""
        ...

    @property
    def seconds_by_stage(self) -> Mapping[str, float]:
        """Seconds spent on input so far, by stage, in all workers together."""
        ...

    @property
    def cache_bytes(self) -> int:
        """Bytes of cached clips read so far."""
        ...

    def check(self, records: Sequence[VideoRecord]) -> None:
        """Raise ConfigError if videos of this kind cannot be scored."""
        ...

    def skip_is_final(self, record: VideoRecord, reason: str) -> bool:
        """Whether this video, skipped for this reason, need not be tried again."""
        ...

    def require_room(self, records: Sequence[VideoRecord]) -> None:
        """Raise DiskFullError unless the disk has room for what is to be cached."""
        ...

    def load(self) -> None:
        """Load the model and rehearse it, as far as that is possible without a video.

        Raises:
            ModelError: It cannot be loaded or run.
        """
        ...

    def prepare(self, records: Sequence[VideoRecord], workers: Workers) -> str:
        """Prepare the input of these videos, for a scorer of another process.

        Returns:
            What :meth:`stream` takes, as text.
        """
        ...

    def stream(
        self,
        records: Sequence[VideoRecord],
        slots: Sequence[Sequence[int]],
        prepared: str | None = None,
    ) -> AbstractContextManager[Iterator[ReadyBatch]]:
        """The batches in order; their input is prepared from entering to leaving.

        Args:
            records: All requested videos.
            slots: The places of the videos of each batch.
            prepared: What :meth:`prepare` gave for these places, one batch after another; None
                to prepare them here, ahead of the batches.
        """
        ...

    def sweep(self) -> None:
        """Remove what killed workers left in the cache."""
        ...


def unfinished_batches(
    predictions: Predictions,
    records: Sequence[VideoRecord],
    skip_is_final: Callable[[VideoRecord, str], bool],
    batch_size: int,
) -> list[range]:
    """The batches in which a video has no outcome yet, or a skip that no longer stands.

    Batches are cut from the whole list of requested videos, so that what is predicted together
    depends neither on where a run was stopped nor on how many videos were skipped.

    Args:
        predictions: The table.
        records: Its videos.
        skip_is_final: Whether a video that was skipped, and why, need not be tried again.
        batch_size: Most videos in a batch.
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
    """Fill the rows of these batches, and write each batch at once; return the model's pace.

    A signal that stops the run, see :mod:`vidbench.terminal.signals`, lets a batch finish first.

    Args:
        scorer: Scores videos; its model is loaded before any video is decoded.
        records: All requested videos.
        predictions: Their table.
        batches: The places of the videos of each batch to predict.
        folder: Keeps each batch.
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
                begun = time.perf_counter()
                with stopwatch("predict"):
                    outcomes = batch()
                    fill(predictions, outcomes)
                seconds = time.perf_counter() - begun
                if outcomes.judged:  # else all features were there, which is not the model's pace
                    pace.add(seconds, outcomes.judged)
                logger.debug("predicted %d videos in %.3f s", outcomes.judged, seconds)
                with stopwatch("write"):
                    folder.add(predictions, rows)
                advance(len(rows))
                done.add(rows)
    return pace


class Done:
    """How many videos of a table have an outcome, to be said if a signal comes.

    Args:
        predictions: The table, as it is before more of it is filled.
    """

    def __init__(self, predictions: Predictions) -> None:
        self._pending = np.asarray(predictions.reasons == PENDING)
        self.add(())

    def add(self, rows: Sequence[int]) -> None:
        """Note that these rows have an outcome now."""
        self._pending[list(rows)] = False
        left = int(np.count_nonzero(self._pending))
        note_progress(len(self._pending) - left, len(self._pending))


def fill(predictions: Predictions, outcomes: Outcomes) -> None:
    """Fill the rows of a batch: with the scores of its videos, or why they have none.

    A score that is there is not lost with its video.
    """
    for row, scored in outcomes.scored.items():
        predictions.set_scores(row, *scored)
    for row, skip in outcomes.skips.items():
        if predictions.reasons[row]:
            predictions.set_skip(row, skip)
