"""Draw the pictures of the notebook from the embedded sample, with vidbench's own functions.

python images/draw.py
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from vidbench.data.datasets.base import load_dataset
from vidbench.data.records import Frame
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.decode import decode_views
from vidbench.data.video.resize import fit_frame
from vidbench.figures.look import (
    BLUE,
    GREEN,
    GRID,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    RED,
    new_figure,
    style,
)
from vidbench.metrics.intervals import wilson
from vidbench.models.base import load_model
from vidbench.visualize.videos import Frames, frame_strip, read_frames

SAMPLE = Path(__file__).parents[1] / "data" / "sample"

NEAR_MISS = "PNtuZs9tPDw_000000_000002"
"""A video whose true class is the second guess."""

SHOWN = 9
"""Index of the frame, of 16, that represents the video."""

RESIZED = [
    ("center_square", PreprocessSpec()),
    ("short_side 256", PreprocessSpec(resize_type="short_side", short_side=256)),
    ("pad", PreprocessSpec(resize_type="pad")),
]
KINETICS_400_VAL = 19881
"""Number of videos of the split on its server."""


class Example(NamedTuple):
    """One video of the sample, with the prediction of the sample's model."""

    names: list[str]
    label: str
    frames: Frames
    classes: tuple[str, ...]
    scores: NDArray[np.float32]


