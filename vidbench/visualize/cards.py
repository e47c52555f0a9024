"""Prediction cards: the frames of a video with the model's best guesses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vidbench.errors import VideoError
from vidbench.metrics.ranking import PROBABILITIES, best_classes, count_ranked, has_scores
from vidbench.visualize.videos import (
    Frames,
    Html,
    encode_jpeg,
    escape_text,
    frame_strip,
    read_frames,
    show_image,
)

if TYPE_CHECKING:
    from vidbench.runs.predictions import Predictions

GREEN, RED, MUTED = "#2e7d4f", "#c4372f", "#5b6570"  # as in `look`, which loads matplotlib


def prediction_card(
    frames: Frames,
    label: str,
    classes: Sequence[str],
    scores: NDArray[np.floating[Any]],
    top_n: int = 5,
    title: str = "",
    evidence: str = PROBABILITIES,
) -> Html:
    """Show one video with its true class and the model's best guesses, as bars.

    Classes without a rank (see :mod:`vidbench.metrics.ranking`) are not guesses.

    Args:
        frames: Frames to show, (frames, height, width, 3), uint8 RGB.
        label: The true class, under the model's name; empty if unknown.
        classes: The model's classes, in the order of the scores.
        scores: (classes,).
        top_n: Maximum number of guesses.
        title: E.g. the video's id.
        evidence: Kind of the scores, one of :data:`~vidbench.metrics.ranking.EVIDENCE`; only
            probabilities are drawn as bars.
    """
    scores = np.asarray(scores, np.float32)
    best = best_classes(scores[None], count_ranked(scores[None]), top_n)[0]
    order = best[best >= 0].tolist()
    guesses = [(classes[index], float(scores[index])) for index in order]
    verdict, colour = _verdict([name for name, _ in guesses], label)
    strip = show_image(encode_jpeg(frame_strip(frames)), f"frames of {title or 'the video'}")
    name = escape_text(label) or "not known"
    head = f"{_chip(verdict, colour)} truth: <b>{name}</b> <small>{escape_text(title)}</small>"
    bars = "".join(
        _row(guess, score, _mark(guess, label, is_first=not rank), evidence)
        for rank, (guess, score) in enumerate(guesses)
    )
    return Html(
        '<div style="margin:0 0 1.2em;max-width:46em">'
        f'<div style="margin-bottom:.3em">{head}</div>{strip}'
        f'<table style="width:100%;border-collapse:collapse">{bars}</table></div>'
    )


def show_wrong(
    predictions: Predictions, folder: Path, limit: int | None = 8, top_n: int = 5
) -> Html:
    """Show cards of the wrongly predicted videos, the most confident mistakes first.

    Args:
        predictions: Predictions of a run.
        folder: Base of the videos' paths.
        limit: Maximum number of cards; None for all.
        top_n: Guesses per card.
    """
    cards = []
    for row in wrong_rows(predictions)[:limit]:
        title = f"{predictions.video_ids[row]}"
        try:
            frames = read_frames(folder / str(predictions.paths[row]))
        except VideoError as error:
            cards.append(f"<p>{escape_text(title)}: {escape_text(error)}</p>")
            continue
        target, scores = str(predictions.targets[row]), predictions.scores[row]
        classes, evidence = predictions.classes, predictions.evidence
        cards.append(prediction_card(frames, target, classes, scores, top_n, title, evidence))
    return Html("".join(cards))


def wrong_rows(predictions: Predictions) -> list[int]:
    """Rows of the wrongly predicted videos, the highest score first."""
    rows = np.flatnonzero(predictions.scored & (predictions.targets != ""))
    first = predictions.best(1)[rows, 0]
    rows = rows[np.array([*predictions.classes, ""])[first] != predictions.targets[rows]]
    surest = np.argsort(-predictions.scores[rows].max(axis=1, initial=0), kind="stable")
    return [int(row) for row in rows[surest]]


def _verdict(guesses: Sequence[str], label: str) -> tuple[str, str]:
    if not label:
        return "? not scored", MUTED
    if label not in guesses:
        return f"\u2717 wrong, not among {len(guesses)} guesses", RED
    rank = guesses.index(label) + 1
    return ("\u2713 right", GREEN) if rank == 1 else (f"\u2717 wrong, guess {rank} is right", RED)


def _chip(text: str, colour: str) -> str:
    style = f"background:{colour};color:#fff;border-radius:4px;padding:1px 7px"
    return f'<span style="{style}">{text}</span>'


def _mark(guess: str, label: str, *, is_first: bool) -> tuple[str, str]:
    """Mark and colour of a guess; both show whether it is right."""
    if guess == label:
        return "\u2713 ", GREEN
    return ("\u2717 ", RED) if is_first and label else ("", MUTED)


def _row(name: str, score: float, mark: tuple[str, str], evidence: str) -> str:
    sign, colour = mark
    if evidence != PROBABILITIES:
        shown = f"{score:.4g}" if has_scores(evidence) else ""
        return f"<tr><td>{sign}{escape_text(name)}</td><td>{shown}</td></tr>"
    bar = f'<div style="background:{colour};height:.8em;width:{100 * score:.1f}%"></div>'
    return (
        '<tr style="background:none">'
        f'<td style="text-align:left;width:45%">{sign}{escape_text(name)}</td>'
        f'<td style="width:40%"><div style="background:rgba(127,127,127,.18)">{bar}</div></td>'
        f'<td style="text-align:right">{100 * score:.1f} %</td></tr>'
    )
