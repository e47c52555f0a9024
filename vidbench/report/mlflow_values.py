"""Convert a finished run to params, metrics and tags within MLflow's limits."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from vidbench.runs.finished import FinishedRun
from vidbench.storage.typed_json import encode

# Limits of all server versions: https://mlflow.org/docs/latest/api_reference/rest-api.html
MAX_NAME = 250
_MAX_PARAM, _MAX_TAG = 500, 5000
_NOT_IN_KEYS = re.compile(r"[^A-Za-z0-9_.-]")


def params_of(run: FinishedRun) -> dict[str, str]:
    """Identity of the run, and its options as ``config.<option>``; long texts are cut."""
    record = run.record
    identity = {**encode(record.identity), "spec_digest": record.spec_digest}
    values = _flatten({**identity, "config": record.options}, ".")
    return {_key(k): cut(_text(v), _MAX_PARAM) for k, v in values.items() if v not in (None, [])}


def metrics_of(run: FinishedRun) -> dict[str, float]:
    """The numbers in ``metrics.json``, and those of the timed session as ``session_...``.

    An estimate such as top-1 becomes ``top1``, ``top1_low``, ``top1_high`` and
    ``top1_num_videos``. Lists, such as the bins of the calibration, are omitted.
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
    """Tags to find the run again, and the signature of its metrics."""
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
    """The text, cut to a length with an ellipsis if it is longer."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _flatten(values: Mapping[str, Any], separator: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        inner = _flatten(value, separator) if isinstance(value, Mapping) else {"": value}
        flat |= {separator.join(filter(None, (key, rest))): leaf for rest, leaf in inner.items()}
    return flat


def _key(text: str) -> str:
    return _NOT_IN_KEYS.sub("_", text)[:MAX_NAME]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
