"""Labels videos that are longer than a clip: what is seen in them, when, and for how long."""

from __future__ import annotations

import json
import logging
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np

from vidbench.cli.arguments import parse_options, take_options
from vidbench.cli.commands._predict_options import build_parser
from vidbench.config.run_config import RunConfig
from vidbench.data.records import FrameFolder
from vidbench.errors import VidbenchError, VideoError
from vidbench.footage.labelling import (
    ScoredWindows,
    percent,
)
from vidbench.footage.options import PredictOptions, check
from vidbench.footage.outputs import Outputs
from vidbench.footage.predict import WindowModel, describe_windows, open_window_model, predict_file
from vidbench.footage.window_decoder import WindowDecoder, WindowTask
from vidbench.storage.locations import without_password
from vidbench.storage.video_files import describe_usual_rate, find_videos
from vidbench.terminal.logs import set_up_logging
from vidbench.terminal.progress import above_bar, progress
from vidbench.terminal.signals import (
    finish_before_stopping,
    handle_stop_signals,
    note_progress,
    stop_asked,
)

logger = logging.getLogger(__name__)


def run(arguments: Sequence[str]) -> None:
    """Prints what is seen in each video, or in each window of a live source.

    Raises:
        ConfigError: There is nothing to predict, or a file to write is there already.
        StoppedError: A signal asked for it; it is the usual end of a live source, and no error.
        VidbenchError: Some videos could not be predicted, or the source cannot be read.
    """
    given = parse_options(build_parser(), arguments)
    request = take_options(given, PredictOptions)
    check(request)
    config = RunConfig(**given)
    set_up_logging(verbose=config.verbose_logging)
    videos = [] if request.source else _find(Path(str(request.path)), config.frames_fps)
    again = shlex.join(["vidbench", "predict", *arguments])
    with handle_stop_signals(lambda _: again):
        model = open_window_model(config, request)
        with Outputs(request.output, request.csv, model.facts) as outputs:
            if request.source:
                _predict_live(request.source, model, request, outputs)
            else:
                _predict_files(videos, model, request, config, outputs)


def _find(path: Path, frames_fps: float | None) -> list[Path]:
    found = find_videos(path)
    for line in found.left_out(path):
        logger.warning("%s", line)
    if found.frames and frames_fps is None:
        logger.warning("%s", describe_usual_rate(sorted(found.frames)))
    return found.videos


def _predict_files(
    videos: Sequence[Path],
    model: WindowModel,
    request: PredictOptions,
    config: RunConfig,
    outputs: Outputs,
) -> None:
    task = WindowTask(
        model.spec,
        request.window_seconds,
        request.step_seconds,
        config.truncated == "score",
        FrameFolder(config.frames_fps),
    )
    records: list[dict[str, Any]] = []
    with (
        closing(WindowDecoder(task, config.decode_timeout)) as decoder,
        progress("predict", len(videos)) as advance,
    ):
        for video in videos:
            note_progress(len(records), len(videos))
            record = predict_file(video, decoder, model)
            with finish_before_stopping():
                records.append(record)
                outputs.add(record)
                if not request.json:
                    with above_bar(sys.stdout):
                        print("\n".join(_record_lines(record)), flush=True)
            advance(1)
    if request.json:
        print(json.dumps({**model.facts, "videos": records}, indent=2))
    if failed := sum("failed" in record for record in records):
        raise VidbenchError(f"{failed} of {len(records)} videos could not be predicted")


def _record_lines(record: Mapping[str, Any]) -> list[str]:
    if "failed" in record:
        return [f"{record['video']}  {record['failed']}"]
    windows = "window" if record["windows"] == 1 else "windows"
    lines = [f"{record['video']}  {record['seconds']:.1f} s, {record['windows']} {windows}"]
    lines += [f"  {record['note']}"] if "note" in record else []
    if record["labels"]:
        lines += [f"  label {_class_text(row)}" for row in record["labels"]]
    else:
        lines.append(f"  no label; {_first_text(record['classes'][0])}")
    for row in record.get("segments", ()):
        lines.append(
            f"  {row['start']:8.1f} s to {row['end']:8.1f} s  {row['class']}  {row['score']:.1f}"
        )
    return lines


def _first_text(row: Mapping[str, Any]) -> str:
    """Of the class that comes nearest to a label."""
    if row["score"] is None:
        return f"on the whole most likely {row['class']}, {row['mean']:.1f}"
    return f"longest {_class_text(row)}"


def _class_text(row: Mapping[str, Any]) -> str:
    return f"{row['class']}: {row['share']:.1f} % of it, score {row['score']:.1f}"


def _predict_live(
    source: str, model: WindowModel, request: PredictOptions, outputs: Outputs
) -> None:
    """Goes on until the source ends or a signal comes, and then sums up."""
    from vidbench.footage.live import LiveReader

    shown = without_password(source)
    model.classifier.predict(np.zeros(model.spec.views_shape, np.uint8))  # the first takes longer
    scored, latencies = model.scores(batch_size=1), list[float]()
    reader = LiveReader(_local(source), model.spec, request.window_seconds, request.step_seconds)
    failure = None
    try:
        with reader:
            while live := reader.next_window():
                with finish_before_stopping():
                    scored.add(live.window)
                    latencies.append(1000 * (time.monotonic() - live.arrived))
                    _print_window(live.window.end, latencies[-1], scored, model, request)
    except KeyboardInterrupt:
        pass
    except VideoError as error:
        failure = VidbenchError(f"--source {shown}: {error}")
    if latencies and reader.grid is not None:
        record = describe_windows(shown, scored, reader.seconds, reader.grid)
        median, p95 = np.percentile(latencies, [50, 95])
        record["latency_ms"] = {"median": round(median, 1), "p95": round(p95, 1)}
        record |= {"frames": reader.frames, "dropped_frames": reader.dropped}
        record |= model.label(scored, reader.seconds)
        outputs.add(record)
        print(json.dumps(record) if request.json else "\n".join(_live_lines(record)), flush=True)
    if failure is not None:
        raise failure
    if not latencies and not stop_asked():
        raise VidbenchError(f"--source {shown} ended before a window was there")


def _local(source: str) -> str:
    """The path in a file's address; any other source as it is."""
    return unquote(urlsplit(source).path) if source.startswith("file://") else source


def _print_window(
    end: float, latency: float, scored: ScoredWindows, model: WindowModel, request: PredictOptions
) -> None:
    top = int(scored.last.argmax())
    name, score = model.classes[top], percent(scored.last[top])
    if request.json:
        row = {"seconds": round(end, 3), "class": name, "score": score}
        print(json.dumps(row | {"latency_ms": round(latency, 1)}), flush=True)
    else:
        print(f"{end:8.1f} s  {name}  {score:.1f}  latency {latency:.0f} ms", flush=True)


def _live_lines(record: Mapping[str, Any]) -> list[str]:
    latency = record["latency_ms"]
    return [
        *_record_lines(record),
        f"  latency {latency['median']:.0f} ms in the middle, {latency['p95']:.0f} ms at the 95th "
        f"percentile; {record['dropped_frames']} of {record['frames']} frames dropped",
    ]
