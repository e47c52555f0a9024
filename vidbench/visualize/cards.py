"""Predictions to look at: a card for each video, with its frames and the model's best guesses."""

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
    """One video with its right class and the model's best guesses, as bars.

    What :mod:`vidbench.metrics.ranking` says has no rank is no guess.

    Args:
        frames: What is shown of the video, (frames, height, width, 3), uint8 RGB.
        label: The right class, as the model names it; empty where it is not known.
        classes: The model's, in the order of the scores.
        scores: (classes,).
        top_n: How many guesses are shown.
        title: E.g. the video's id.
        evidence: What the scores are, one of :data:`~vidbench.metrics.ranking.EVIDENCE`; only
            probabilities are drawn as bars.
    """
    scores = np.asarray(scores, np.float32)
    best = best_classes(scores[None], count_ranked(scores[None]), top_n)[0]
    order = best[best >= 0].tolist()
    guesses = [(classes[place], float(scores[place])) for place in order]
    verdict, colour = _verdict([name for name, _ in guesses], label)
    strip = show_image(encode_jpeg(frame_strip(frames)), f"frames of {title or 'the video'}")
    name = escape_text(label) or "not known"
    head = f"{_chip(verdict, colour)} truth: <b>{name}</b> <small>{escape_text(title)}</small>"
    bars = "".join(
        _row(guess, score, _mark(guess, label, is_first=not place), evidence)
        for place, (guess, score) in enumerate(guesses)
    )
    return Html(
        '<div style="margin:0 0 1.2em;max-width:46em">'
        f'<div style="margin-bottom:.3em">{head}</div>{strip}'
        f'<table style="width:100%;border-collapse:collapse">{bars}</table></div>'
    )


def show_wrong(
    predictions: Predictions, folder: Path, limit: int | None = 8, top_n: int = 5
) -> Html:
    """Cards of the videos whose first choice is wrong, the surest mistakes first.

    Args:
        predictions: Of a run.
        folder: To which the paths of videos are relative.
        limit: At most how many cards; None for all.
        top_n: Guesses on a card.
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
    """Rows of the videos whose first choice is wrong, the highest score first."""
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
    """A guess's mark and colour, which say the same."""
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
