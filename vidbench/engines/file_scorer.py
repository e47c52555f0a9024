"""Score video files with a model that reads them itself, without decoding or caching."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from vidbench.data.clips.prepare import Workers
from vidbench.data.clips.source import MISSING
from vidbench.data.datasets.base import Dataset
from vidbench.data.records import Skip, VideoRecord
from vidbench.data.views import require_probabilities
from vidbench.engines.scoring import Outcomes, ReadyBatch, Scored
from vidbench.errors import ConfigError, ModelError
from vidbench.metrics.ranking import (
    PROBABILITIES,
    RANKING,
    has_scores,
    name_evidence,
    rank_scores,
)
from vidbench.models.base import Answer, FileClassifier

_BATCH_SIZE = 16
_FAILURES = 16  # at the start of a run, before the model is assumed to fail for every video


class FileScorer:
    """Scorer of models that read files; see :class:`~vidbench.engines.scoring.Scorer`.

    Args:
        dataset: Source of the videos.
        classes: Classes that the model may name.
        load: Loads the model.
        evidence: Kind of scores that the model declares.
        local_copy: Context with a local file for a path of the dataset.
        seconds: Time limit for one video.
        retry_skipped: Judge skipped videos again.
    """

    spec = None
    fewer_views: Sequence[str] = ()
    batch_size = _BATCH_SIZE
    cache_bytes = 0

    def __init__(
        self,
        dataset: Dataset,
        classes: Sequence[str],
        load: Callable[[], FileClassifier],
        *,
        evidence: str,
        local_copy: Callable[[str], AbstractContextManager[Path]],
        seconds: float,
        retry_skipped: bool = False,
    ) -> None:
        self.dataset = dataset
        self.evidence = evidence
        self._index = {name: index for index, name in enumerate(classes)}
        self._load = load
        self._local_copy = local_copy
        self._seconds = seconds
        self._retry_skipped = retry_skipped
        self._failures = 0
        self._succeeded = False

    @property
    def seconds_by_stage(self) -> Mapping[str, float]:
        return {}

    def check(self, records: Sequence[VideoRecord]) -> None:
        """Raise ConfigError for sections and folders of frames, which are not whole files."""
        for record in records:
            if record.section is not None:
                raise ConfigError(
                    f"{self.dataset.name} has sections of videos, e.g. {record.video_id!r}, and "
                    "the model takes whole files: cut them out, and list the files"
                )
            if record.frames is not None:
                raise ConfigError(
                    f"{self.dataset.name} has folders of frames, e.g. {record.video_id!r}, and "
                    "the model takes files: convert each of them to a video"
                )

    def skip_is_final(self, record: VideoRecord, reason: str) -> bool:
        if not (self.dataset.folder / (record.path or "")).is_file():
            return True
        return reason != MISSING.reason and not self._retry_skipped

    def require_room(self, records: Sequence[VideoRecord]) -> None:
        """Do nothing: nothing is cached."""

    @cached_property
    def _classifier(self) -> FileClassifier:
        return self._load()

    def load(self) -> None:
        _ = self._classifier

    def prepare(self, records: Sequence[VideoRecord], workers: Workers) -> str:
        """An empty text: the model reads the files in place."""
        return ""

    @contextmanager
    def stream(
        self,
        records: Sequence[VideoRecord],
        slots: Sequence[Sequence[int]],
        prepared: str | None = None,
    ) -> Iterator[Iterator[ReadyBatch]]:
        yield (partial(self._judge, records, rows) for rows in slots)

    def sweep(self) -> None:
        """Do nothing: nothing is cached."""

    def _judge(self, records: Sequence[VideoRecord], rows: Sequence[int]) -> Outcomes:
        with ExitStack() as copies:
            files = {row: self._file(records[row], copies) for row in rows}
            unique = list(dict.fromkeys(filter(None, files.values())))
            answers = dict(zip(unique, self._answers(unique), strict=True))
        judged = {row: answers[file] if file else MISSING for row, file in files.items()}
        return Outcomes(
            {row: self._scored(item) for row, item in judged.items() if isinstance(item, Answer)},
            {row: item for row, item in judged.items() if isinstance(item, Skip)},
            len(unique),
        )

    def _file(self, record: VideoRecord, copies: ExitStack) -> Path | None:
        if record.path is None:
            return None
        try:
            file = copies.enter_context(self._local_copy(record.path.as_posix())).absolute()
        except FileNotFoundError:
            return None
        return file if file.is_file() else None

    def _answers(self, files: Sequence[Path]) -> Sequence[Answer | Skip]:
        answers = self._classifier.judge(files, self._seconds) if files else []
        if len(answers) != len(files):
            raise ModelError(f"the model gave {len(answers)} answers for {len(files)} files")
        for answer in answers:
            self._succeeded |= isinstance(answer, Answer)
            self._failures += isinstance(answer, Skip)
            if isinstance(answer, Skip) and self._failures >= _FAILURES and not self._succeeded:
                raise ModelError(
                    f"the model failed for the first {self._failures} videos; the last one "
                    f"because {answer.detail}"
                )
        return answers

    def _scored(self, answer: Answer) -> Scored:
        """The answer's scores if they cover all classes; otherwise only the order of its classes.

        Raises:
            ModelError: The model names other classes, or gives less than its family declares.
        """
        indices = [self._index.get(name, -1) for name in answer.classes]
        if not indices or min(indices) < 0 or len(set(indices)) < len(indices):
            raise ModelError(f"the model names classes that it does not have: {answer.classes}")
        scores = np.zeros(len(self._index), np.float32)
        complete = len(indices) == len(scores) == len(answer.scores)
        if has_scores(self.evidence) and not complete:
            raise ModelError(
                f"the model's family declares {name_evidence(self.evidence)}, and it scored "
                f"{len(answer.scores)} of {len(scores)} classes: declare evidence {RANKING!r}"
            )
        scores[indices] = answer.scores if complete else rank_scores(len(indices))
        if self.evidence == PROBABILITIES:
            require_probabilities(scores[None], 1, list(self._index))
        return Scored(scores, ranked=len(indices))
