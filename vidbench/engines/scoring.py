"""Cached clips and a model become predictions on disk; goes on where an earlier run stopped."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import cast

import numpy as np

from vidbench.data.clips.features import FeatureCache
from vidbench.data.loader import Batch, VideoLoader, batched
from vidbench.data.records import VideoRecord
from vidbench.data.spec import PreprocessSpec
from vidbench.data.views import Scores, ViewIndices, fewer_views, pool, require_probabilities
from vidbench.engines.pace import Pace
from vidbench.errors import ModelError, VidbenchError
from vidbench.models.base import Classifier, EmbeddingClassifier
from vidbench.runs.folder import RunFolder
from vidbench.runs.predictions import PENDING, Predictions
from vidbench.system.stopwatch import Stopwatch
from vidbench.terminal.progress import progress
from vidbench.terminal.sanitize import one_line
from vidbench.terminal.signals import (
    block_signals_in_children,
    finish_before_stopping,
    note_progress,
)

logger = logging.getLogger(__name__)


def unfinished_batches(
    predictions: Predictions,
    records: Sequence[VideoRecord],
    skip_is_final: Callable[[VideoRecord], bool],
    batch_size: int,
) -> list[range]:
    """The batches in which a video has no outcome yet, or a skip that no longer stands.

    Batches are cut from the whole list of requested videos, so that what is predicted together
    depends neither on where a run was stopped nor on how many videos were skipped.

    Args:
        predictions: The table.
        records: Its videos.
        skip_is_final: Whether a video that was skipped need not be tried again.
        batch_size: Most videos in a batch.
    """

    def is_open(row: int) -> bool:
        reason = predictions.reasons[row]
        return bool(reason) and (reason == PENDING or not skip_is_final(records[row]))

    return [rows for rows in batched(len(records), batch_size) if any(map(is_open, rows))]


def predict(
    load: Callable[[], Classifier],
    loader: VideoLoader,
    records: Sequence[VideoRecord],
    predictions: Predictions,
    batches: Sequence[range],
    folder: RunFolder,
    stopwatch: Stopwatch,
) -> Pace:
    """How fast the model was; fills the rows of these batches, and writes each at once.

    A signal that stops the run, see :mod:`vidbench.terminal.signals`, lets a batch finish first.

    Args:
        load: Loads the model, before any video is decoded; an
            :class:`~vidbench.models.base.EmbeddingClassifier` where the loader keeps features.
        loader: Gives clips.
        records: All requested videos.
        predictions: Their table.
        batches: The places of the videos of each batch to predict.
        folder: Keeps each batch.
        stopwatch: Tells what the run waited for.
    """
    total = sum(len(rows) for rows in batches)
    fewer = fewer_views(loader.spec)
    pace = Pace()
    done = Done(predictions)
    with stopwatch("load_model"):
        classifier = rehearsed(load, loader.spec, predictions.classes)
    with ExitStack() as stack:
        with block_signals_in_children():
            stream = stack.enter_context(loader.stream(records, batches))  # decoding starts here
        advance = stack.enter_context(progress("predict", total))
        for rows, batch in zip(batches, stopwatch.each("wait_for_clips", stream), strict=True):
            with finish_before_stopping():
                begun = time.perf_counter()
                with stopwatch("predict"):
                    fill(predictions, batch, classifier, loader.features, fewer)
                seconds = time.perf_counter() - begun
                if batch.rows:  # else all features were there, which is not the model's pace
                    pace.add(seconds, len(batch.rows))
                logger.debug("predicted %d videos in %.3f s", len(batch.rows), seconds)
                with stopwatch("write"):
                    folder.add(predictions, rows)
                advance(len(rows))
                done.add(rows)
    return pace


def rehearsed(
    load: Callable[[], Classifier], spec: PreprocessSpec, classes: Sequence[str]
) -> Classifier:
    """The loaded model, which has run on one clip of noise: what it cannot do is found here.

    So no video is decoded for a model that does not answer as it should.

    Args:
        load: Loads the model.
        spec: Of its clips.
        classes: In the order of its scores.

    Raises:
        ModelError: It cannot be loaded or run, or its scores are no probabilities of the classes.
    """
    shape = (1, *spec.views_shape[1:])
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    try:
        classifier = load()
        scores = classifier.predict(noise)
    except VidbenchError:
        raise
    except Exception as error:  # of any framework
        logger.debug("the model cannot be run", exc_info=True)
        raise ModelError(
            f"the model cannot be loaded, or not be run on a clip: {one_line(error)} "
            "(--verbose_logging shows where)"
        ) from error
    require_probabilities(scores, 1, classes)
    return classifier


class Done:
    """How many videos of a table have an outcome, to be said if a signal comes.

    Args:
        predictions: The table, as it is before more of it is filled.
    """

    def __init__(self, predictions: Predictions) -> None:
        self._pending = np.asarray(predictions.reasons == PENDING)
        self.add(())

    def add(self, rows: Sequence[int]) -> None:
        """Notes that these rows have an outcome now."""
        self._pending[list(rows)] = False
        left = int(np.count_nonzero(self._pending))
        note_progress(len(self._pending) - left, len(self._pending))


def fill(
    predictions: Predictions,
    batch: Batch,
    classifier: Classifier,
    features: FeatureCache | None,
    fewer: Mapping[str, ViewIndices],
) -> None:
    """Fills the rows of a batch: with the scores of its videos, or why they have none.

    Args:
        predictions: The table.
        batch: Clips of some of its rows.
        classifier: An :class:`~vidbench.models.base.EmbeddingClassifier` where there are features.
        features: Where those are kept, if the model has any.
        fewer: As of :func:`~vidbench.data.views.fewer_views`.
    """
    for row, of_views in _scores(classifier, features, batch, predictions.classes).items():
        pooled = {name: pool(of_views[chosen]) for name, chosen in fewer.items()}
        predictions.set_scores(row, pool(of_views), pooled, batch.notes.get(row, ""))
    for row, skip in batch.skips.items():
        if predictions.reasons[row]:  # a score that is there is not lost with its video
            predictions.set_skip(row, skip)


def _scores(
    classifier: Classifier, features: FeatureCache | None, batch: Batch, classes: Sequence[str]
) -> Mapping[int, Scores]:
    """The scores (views, classes) of each video, by its place."""
    if features is not None:
        return _scores_of_features(cast(EmbeddingClassifier, classifier), features, batch, classes)
    if not batch.rows:
        return {}
    videos, views = batch.views.shape[:2]
    clips = batch.views.reshape(-1, *batch.views.shape[2:])
    scores = require_probabilities(classifier.predict(clips), len(clips), classes)
    return dict(zip(batch.rows, scores.reshape(videos, views, -1), strict=True))


def _scores_of_features(
    classifier: EmbeddingClassifier, kept: FeatureCache, batch: Batch, classes: Sequence[str]
) -> Mapping[int, Scores]:
    """The same by features, which are kept unless they were; one video after another.

    So each call has the same shape, and no score depends on what was kept, bit for bit.
    """
    features = dict(batch.features)
    for row, views in zip(batch.rows, batch.views, strict=True):
        features[row] = classifier.embed(views)
        if row in batch.keys:
            kept.write(batch.keys[row], features[row])
    return {
        row: require_probabilities(classifier.classify(of_views), len(of_views), classes)
        for row, of_views in features.items()
    }
