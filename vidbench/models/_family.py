"""What a family of models declares of itself."""

from __future__ import annotations

from dataclasses import dataclass

from vidbench.metrics.ranking import EVIDENCE, PROBABILITIES


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """What is known of a model without its library and its weights.

    Attributes:
        name: As ``--model_type`` takes it, ``family`` or ``family/variant``.
        source: Where its weights come from.
        classes: Name of its class list, or what decides it.
        top1: Accuracy that its authors published, 0 to 1; None where they did not.
        top5: Likewise.
        published: Of what, and by which protocol: dataset, split, views, frames, size.
        reference: Where that stands.
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
"""What models take: decoded clips; clips, of which they make features that may be kept; or the
files of videos, which they read themselves."""

OPTIONS = frozenset({"classes_file", "model_path", "prompts"})
"""The options that ``load`` of a family may take."""


@dataclass(frozen=True, kw_only=True)
class ModelFamily:
    """What a family of models is and can; its module has one under the name ``FAMILY``.

    Attributes:
        name: As ``--model_type`` takes it.
        needs: The extra that installs its library, e.g. ``torch``; empty for none.
        entries: What is listed by ``vidbench models``.
        input: What its models take, one of :data:`INPUTS`.
        evidence: What its models give at least, one of :data:`~vidbench.metrics.ranking.EVIDENCE`.
        options: The options that its ``load`` takes, of :data:`OPTIONS`.
        variants: The names that may stand behind a slash; None where only ``load`` knows.
        default_variant: The variant that is meant where none is asked for.
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
