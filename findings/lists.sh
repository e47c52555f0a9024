#!/bin/sh
# pandas 2.3.3 with the call that VideoMAE and VideoMAE V2 use to read their lists of videos,
# read_csv(FILE, header=None, delimiter=" "), with the path in column 0 and the label in column 1.
#
# Seen, each without an error or a warning:
#   two blanks between path and label, as in the example of VideoMAE's DATASET.md: every label is NaN
#   a blank in every path, "my dir/b.mp4 2": the path is "my", the label "dir/b.mp4"
# and with a blank only in the path of a later line: ParserError, "Expected 2 fields in line 2, saw 3".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pandas==2.3.3
"$folder/venv/bin/python" - <<'END'
import io
import sys

import pandas

LISTS = {
    "two blanks": "dataset_root/video_1.mp4  3\ndataset_root/video_2.mp4  5\n",
    "a blank in every path": "my dir/a.mp4 1\nmy dir/b.mp4 2\n",
    "a blank in a later path": "a.mp4 1\nmy dir/b.mp4 2\n",
}
SEEN = {
    "two blanks": [("dataset_root/video_1.mp4", "nan"), ("dataset_root/video_2.mp4", "nan")],
    "a blank in every path": [("my", "dir/a.mp4"), ("my", "dir/b.mp4")],
    "a blank in a later path": "Expected 2 fields in line 2, saw 3",
}


def read(text):
    """Paths and labels as the loaders use them, or the error message of pandas."""
    try:
        values = pandas.read_csv(io.StringIO(text), header=None, delimiter=" ").values
    except pandas.errors.ParserError as error:
        return str(error).strip().rpartition("C error: ")[2]
    return [(str(row[0]), str(row[1])) for row in values]


found = {name: read(text) for name, text in LISTS.items()}
for name, rows in found.items():
    print(f"{name}: {rows}")
sys.exit(found != SEEN)
END
