"""Accuracy, calibration, intervals and paired tests: arrays in, numbers out."""

from vidbench.metrics.classification import accuracy as accuracy
from vidbench.metrics.classification import calibration as calibration
from vidbench.metrics.classification import class_metrics as class_metrics
from vidbench.metrics.classification import compute_accuracy as compute_accuracy
from vidbench.metrics.classification import confusion_matrix as confusion_matrix
from vidbench.metrics.classification import macro_averages as macro_averages
from vidbench.metrics.classification import most_confused as most_confused
from vidbench.metrics.intervals import Estimate as Estimate
from vidbench.metrics.intervals import mean_share as mean_share
from vidbench.metrics.intervals import share as share
from vidbench.metrics.intervals import wilson as wilson
from vidbench.metrics.outcomes import Outcomes as Outcomes
from vidbench.metrics.outcomes import top_k_hits as top_k_hits
