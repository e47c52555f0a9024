"""Declarations of model families and their models."""

from __future__ import annotations

from dataclasses import dataclass

from vidbench.metrics.ranking import EVIDENCE, PROBABILITIES


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """Facts about a model that need neither its library nor its weights.

    Attributes:
        name: Value of ``--model_type``, ``family`` or ``family/variant``.
        source: Source of its weights.
        classes: Name of its class list, or the option that names it.
        top1: Top-1 accuracy that its authors published, 0 to 1; None if they did not.
        top5: Top-5 accuracy that its authors published; None if they did not.
        published: Protocol of these accuracies: dataset, split, views, frames, size.
        reference: URL of the publication.
    """

    name: str
    source: str
    classes: str
    top1: float | None = None
    top5: float | None = None
    published: str = ""
    reference: str = ""


CLIPS, FEATURES, FILES = "clips", "features", "files"

INPUTS = (CLIPS, FEATURES, FILES)
"""Inputs of models: decoded clips; clips, from which they make features that can be cached; or
video files, which they read themselves."""

OPTIONS = frozenset({"classes_file", "model_path", "prompts"})
"""Options that the function ``load`` of a family can take."""


@dataclass(frozen=True, kw_only=True)
class ModelFamily:
    """Declaration of a family of models; each module of a family has one named ``FAMILY``.

    Attributes:
        name: Value of ``--model_type``.
        needs: The extra that installs its library, e.g. ``torch``; empty for none.
        entries: Models listed by ``vidbench models``.
        input: Input of its models, one of :data:`INPUTS`.
        evidence: Minimum evidence of its models, one of
            :data:`~vidbench.metrics.ranking.EVIDENCE`.
        options: The options that its ``load`` takes, of :data:`OPTIONS`.
        variants: Names of its variants; None if only ``load`` knows them.
        default_variant: The variant if none is given.
    """

    name: str
    needs: str = ""
    entries: tuple[ModelEntry, ...] = ()
    input: str = CLIPS
    evidence: str = PROBABILITIES
    options: frozenset[str] = frozenset({"model_path"})
    variants: tuple[str, ...] | None = ()
    default_variant: str = ""

    def __post_init__(self) -> None:
        if self.input not in INPUTS or self.evidence not in EVIDENCE or self.options - OPTIONS:
            raise ValueError(f"{self.name} declares what no model can be: {self}")
