"""A finished run as the params, metrics and tags that MLflow can hold."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from vidbench.runs.finished import FinishedRun
from vidbench.storage.typed_json import encode

# What servers of every version store: https://mlflow.org/docs/latest/api_reference/rest-api.html
MAX_NAME = 250
_MAX_PARAM, _MAX_TAG = 500, 5000
_NOT_IN_KEYS = re.compile(r"[^A-Za-z0-9_.-]")


def params_of(run: FinishedRun) -> dict[str, str]:
    """What identifies the run, and as ``config.<option>`` what was asked for; texts may be cut."""
    record = run.record
    known = {**encode(record.identity), "spec_digest": record.spec_digest}
    values = _flatten({**known, "config": record.options}, ".")
    return {_key(k): cut(_text(v), _MAX_PARAM) for k, v in values.items() if v not in (None, [])}


def metrics_of(run: FinishedRun) -> dict[str, float]:
    """The numbers of ``metrics.json``, and as ``session_`` those of the run's last session.

    An estimate such as top-1 becomes ``top1``, ``top1_low``, ``top1_high`` and
    ``top1_num_videos``. Lists, such as the bins of the calibration, are left to the file.
    """
    metrics, session = run.metrics, run.record.timed_session
    skipped = metrics.requested - metrics.evaluated
    values = _flatten(metrics.as_json() | {"session": encode(session) if session else {}}, "_")
    return {"skipped": float(skipped)} | {
        _key(key).removesuffix("_value"): float(value)
        for key, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def tags_of(run: FinishedRun) -> dict[str, str]:
    """What finds the run again, and what its numbers are of."""
    tags = {
        "vidbench.digest": run.record.digest,
        "vidbench.folder": run.name,
        "vidbench.signature": run.metrics.signature,
        "vidbench.version": run.record.versions.get("vidbench"),
        "mlflow.source.name": "vidbench evaluate",
        "mlflow.source.git.commit": run.record.git_revision,
    }
    return {key: cut(value, _MAX_TAG) for key, value in tags.items() if value}


def cut(text: str, length: int) -> str:
    """The text, ending in an ellipsis where it is longer."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _flatten(values: Mapping[str, Any], separator: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        inner = _flatten(value, separator) if isinstance(value, Mapping) else {"": value}
        flat |= {separator.join(filter(None, (key, rest))): found for rest, found in inner.items()}
    return flat


def _key(text: str) -> str:
    return _NOT_IN_KEYS.sub("_", text)[:MAX_NAME]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