def read_example() -> Example:
    """Fetch, decode and predict the near miss."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = load_dataset("sample", "val", data_dir=Path(folder))
        records = dataset.fetch().records
        record = next(record for record in records if record.video_id == NEAR_MISS)
        path = dataset.folder / str(record.path)
        frames = read_frames(path, 16, 160)
        clip = decode_views(path, PreprocessSpec(num_frames=16))
    model = load_model("saved_model", model_path=str(SAMPLE / "model"))
    scores = model.load().predict(clip)[0]
    names = [record.video_id[:11] for record in records]
    return Example(names, str(record.label), frames, model.classes, scores)


def draw_flow(example: Example) -> Figure:
    """Draw the steps from a split to videos, clips, scores and a report."""
    figure = new_figure(
        7.5,
        2.15,
        "From a split to a report",
        "each arrow is a step, and what stands below a picture stays on disk",
    )
    axes = _empty_axes(figure, (0, 7.5), (0, 1.62))
    stages: list[tuple[str, str, Any]] = [
        ("split", "annotations", _draw_list),
        ("videos", "data/raw", _draw_video),
        ("clips", "data/processed", _draw_clip),
        ("scores", "scores.npz", _draw_scores),
        ("report", "metrics.json\nreport.html", _draw_report),
    ]
    width, step = 1.08, 1.59
    for place, (name, kept, draw) in enumerate(stages):
        left = 0.03 + place * step
        axes.text(left + width / 2, 1.5, name, ha="center", va="center", fontweight="bold")
        box = FancyBboxPatch((left, 0.5), width, 0.86, "round,pad=0,rounding_size=0.06")
        box.set(facecolor=PAPER, edgecolor=MUTED, linewidth=1)
        axes.add_patch(box)
        draw(
            axes.inset_axes((left + 0.07, 0.56, width - 0.14, 0.74), transform=axes.transData),
            example,
        )
        kept_style: dict[str, Any] = {"family": "DejaVu Sans Mono", "fontsize": 7.5}
        axes.text(left + width / 2, 0.42, kept, ha="center", va="top", color=MUTED, **kept_style)
    for place, step_name in enumerate(("fetch", "decode", "model", "score")):
        start = 0.03 + place * step + width
        arrow = {"arrowstyle": "-|>", "color": BLUE, "linewidth": 1.6, "shrinkA": 2, "shrinkB": 2}
        axes.annotate("", (start + step - width, 0.93), (start, 0.93), arrowprops=arrow)
        middle = start + (step - width) / 2
        axes.text(middle, 1.0, step_name, ha="center", va="bottom", color=BLUE, fontsize=8.5)
    return figure


def draw_preprocessing(example: Example) -> Figure:
    """Draw the part of one frame that each way of resizing shows."""
    figure = new_figure(
        7.5,
        2.6,
        "What the model sees of a frame",
        "left the frame as stored, with the parts that are taken; right each part at 224 x 224",
    )
    frame = example.frames[SHOWN]
    colours = [BLUE, ORANGE, GREEN]
    axes = figure.subplots(1, 4, width_ratios=[4 / 3, 1, 1, 1])
    height, width = frame.shape[:2]
    _picture(axes[0], frame, f"original, {width} x {height}", INK)
    for (_, spec), colour in zip(RESIZED, colours, strict=True):
        axes[0].add_patch(_outline(frame, spec, colour))
    for one, (name, spec), colour in zip(axes[1:], RESIZED, colours, strict=True):
        _picture(one, fit_frame(frame, spec)[0], name, colour)
    return figure


def draw_near_miss(example: Example) -> Figure:
    """Draw why top-5 is reported beside top-1: the true class is the second guess."""
    order = np.argsort(-example.scores, kind="stable")[:5]
    names = [example.classes[place] for place in order]
    rank = names.index(example.label) + 1
    figure = new_figure(
        7.5,
        2.9,
        f"Wrong by top-1, right by top-5: the truth is guess number {rank}",
        f"a video of the sample, \u201c{example.label}\u201d, and the model's five best guesses",
    )
    parts: Any = figure.subfigures(2, 1, height_ratios=[1, 2])
    above, below = (part.subplots() for part in parts)
    _picture(above, frame_strip(example.frames, 8, 120), "", PAPER)
    above.set_anchor("W")
    colours = [GREEN if name == example.label else MUTED for name in names]
    colours[0] = GREEN if rank == 1 else RED
    below.barh(range(5), example.scores[order], color=colours, height=0.68)
    marks = ["\u2713" if name == example.label else "\u2717" for name in names]
    ticks = [f"{name}  {place + 1}" for place, name in enumerate(names)]
    below.set_yticks(range(5), ticks)
    below.tick_params("y", length=0, labelcolor=INK)
    below.set(ylim=(4.6, -0.6), xlim=(0, 1), xticks=[])
    below.grid(visible=False)
    below.spines["bottom"].set_visible(False)
    for place, (mark, score) in enumerate(zip(marks, example.scores[order], strict=True)):
        words = {0: "the first guess, wrong", rank - 1: "the right class"}.get(place, "")
        text = f"{100 * score:.0f} %" + (f"  {mark} {words}" if words else "")
        below.text(score + 0.01, place, text, va="center", fontsize=9, color=colours[place])
    return figure


def draw_interval(share: float = 0.75) -> Figure:
    """Draw the width of the 95 % interval by the number of videos."""
    figure = new_figure(
        7.5,
        3.0,
        "How sure a measured accuracy is",
        f"95 % interval (Wilson) around {share:.0%}, by the number of videos",
    )
    axes = figure.subplots()
    numbers = np.unique(np.geomspace(3, 9000, 300).astype(int)) * 4  # so that 75 % are integers
    intervals = [wilson(round(share * number), int(number)) for number in numbers]
    low, high = [each.low for each in intervals], [each.high for each in intervals]
    axes.fill_between(numbers, low, high, color=BLUE, alpha=0.18, linewidth=0)
    axes.plot(numbers, low, color=BLUE)
    axes.plot(numbers, high, color=BLUE)
    axes.axhline(share, color=MUTED, linewidth=1)
    for number, name in ((16, "16"), (112, "112, the sample"), (1000, "1,000, a tarball")):
        _mark_interval(axes, share, number, name)
    _mark_interval(axes, share, KINETICS_400_VAL, "19,881,\nKinetics-400 val", align="right")
    axes.set(xscale="log", xlim=(12, 36000), ylim=(0.4, 0.95), xlabel="videos", ylabel="accuracy")
    axes.set_xticks([], minor=True)
    axes.set_xticks([10**power for power in (2, 3, 4)], ["100", "1,000", "10,000"])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    return figure


FIGURES = ("flow", "preprocessing", "near-miss", "interval")


def write_figures(folder: Path) -> list[Path]:
    """Draw all pictures into the folder; return their paths. Equal versions draw equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    example = read_example()
    with style():
        figures = [
            draw_flow(example),
            draw_preprocessing(example),
            draw_near_miss(example),
            draw_interval(),
        ]
        paths = [folder / f"{name}.png" for name in FIGURES]
        for figure, path in zip(figures, paths, strict=True):
            _save(figure, path)
    return paths


