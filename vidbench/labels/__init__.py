"""Class lists, and the mapping from a dataset's labels to a model's classes."""

from vidbench.labels.aliases import read_aliases as read_aliases
from vidbench.labels.alignment import Alignment as Alignment
from vidbench.labels.alignment import Rename as Rename
from vidbench.labels.alignment import align as align
from vidbench.labels.alignment import load_renames as load_renames
from vidbench.labels.class_lists import find_classes as find_classes
from vidbench.labels.class_lists import list_names as list_names
from vidbench.labels.class_lists import load_classes as load_classes
from vidbench.labels.class_lists import load_sources as load_sources
from vidbench.labels.class_lists import read_classes as read_classes
from vidbench.labels.class_lists import restrict as restrict
