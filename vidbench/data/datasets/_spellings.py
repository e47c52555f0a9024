"""Map spellings of class names in folders and older lists to the official names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from vidbench.data.datasets._kinetics_annotations import Annotation
from vidbench.errors import FetchError
from vidbench.labels.class_lists import fold_name

Key = TypeVar("Key")


class Spellings:
    """Finds the class for a spelling; no two classes may fold to the same name.

    torchvision and mmaction2 write ``_`` for blanks, and torchvision leaves out ``'``, ``(`` and
    ``)``, so ``massaging_persons_head`` is the folder of ``massaging person's head``. An older list
    of Kinetics-400 has ``gymnastics_tumbling``.

    Args:
        classes: The official names.
    """

    def __init__(self, classes: Iterable[str]) -> None:
        self._classes = {fold_name(name): name for name in classes}

    def find(self, name: str) -> str | None:
        """Return the class with this name, or None."""
        return self._classes.get(fold_name(name))


def with_class_names(
    annotations: Mapping[Key, Annotation], classes: Sequence[str], name: str, source: object
) -> dict[Key, Annotation]:
    """Return the annotations with labels in the spelling of the class list.

    Args:
        annotations: The annotations as read.
        classes: Classes of the dataset.
        name: Name of the dataset, for the message.
        source: Source of the annotations, for the message.

    Raises:
        FetchError: A label is not a class.
    """
    official, spellings = set(classes), Spellings(classes)
    labels = {a.label for a in annotations.values() if a.label is not None}
    targets = {label: label if label in official else spellings.find(label) for label in labels}
    if unknown := sorted(label for label, target in targets.items() if target is None):
        raise FetchError(f"{source} has labels that are not classes of {name}: {unknown[:3]}")
    return {
        key: a if a.label is None else a._replace(label=targets[a.label])
        for key, a in annotations.items()
    }