def _save(figure: Figure, path: Path) -> None:
    """Write a PNG of 256 colours, which is a third of the size and looks the same."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=150)
    metadata = PngInfo()
    metadata.add_text("Title", figure.get_suptitle())
    image = Image.open(drawn).convert("RGB")
    image.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
        path, pnginfo=metadata, optimize=True, dpi=(150, 150)
    )


def _empty_axes(figure: Figure, across: tuple[float, float], up: tuple[float, float]) -> Axes:
    axes = figure.subplots()
    axes.set(xlim=across, ylim=up)
    axes.set_axis_off()
    return axes


def _picture(axes: Axes, image: Frame, title: str, colour: str) -> None:
    axes.imshow(image, interpolation="bilinear")
    axes.set_title(title, color=colour, fontsize=9.5)
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set(visible=colour != PAPER, color=colour, linewidth=1.6)


def _outline(frame: Frame, spec: PreprocessSpec, colour: str) -> Rectangle:
    """Outline of the part of the frame that the spec shows."""
    height, width = frame.shape[:2]
    side = min(height, width) * spec.crop_size / (spec.short_side or spec.crop_size)
    across, up = (width, height) if spec.resize_type == "pad" else (side, side)
    corner = ((width - across) / 2 - 0.5, (height - up) / 2 - 0.5)
    return Rectangle(corner, across, up, fill=False, edgecolor=colour, linewidth=2, clip_on=False)


def _mark_interval(axes: Axes, share: float, number: int, name: str, align: str = "left") -> None:
    interval = wilson(round(share * number), number)
    ends = [[share - interval.low], [interval.high - share]]
    axes.errorbar([number], [share], yerr=ends, fmt="o", color=INK, capsize=3, markersize=4)
    half = 50 * (interval.high - interval.low)
    text = f"{name}\n\u00b1 {half:.1f} points"
    x = number * (1.06 if align == "left" else 1.7)
    axes.text(x, interval.low - 0.012, text, ha=align, va="top", fontsize=8.5, color=INK)


def _bare(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.set_axis_off()


def _draw_list(axes: Axes, example: Example) -> None:
    _bare(axes)
    axes.set(xlim=(0, 1), ylim=(0, 5))
    for line, name in enumerate(example.names[:5]):
        axes.text(0, 4.5 - line, name, family="DejaVu Sans Mono", fontsize=7.5, va="center")


def _draw_video(axes: Axes, example: Example) -> None:
    axes.imshow(example.frames[SHOWN], interpolation="bilinear")
    _bare(axes)


def _draw_clip(axes: Axes, example: Example) -> None:
    """Draw squares one behind the other, the first one in front."""
    _bare(axes)
    for place in range(3, -1, -1):
        square = fit_frame(example.frames[SHOWN + 2 * place], PreprocessSpec(crop_size=112))[0]
        left, low = 0.19 * place, 0.1 * place
        extent = (left, left + 0.7, low, low + 0.7)
        axes.imshow(square, extent=extent, zorder=10 - place, interpolation="bilinear")
        edge = Rectangle((left, low), 0.7, 0.7, fill=False, edgecolor=PAPER, zorder=10 - place)
        axes.add_patch(edge)
    axes.set(xlim=(-0.02, 1.3), ylim=(-0.02, 1.02), aspect="equal")


def _draw_scores(axes: Axes, example: Example) -> None:
    _bare(axes)
    best = np.sort(example.scores)[::-1][:5]
    axes.barh(range(5), best, color=BLUE, height=0.6)
    axes.barh(range(5), 1 - best, left=best, color=GRID, height=0.6, alpha=0.5)
    axes.set(xlim=(0, 1), ylim=(4.5, -0.5))


def _draw_report(axes: Axes, example: Example) -> None:
    """Draw example accuracies with their intervals, for the sample's number of videos."""
    _bare(axes)
    for row, hits in enumerate((0.93, 0.99)):
        share = wilson(round(hits * len(example.names)), len(example.names))
        ends = [[share.value - share.low], [share.high - share.value]]
        axes.errorbar([share.value], [row], xerr=ends, fmt="o", color=GREEN, capsize=3)
        axes.text(0.76, row, f"top-{1 + 4 * row}", va="center", fontsize=8)
    axes.set(xlim=(0.76, 1.01), ylim=(1.6, -0.6))


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw all pictures into this folder, or another one."""
    parser = argparse.ArgumentParser(description="Draw the pictures of the notebook.")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent)
    write_figures(parser.parse_args(arguments).output)


if __name__ == "__main__":
    main()
