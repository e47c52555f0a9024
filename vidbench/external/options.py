"""The options of `vidbench score` that no evaluation has."""

from __future__ import annotations

from dataclasses import dataclass

from vidbench.config.options import check_options, option
from vidbench.external.scores import KINDS, POOLS


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """How a file of predictions is read.

    Raises:
        ConfigError: A value is not valid.
    """

    model_name: str | None = option(
        None, "name of the model that made the predictions (default: the file's name)", "NAME"
    )
    scores_are: str = option(
        "auto", "what the scores are: {choices}; auto finds out", "KIND", choices=KINDS
    )
    pool: str = option(
        "mean", "how several rows of a video become one: {choices}", "HOW", choices=POOLS
    )

    def __post_init__(self) -> None:
        check_options(self)
