from __future__ import annotations

import io
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from vidbench.data.records import VideoRecord
from vidbench.data.video.container import describe
from vidbench.errors import ConfigError
from vidbench.runs.predictions import Predictions
from vidbench.visualize.cards import prediction_card, show_wrong, wrong_rows
from vidbench.visualize.videos import (
    encode_jpeg,
    frame_strip,
    gif,
    make_video_table,
    read_frames,
    show_image,
    show_video_table,
)

HOSTILE = "<script>alert('x')</script>&\"\u202e\x1b[31m"

sizes = st.integers(1, 40)


def flat_frames(levels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """A frame of one grey for each level."""
    return np.broadcast_to(levels[:, None, None, None], (len(levels), height, width, 3)).copy()


class Page(HTMLParser):
    """Collects tags and text as a browser understands them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.alts: list[str | None] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "img":
            self.alts.append(dict(attrs).get("alt"))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.integers(1, 60), st.integers(1, 12), sizes, sizes, st.integers(1, 50))
def test_a_strip_holds_evenly_chosen_frames(
    available: int, wanted: int, height: int, width: int, height_px: int
) -> None:
    levels = np.arange(available, dtype=np.uint8) * 4
    strip = frame_strip(flat_frames(levels, height, width), wanted, height_px)
    shown = min(available, wanted)
    assert strip.dtype == np.uint8
    assert strip.shape[0] == height_px
    assert (strip.shape[1] + 2) % shown == 0
    step = (strip.shape[1] + 2) // shown
    indices = strip[height_px // 2, ::step, 0] / 4
    assert indices[0] == 0
    assert shown == 1 or indices[-1] == available - 1
    gaps = np.diff(indices)
    assert not len(gaps) or (gaps.min() >= 1 and gaps.max() - gaps.min() <= 1)
    assert (strip[:, step - 2 : step] == 255).all()  # the gap


def test_a_jpeg_read_back_is_close_to_the_strip_and_red_stays_red(sample_clip: Path) -> None:
    strip = frame_strip(read_frames(sample_clip, 8))
    again = np.array(Image.open(io.BytesIO(encode_jpeg(strip, 95))))
    assert again.shape == strip.shape
    assert np.abs(again.astype(int) - strip).mean() < 4
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    assert np.array(Image.open(io.BytesIO(encode_jpeg(red))))[8, 8].argmax() == 0


@settings(max_examples=25)
@given(st.integers(1, 30), st.floats(1, 60))
def test_a_gif_has_the_frames_and_lasts_as_long(count: int, fps: float) -> None:
    frames = flat_frames(np.arange(count, dtype=np.uint8) * 8, 12, 20)
    image = Image.open(io.BytesIO(gif(frames, fps)))
    shown = [
        (np.array(frame.convert("RGB"))[0, 0, 0], frame.info.get("duration", 0))
        for frame in ImageSequence.Iterator(image)
    ]
    assert [int(level) for level, _ in shown] == (np.arange(count) * 8).tolist()
    if count > 1:  # a single picture has no duration
        seconds = sum(duration for _, duration in shown) / 1000
        assert seconds == pytest.approx(count / min(fps, 50), abs=0.0051)
        assert image.info["loop"] == 0  # for ever


def test_a_gif_is_no_larger_than_asked_and_never_enlarged() -> None:
    frames = np.zeros((2, 100, 300, 3), np.uint8)
    assert Image.open(io.BytesIO(gif(frames, 10, max_side_px=150))).size == (150, 50)
    assert Image.open(io.BytesIO(gif(frames, 10, max_side_px=900))).size == (300, 100)


def test_frames_are_whole_and_of_the_picture_that_a_player_shows(sample_clip: Path) -> None:
    frames = read_frames(sample_clip, 5, max_side_px=160)
    assert frames.shape == (5, 120, 160, 3)
    capture = cv2.VideoCapture(str(sample_clip))  # another decoder
    expected = [capture.read()[1][..., ::-1] for _ in range(50)]
    capture.release()
    assert np.abs(frames[0].astype(int) - expected[0]).mean() < 2
    assert np.abs(frames[-1].astype(int) - expected[-1]).mean() < 2


def test_facts_agree_with_opencv(sample_clip: Path) -> None:
    facts = describe(sample_clip)
    capture = cv2.VideoCapture(str(sample_clip))
    assert facts.fps == capture.get(cv2.CAP_PROP_FPS) == 25
    assert facts.num_frames == capture.get(cv2.CAP_PROP_FRAME_COUNT) == 50
    assert facts.width == capture.get(cv2.CAP_PROP_FRAME_WIDTH) == 160
    assert facts.height == capture.get(cv2.CAP_PROP_FRAME_HEIGHT) == 120
    capture.release()
    assert facts.seconds == pytest.approx(2)
    assert facts.codec == "h264"


def test_facts_are_of_the_picture_as_it_is_shown(awkward: Path, real_clips: Path) -> None:
    turned = describe(awkward / "decord_video_90.mov")
    assert (turned.width, turned.height) == (320, 568)  # stored as 568x320
    wide = describe(real_clips / "mmaction2_demo.mp4")
    assert (wide.width, wide.height) == (427, 256)  # stored as 340x256 with pixels of 64:51
    assert read_frames(real_clips / "mmaction2_demo.mp4", 2, 427).shape == (2, 256, 427, 3)


def test_a_table_tells_what_is_known_and_what_is_wrong(sample_clip: Path, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a video")
    videos: list[VideoRecord | Path | str] = [
        VideoRecord("whole", sample_clip, "moving up"),
        tmp_path / "text.mp4",
        str(tmp_path / "absent.mp4"),
        VideoRecord("missing", None, "moving up"),
    ]
    table = make_video_table(videos)
    assert table["id"].tolist() == ["whole", "text", "absent", "missing"]
    assert table["problem"].str.len().gt(0).tolist() == [False, True, True, True]
    assert table["frames"].isna().tolist() == [False, True, True, True]
    whole = table.iloc[0]
    assert (whole["seconds"], whole["fps"], whole["width"], whole["height"]) == (2, 25, 160, 120)
    assert whole["mb"] == sample_clip.stat().st_size / 1e6
    page = Page(show_video_table(videos))
    assert page.tags.count("img") == 1
    assert page.tags.count("tr") == 1 + len(videos)
    assert make_video_table([]).empty


def test_every_awkward_file_gets_a_row(awkward: Path) -> None:
    paths = sorted(path for path in awkward.iterdir() if path.suffix != ".csv")
    table = make_video_table(paths)
    problems = dict(zip(table["id"], table["problem"], strict=True))
    assert len(table) == len(paths)
    assert problems["decord_corrupted"].startswith("truncated: ")
    assert "no video stream" in problems["audio_only_gs-16b-2c-44100hz"]
    assert problems["torchcodec_nasa_13013"] == ""
    page = Page(show_video_table(paths))
    readable = int(table["frames"].notna().sum())
    assert page.tags.count("img") == len(page.alts) == readable
    assert all(page.alts)


def test_hostile_names_are_text_and_nothing_else(sample_clip: Path, tmp_path: Path) -> None:
    table = Page(show_video_table([VideoRecord(HOSTILE, sample_clip, HOSTILE)]))
    frames = read_frames(sample_clip, 3)
    card = Page(prediction_card(frames, HOSTILE, [HOSTILE, "b"], np.array([0.6, 0.4]), 5, HOSTILE))
    picture = Page(show_image(gif(frames, 25), HOSTILE))
    for page in (table, card, picture):
        assert "script" not in page.tags
        shown = page.text + "".join(alt or "" for alt in page.alts)
        assert "<script>alert('x')</script>&\"\\u202e\\u001b[31m" in shown
        assert "\u202e" not in shown


@pytest.mark.parametrize(
    ("label", "words", "marks"),
    [
        ("a", "\u2713 right", "\u2713\u2713"),
        ("c", "\u2717 wrong, guess 3 is right", "\u2717\u2717\u2713"),
        ("d", "\u2717 wrong, not among 3 guesses", "\u2717\u2717"),
        ("", "? not scored", ""),
    ],
)
def test_a_card_says_in_words_what_its_colours_say(label: str, words: str, marks: str) -> None:
    scores = np.array([0.5, 0.3, 0.15, 0.05])
    page = Page(prediction_card(np.zeros((4, 8, 8, 3), np.uint8), label, "abcd", scores, 3))
    assert page.text.startswith(words)
    assert "".join(char for char in page.text if char in "\u2713\u2717") == marks
    assert [share for share in ("50.0 %", "30.0 %", "15.0 %") if share in page.text] == [
        "50.0 %",
        "30.0 %",
        "15.0 %",
    ]
    assert "5.0 %" not in page.text.replace("15.0 %", "")
    assert all(page.alts)


def test_wrong_predictions_come_with_the_surest_first(sample_clip: Path) -> None:
    records = [VideoRecord(name, Path(sample_clip.name), "a") for name in "uvwxyz"]
    records[4] = VideoRecord("y", Path("absent.mp4"), "a")
    predictions = Predictions.pending(records, ("a", "b"))
    shares = np.array([0.1, 0.4, 0.9, np.nan, 0.3, 0.2], np.float32)
    predictions.scores[:] = np.stack([shares, 1 - shares], axis=1)
    predictions.reasons[~np.isnan(shares)] = ""
    assert wrong_rows(predictions) == [0, 5, 4, 1]
    page = Page(show_wrong(predictions, sample_clip.parent))
    assert page.alts == ["frames of u", "frames of z", "frames of v"]
    assert "y: " in page.text  # it cannot be shown, and that is said
    assert Page(show_wrong(predictions, sample_clip.parent, limit=1)).alts == ["frames of u"]


def test_html_shows_itself_in_a_notebook_and_does_not_flood_a_console(sample_clip: Path) -> None:
    html = show_image(gif(read_frames(sample_clip, 2), 25), "a video")
    assert html._repr_html_() == str(html)
    assert str(html).startswith("<img src=")
    assert len(repr(html)) < 40
    with pytest.raises(ConfigError, match="GIF, JPEG or PNG"):
        show_image(b"BM", "a bitmap")
