"""Warn of videos that say little: seen in training, or of few classes only."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from vidbench.config.label_matching import Labels
from vidbench.config.run_config import RunConfig
from vidbench.data.datasets.base import Dataset
from vidbench.data.leakage import Leakage, check_leakage
from vidbench.data.records import VideoRecord
from vidbench.storage.locations import working_folder

logger = logging.getLogger(__name__)


def warn_of_leakage(
    config: RunConfig, trained_on: str | None, dataset: Dataset, records: Sequence[VideoRecord]
) -> Leakage:
    """Check for videos that the model was trained on, and warn of them."""
    leakage = check_leakage(
        trained_on,
        dataset.name,
        dataset.split,
        [record.group for record in records],
        working_folder(config.data_dir),
        config.dataset_path,
        config.training_list,
    )
    if leakage.warning:
        logger.warning("%s", leakage.warning)
    return leakage


def warn_of_few_classes(records: Sequence[VideoRecord], labels: Labels) -> None:
    """Warn if the requested videos cover less than half of the classes."""
    covered = {record.label for record in records if record.label is not None}
    if covered and 2 * len(covered) < len(labels.classes):
        logger.warning(
            "the %d requested videos cover %d of the %d classes: the accuracy is not that of "
            "the whole split",
            len(records),
            len(covered),
            len(labels.classes),
        )
