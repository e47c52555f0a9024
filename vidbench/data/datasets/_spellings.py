"""Names of classes as folders and older lists spell them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from vidbench.data.datasets._kinetics_annotations import Annotation
from vidbench.errors import FetchError
from vidbench.labels.class_lists import fold_name

Key = TypeVar("Key")


class Spellings:
    """Finds the class that a name means, of a list in which no two classes fold to one.

    torchvision and mmaction2 write ``_`` for blanks, and torchvision leaves out ``'``, ``(`` and
    ``)``, so ``massaging_persons_head`` is a folder of ``massaging person's head``. An older list
    of Kinetics-400 has ``gymnastics_tumbling``.

    Args:
        classes: Names as the dataset's authors spell them.
    """

    def __init__(self, classes: Iterable[str]) -> None:
        self._classes = {fold_name(name): name for name in classes}

    def find(self, name: str) -> str | None:
        """The class; None if the name means none."""
        return self._classes.get(fold_name(name))


def with_class_names(
    annotations: Mapping[Key, Annotation], classes: Sequence[str], name: str, source: object
) -> dict[Key, Annotation]:
    """The annotations with labels as the class list spells them.

    Args:
        annotations: As read.
        classes: Of the dataset.
        name: Of the dataset, for the message.
        source: Where the annotations are from, likewise.

    Raises:
        FetchError: A label means no class.
    """
    known, spellings = set(classes), Spellings(classes)
    labels = {a.label for a in annotations.values() if a.label is not None}
    targets = {label: label if label in known else spellings.find(label) for label in labels}
    if unknown := sorted(label for label, target in targets.items() if target is None):
        raise FetchError(f"{source} has labels that are no classes of {name}: {unknown[:3]}")
    return {
        key: a if a.label is None else a._replace(label=targets[a.label])
        for key, a in annotations.items()
    }
