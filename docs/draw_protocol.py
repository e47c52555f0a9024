"""Draws the pictures of docs/protocol.md from the functions that decide what a model sees.

    python docs/draw_protocol.py

Each picture carries what it shows in the description of its PNG file.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from numpy.typing import NDArray

from vidbench.config.protocol import change
from vidbench.data.spec import TOO_SHORT, PreprocessSpec
from vidbench.data.video.pixels import Timeline, sample_frames
from vidbench.data.video.resize import fit_frame
from vidbench.data.views import fewer_views
from vidbench.errors import VideoError

Pixels = NDArray[np.uint8]
Asked = dict[str, Any]

# Okabe and Ito's colours, which people with any colour vision tell apart.
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
INK, GREY, PALE = "#222222", "#6E6E6E", "#EBEBEB"
DPI = 130
LABELS = 13  # width of the column of labels, in cells

SAMPLINGS: list[tuple[str, str, list[Asked]]] = [
    ("uniform", BLUE, [{}]),
    ("center", VERMILION, [{}, {"frame_stride": 3}, {"fps": 20}]),
    ("dense", GREEN, [{"num_clips": 3, "frame_stride": 2}]),
    ("random", ORANGE, [{"num_clips": 3, "frame_stride": 2}]),
]
CROPS: list[Asked] = [
    {"resize_type": "center_square"},
    {"resize_type": "center_square", "num_crops": 3},
    {"resize_type": "short_side", "short_side": 256},
    {"resize_type": "short_side", "short_side": 256, "num_crops": 3},
    {"resize_type": "pad"},
    {"resize_type": "squash"},
]


def write_options(asked: Asked) -> str:
    """The options as they are typed."""
    return " ".join(f"--{name} {value}" for name, value in asked.items())


def steady(num_frames: int, fps: float) -> Timeline:
    """The frames of a video of constant rate."""
    return Timeline(np.arange(num_frames) / fps, num_frames / fps)


def blank(width: float, height: float, inches: float = 9.0) -> tuple[Figure, Axes]:
    """A white picture whose unit is a cell, with y downwards."""
    figure = Figure(figsize=(inches, inches * height / width), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    return figure, axes


def cell(axes: Axes, x: float, y: float, colour: str, text: object = "") -> None:
    """One frame: a rounded square, with its number where it counts."""
    shape = FancyBboxPatch(
        (x + 0.08, y + 0.08),
        0.84,
        0.84,
        boxstyle="round,pad=0,rounding_size=0.14",
        facecolor=colour,
        edgecolor="none",
    )
    axes.add_patch(shape)
    ink = INK if colour in (PALE, ORANGE) else "white"
    axes.text(x + 0.5, y + 0.53, str(text), ha="center", va="center", color=ink, fontsize=7.5)


def label(axes: Axes, y: float, name: str, options: str = "") -> None:
    """What a row shows: a name, and the options after it."""
    axes.text(0.3, y, name, va="center", color=INK, fontsize=10, fontweight="bold")
    axes.text(3.8, y, options, va="center", color=GREY, fontsize=7, family="monospace")


def draw_frames(num_frames: int = 30) -> tuple[Figure, Any]:
    """Which frames each sampling takes of a second of video at 30 fps, 8 in a clip."""
    base, timeline = PreprocessSpec(num_frames=8), steady(num_frames, 30)
    figure, axes = blank(LABELS + num_frames + 0.4, 14.7)
    label(axes, 0.8, "frames", "of a video at 30 fps")
    for frame in range(0, num_frames, 5):
        place = (LABELS + frame + 0.5, 0.8, str(frame))
        axes.text(*place, ha="center", va="center", color=GREY, fontsize=8)
    y, drawn = 1.6, []
    for sampling, colour, variants in SAMPLINGS:
        for number, more in enumerate(variants):
            asked = {"sampling": sampling, **more}
            clips = sample_frames(timeline, change(base, asked), "example").tolist()
            drawn.append([asked, clips])
            label(axes, y + 0.5, "" if number else sampling, write_options(more))
            for row, clip in enumerate(clips):
                strip(axes, y + row, num_frames, set(clip), colour)
            y += len(clips) + 0.3
        y += 0.4
    return figure, drawn


def strip(axes: Axes, y: float, num_frames: int, taken: set[int], colour: str) -> None:
    """All frames of a video in a row, the taken ones coloured."""
    for frame in range(num_frames):
        if frame in taken:
            cell(axes, LABELS + frame, y, colour, frame)
        else:
            cell(axes, LABELS + frame, y, PALE)


def draw_short(num_frames: int = 5, wanted: int = 14) -> tuple[Figure, Any]:
    """What a video of 5 frames does where 14 are wanted."""
    base, timeline = PreprocessSpec(num_frames=wanted), steady(num_frames, 25)
    colours = ["#440154", "#3B528B", "#21808D", "#4DB364", "#C9CE1F"]  # of viridis
    figure, axes = blank(6 + wanted + 0.4, 7.1, inches=6.4)
    rows: list[tuple[str, list[int] | str]] = [("the video", list(range(num_frames)))]
    rows += [(p, find_clip(timeline, change(base, {"too_short": p}))) for p in TOO_SHORT]
    for row, (name, frames) in enumerate(rows):
        y = 0.45 + 1.3 * row + (0.25 if row else 0)
        label(axes, y + 0.5, name)
        if isinstance(frames, str):
            axes.text(6.1, y + 0.5, frames, va="center", color=GREY, fontsize=9.5)
            continue
        for place, frame in enumerate(frames):
            cell(axes, 6 + place, y, colours[frame], frame)
            if frame == num_frames - 1:
                axes.texts[-1].set_color(INK)
    return figure, rows


def find_clip(timeline: Timeline, spec: PreprocessSpec) -> list[int] | str:
    """The frames of the clip, or why there is none."""
    try:
        return [int(frame) for frame in sample_frames(timeline, spec)[0]]
    except VideoError as error:
        return f"{error.reason}: {error.detail}"


def draw_scene(height: int = 270, width: int = 480) -> Pixels:
    """A wide frame: the sun on the left, a runner in the middle, a ball on the right."""
    frame = np.empty((height, width, 3), np.uint8)
    frame[:] = np.linspace((150, 205, 240), (225, 240, 250), height)[:, None]
    ground = height * 3 // 4
    frame[ground:] = (120, 160, 110)
    line = cv2.LINE_AA
    cv2.circle(frame, (60, 62), 36, (240, 190, 40), -1, line)
    ink, x, y = (40, 45, 60), width // 2, ground
    cv2.circle(frame, (x, y - 122), 17, ink, -1, line)
    body = [((0, -104), (-6, -55)), ((-6, -55), (26, -30)), ((26, -30), (20, 8))]
    body += [((-6, -55), (-28, -25)), ((-28, -25), (-55, -28)), ((-2, -92), (28, -78))]
    body += [((28, -78), (44, -98)), ((-2, -92), (-28, -82)), ((-28, -82), (-38, -58))]
    for (left, top), (right, bottom) in body:
        cv2.line(frame, (x + left, y + top), (x + right, y + bottom), ink, 9, line)
    cv2.circle(frame, (width - 62, ground - 4), 30, (213, 94, 0), -1, line)
    cv2.circle(frame, (width - 62, ground - 4), 30, ink, 3, line)
    return frame


def find_part(spec: PreprocessSpec, shape: tuple[int, ...]) -> list[list[int]]:
    """Of each crop the part of the frame in it: left, top, right, bottom, in percent.

    Found by what becomes of a frame whose colours tell the place, blue telling it from padding.
    """
    rows, columns = np.linspace(0, 250, shape[0]), np.linspace(0, 250, shape[1])
    places = np.full(shape, 250, np.uint8)
    places[..., 0], places[..., 1] = np.rint(columns)[None], np.rint(rows)[:, None]
    parts = []
    for crop in fit_frame(places, spec):
        inside = crop[crop[..., 2] > 200][:, :2] / 2.5
        parts.append([*np.rint(inside.min(0)), *np.rint(inside.max(0))])
    return [[int(side) for side in part] for part in parts]


def draw_crops() -> tuple[Figure, Any]:
    """The parts of a frame that a model sees, and how they look."""
    scene, drawn = draw_scene(), []
    high = 9.0
    wide = high * scene.shape[1] / scene.shape[0]
    pitch = high + 3.2
    figure, axes = blank(wide + 3 * (high + 0.8) + 5.2, len(CROPS) * pitch + 0.4, inches=7.2)
    for row, asked in enumerate(CROPS):
        spec = change(PreprocessSpec(), asked)
        top = row * pitch + 2.3
        parts = find_part(spec, scene.shape)
        drawn.append([asked, parts])
        axes.text(
            0.8,
            top - 0.95,
            write_options(asked),
            va="center",
            color=INK,
            fontsize=9,
            family="monospace",
        )
        show(axes, scene, 0.8, top, wide, high)
        colours = [BLUE, VERMILION, GREEN] if spec.num_crops == 3 else [VERMILION]
        for number, crop in enumerate(fit_frame(scene, spec)):
            outline(axes, parts[number], colours[number], (0.8, top, wide, high))
            left = wide + 4.0 + number * (high + 0.8)
            show(axes, crop, left, top, high, high)
            axes.add_patch(
                Rectangle(
                    (left, top), high, high, fill=False, linewidth=2.2, edgecolor=colours[number]
                )
            )
        axes.annotate(
            "",
            (wide + 3.3, top + high / 2),
            (wide + 1.5, top + high / 2),
            arrowprops={"arrowstyle": "-|>", "color": GREY},
        )
    return figure, drawn


def show(axes: Axes, picture: Pixels, left: float, top: float, wide: float, high: float) -> None:
    """A picture at its place."""
    axes.imshow(picture, extent=(left, left + wide, top + high, top), aspect="auto")
    axes.autoscale(False)


def outline(
    axes: Axes, part: Sequence[int], colour: str, place: tuple[float, float, float, float]
) -> None:
    """The part of the frame at this place; one that spans the frame is drawn on its edge."""
    left, top, wide, high = place
    x, y = left + wide * part[0] / 100, top + high * part[1] / 100
    width, height = wide * (part[2] - part[0]) / 100, high * (part[3] - part[1]) / 100
    axes.add_patch(Rectangle((x, y), width, height, fill=False, linewidth=2.2, edgecolor=colour))


def draw_views(num_clips: int = 10, num_crops: int = 3) -> tuple[Figure, Any]:
    """Which views of a 10x3 pass each smaller number of them takes."""
    asked = {"sampling": "dense", "num_clips": num_clips, "num_crops": num_crops}
    spec = change(PreprocessSpec(), asked)
    counted = {spec.views_name: np.arange(spec.num_views)}
    counted |= {f"{name} of {spec.views_name}": v for name, v in fewer_views(spec).items()}
    figure, axes = blank(2 * num_clips + 5.4, 2 * num_crops + 5.1, inches=7.0)
    for panel, (name, chosen) in enumerate(counted.items()):
        left, top = 2.6 + panel % 2 * (num_clips + 1.2), 1.3 + panel // 2 * (num_crops + 2.6)
        axes.text(
            left + 0.1, top - 0.55, name, va="center", color=INK, fontsize=10, fontweight="bold"
        )
        for view in range(spec.num_views):
            clip, crop = divmod(view, num_crops)
            taken = view in chosen
            cell(axes, left + clip, top + crop, BLUE if taken else PALE, view if taken else "")
        axes.text(
            left + num_clips / 2,
            top + num_crops + 0.5,
            "clips, in order of time",
            ha="center",
            va="center",
            color=GREY,
            fontsize=7.5,
        )
        for crop, side in enumerate(("left", "centre", "right")[:num_crops] * (panel % 2 == 0)):
            axes.text(
                left - 0.2,
                top + crop + 0.5,
                side,
                ha="right",
                va="center",
                color=GREY,
                fontsize=7.5,
            )
    return figure, {name: chosen.tolist() for name, chosen in counted.items()}


PICTURES = {
    "frames": draw_frames,
    "short": draw_short,
    "crops": draw_crops,
    "views": draw_views,
}


def main() -> None:
    """Draws every picture into a folder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    folder = Path(__file__).parent / "images"
    parser.add_argument("--out", type=Path, default=folder, help="folder of the pictures")
    folder = parser.parse_args().out
    for name, draw in PICTURES.items():
        figure, drawn = draw()
        metadata = {"Description": json.dumps(drawn), "Software": "docs/draw_protocol.py"}
        figure.savefig(folder / f"protocol-{name}.png", dpi=DPI, metadata=metadata)


if __name__ == "__main__":
    main()
