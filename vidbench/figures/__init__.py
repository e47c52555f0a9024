"""Figures of finished runs in one style: functions that return a matplotlib ``Figure``."""

from vidbench.figures.classes import class_accuracy as class_accuracy
from vidbench.figures.classes import class_counts as class_counts
from vidbench.figures.classes import confusion as confusion
from vidbench.figures.readings import NoFigureError as NoFigureError
from vidbench.figures.runs import accuracy as accuracy
from vidbench.figures.runs import accuracy_by_latency as accuracy_by_latency
from vidbench.figures.runs import draw as draw
from vidbench.figures.runs import reliability as reliability
