#!/bin/sh
# scikit-learn 1.9.1's top_k_accuracy_score ranks equal scores by class order, the last class first, as its
# documentation says. So a classifier that outputs only labels, as scores of 0 and 1, has a top-5 accuracy that
# depends on the numbering of classes: if it always predicts class 0 of 10, it is also right for classes 6 to 9.
#
# Seen, one video of each of 10 classes, k = 5:
#   scores of 0 and 1, always class 0   0.5, hits 0 6 7 8 9
#   the same, classes counted backwards 0.5, hits 5 6 7 8 9 of the new numbers, which are 0 1 2 3 4 of the old
#   all scores equal                    0.5, hits 5 6 7 8 9
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'END'
import sys

import numpy as np
from sklearn.metrics import top_k_accuracy_score

CLASSES = np.arange(10)


def hits(scores):
    """Classes whose video counts as right in the top 5."""
    found = []
    for label in CLASSES:
        row = scores[label : label + 1]
        if top_k_accuracy_score([label], row, k=5, labels=CLASSES) == 1:
            found.append(int(label))
    return found


always_first = np.tile(np.eye(10)[0], (10, 1))
seen = {
    "scores of 0 and 1, always class 0": (hits(always_first), [0, 6, 7, 8, 9]),
    "the same, classes counted backwards": (hits(always_first[:, ::-1]), [5, 6, 7, 8, 9]),
    "all scores equal": (hits(np.zeros((10, 10))), [5, 6, 7, 8, 9]),
}
for name, (found, expected) in seen.items():
    print(f"{name:<36}{len(found) / 10}, hits {found}")
sys.exit(any(found != expected for found, expected in seen.values()))
END
