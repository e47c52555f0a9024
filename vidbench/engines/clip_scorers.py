"""Score decoded clips from their pixels, or from cached features."""

from __future__ import annotations

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Generic, TypeVar

import numpy as np

from vidbench.data.clips.cache import CacheKey
from vidbench.data.clips.features import FeatureCache
from vidbench.data.clips.prepare import Workers
from vidbench.data.datasets.base import Dataset
from vidbench.data.loader import Batch, VideoLoader
from vidbench.data.records import Skip, VideoRecord
from vidbench.data.spec import PreprocessSpec
from vidbench.data.views import Scores, ViewIndices, fewer_views, pool, require_probabilities
from vidbench.engines.scoring import Outcomes, ReadyBatch, Scored
from vidbench.errors import ModelError, VidbenchError
from vidbench.metrics.ranking import PROBABILITIES
from vidbench.models.base import Classifier, EmbeddingClassifier
from vidbench.system.machine import default_batch_size
from vidbench.terminal.sanitize import one_line

logger = logging.getLogger(__name__)

C = TypeVar("C", bound=Classifier)


class _OfClips(ABC, Generic[C]):
    """Base of scorers of decoded clips; see :class:`~vidbench.engines.scoring.Scorer`.

    Args:
        loader: Loader of the clips.
        classes: Classes in the order of the model's scores.
        load: Loads the model.
    """

    evidence = PROBABILITIES

    def __init__(self, loader: VideoLoader, classes: Sequence[str], load: Callable[[], C]) -> None:
        self._loader = loader
        self._classes = classes
        self._load = load

    @property
    def dataset(self) -> Dataset:
        return self._loader.dataset

    @property
    def spec(self) -> PreprocessSpec:
        return self._loader.spec

    @cached_property
    def _fewer(self) -> Mapping[str, ViewIndices]:
        return fewer_views(self.spec)

    @property
    def fewer_views(self) -> Sequence[str]:
        return list(self._fewer)

    @property
    def batch_size(self) -> int:
        return default_batch_size(self.spec.views_bytes)

    @property
    def seconds_by_stage(self) -> Mapping[str, float]:
        return self._loader.seconds_by_stage

    @property
    def cache_bytes(self) -> int:
        return self._loader.cache_bytes

    def check(self, records: Sequence[VideoRecord]) -> None:
        """Do nothing: every video that can be decoded can be scored."""

    def skip_is_final(self, record: VideoRecord, reason: str) -> bool:
        return self._loader.skip_is_final(record)

    def require_room(self, records: Sequence[VideoRecord]) -> None:
        self._loader.require_room(records)

    def load(self) -> None:
        _ = self._classifier

    @cached_property
    def _classifier(self) -> C:
        return rehearsed(self._load, self.spec, self._classes)

    def prepare(self, records: Sequence[VideoRecord], workers: Workers) -> str:
        return dump_results(list(self._loader.results(records, workers)))

    @contextmanager
    def stream(
        self,
        records: Sequence[VideoRecord],
        slots: Sequence[Sequence[int]],
        prepared: str | None = None,
    ) -> Iterator[Iterator[ReadyBatch]]:
        results = None if prepared is None else load_results(prepared, self.spec)
        with self._loader.stream(records, slots, results) as batches:
            yield (partial(self._outcomes, batch) for batch in batches)

    def sweep(self) -> None:
        self._loader.sweep()

    def _outcomes(self, batch: Batch) -> Outcomes:
        scored = {
            row: Scored(
                pool(of_views),
                {name: pool(of_views[chosen]) for name, chosen in self._fewer.items()},
                note=batch.notes.get(row, ""),
            )
            for row, of_views in self._score(batch).items()
        }
        return Outcomes(scored, batch.skips, len(batch.rows))

    @abstractmethod
    def _score(self, batch: Batch) -> Mapping[int, Scores]:
        """Scores (views, classes) of each video, by its index."""


class ClipScorer(_OfClips[Classifier]):
    """Scores all clips of a batch at once."""

    def _score(self, batch: Batch) -> Mapping[int, Scores]:
        if not batch.rows:
            return {}
        videos, views = batch.views.shape[:2]
        clips = batch.views.reshape(-1, *batch.views.shape[2:])
        scores = require_probabilities(self._classifier.predict(clips), len(clips), self._classes)
        return dict(zip(batch.rows, scores.reshape(videos, views, -1), strict=True))


class FeatureScorer(_OfClips[EmbeddingClassifier]):
    """Scores features of clips, and caches the features.

    Videos are scored one by one, so each call of the model has the same shape, and scores are
    bit for bit independent of the cache.

    Args:
        loader: Loader of clips, and of the features that are cached.
        classes: Classes in the order of the model's scores.
        load: Loads the model.
        features: Cache of features.
    """

    def __init__(
        self,
        loader: VideoLoader,
        classes: Sequence[str],
        load: Callable[[], EmbeddingClassifier],
        features: FeatureCache,
    ) -> None:
        super().__init__(loader, classes, load)
        self._features = features

    def _score(self, batch: Batch) -> Mapping[int, Scores]:
        features = dict(batch.features)
        for row, views in zip(batch.rows, batch.views, strict=True):
            features[row] = self._classifier.embed(views)
            if row in batch.keys:
                self._features.write(batch.keys[row], features[row])
        return {
            row: require_probabilities(
                self._classifier.classify(of_views), len(of_views), self._classes
            )
            for row, of_views in features.items()
        }


def rehearsed(load: Callable[[], C], spec: PreprocessSpec, classes: Sequence[str]) -> C:
    """Load the model and test it on one clip of noise.

    Failures are found before any video is decoded.

    Args:
        load: Loads the model.
        spec: Preprocessing of its clips.
        classes: Classes in the order of its scores.

    Raises:
        ModelError: The model cannot be loaded or run, or its scores are not probabilities of the
            classes.
    """
    shape = (1, *spec.views_shape[1:])
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    try:
        classifier = load()
        scores = classifier.predict(noise)
    except VidbenchError:
        raise
    except Exception as error:  # frameworks raise errors of their own
        logger.debug("the model cannot be run", exc_info=True)
        raise ModelError(
            f"the model cannot be loaded, or not be run on a clip: {one_line(error)} "
            "(--verbose_logging shows where)"
        ) from error
    require_probabilities(scores, 1, classes)
    return classifier


def dump_results(results: Sequence[CacheKey | Skip]) -> str:
    """Cache keys and skips as text."""
    return json.dumps([item.sha256 if isinstance(item, CacheKey) else item for item in results])


def load_results(text: str, spec: PreprocessSpec) -> list[CacheKey | Skip]:
    """Cache keys with this spec, and skips, from a text of :func:`dump_results`."""
    items = json.loads(text)
    return [CacheKey(item, spec) if isinstance(item, str) else Skip(*item) for item in items]
