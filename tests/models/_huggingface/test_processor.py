"""Frames and processors of Hugging Face: resized, cropped and found as transformers itself does."""

from __future__ import annotations

import ast
import importlib
import json
import os
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from PIL.Image import Resampling

from tests.helpers.zero_shot_models import PROCESSORS as TOWERS
from tests.helpers.zero_shot_models import SIZE, save_processor, save_tokenizer
from vidbench.data.records import Frame
from vidbench.data.spec import PreprocessSpec
from vidbench.data.video.decode import decode_views
from vidbench.data.video.resize import fit_frame
from vidbench.errors import ConfigError
from vidbench.models._huggingface.processor import read_processor
from vidbench.models._huggingface.published import VARIANTS

if os.environ.get("CI") != "true":
    pytest.importorskip("torch")
    pytest.importorskip("transformers")

SIZES = (  # width, height
    (340, 256),
    (320, 240),
    (640, 360),
    (854, 480),
    (1280, 720),
    (1920, 1080),
    (256, 340),
    (480, 854),
    (224, 224),
    (171, 128),
)


def library(name: str) -> Any:
    return getattr(importlib.import_module("transformers"), name)


# What a folder says, which class of transformers runs it without torchvision, and what vidbench
# reads of it. V-JEPA 2's and VideoPrism's own classes need torchvision, and do the same steps.
PROCESSORS: dict[str, tuple[str, dict[str, Any], str]] = {
    "VideoMAE": ("VideoMAEImageProcessorPil", {}, "videos"),
    "VideoMAE that crops less": (
        "VideoMAEImageProcessorPil",
        {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}},
        "videos",
    ),
    "VideoMAE by Lanczos": ("VideoMAEImageProcessorPil", {"resample": 1}, "videos"),
    "VideoMAE that squashes and crops": (
        "VideoMAEImageProcessorPil",
        {"size": {"height": 256, "width": 256}},
        "videos",
    ),
    "VideoMAE that crops alone": ("VideoMAEImageProcessorPil", {"do_resize": False}, "videos"),
    "V-JEPA 2": (
        "VideoMAEImageProcessorPil",
        {"size": {"shortest_edge": 292}, "crop_size": {"height": 256, "width": 256}},
        "videos",
    ),
    "ViViT": ("VivitImageProcessor", {}, "videos"),
    "VideoPrism": (
        "SiglipImageProcessorPil",
        {"size": {"height": 288, "width": 288}, "do_normalize": False},
        "videos",
    ),
    "CLIP": ("CLIPImageProcessorPil", {}, "images"),
    "CLIP of 336": (
        "CLIPImageProcessorPil",
        {"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}},
        "images",
    ),
    "SigLIP": ("SiglipImageProcessorPil", {}, "images"),
    "X-CLIP": ("VideoMAEImageProcessorPil", {}, "images"),
}


@cache
def picture(width: int, height: int) -> Frame:
    """Edges, gradients, fine texture and noise: what filters treat differently."""
    y, x = np.mgrid[:height, :width]
    waves = np.sin(x * y / 900) * 60 + np.sin(x / 3) * 30 + (x + y) % 256 / 3 + 70
    levels = np.stack([waves, waves[::-1], 255 - waves], axis=-1)
    levels[height // 3 :: 40] = 255
    levels += np.random.default_rng(width).normal(0, 12, levels.shape)
    return np.asarray(np.clip(levels, 0, 255), np.uint8)


def by_transformers(processor: Any, frame: Frame) -> Frame:
    """The frame as the processor resizes and crops it, before it scales pixels."""
    scaling = {"do_rescale": False, "do_normalize": False, "return_tensors": "np"}
    if type(processor).__name__ == "VivitImageProcessor":
        scaling["offset"] = False
    videos = "Vivit" in type(processor).__name__ or "VideoMAE" in type(processor).__name__
    found = processor([frame] if videos else frame, **scaling)["pixel_values"]
    return np.asarray(found.reshape(found.shape[-3:]).transpose(1, 2, 0), np.uint8)


@pytest.mark.parametrize("name", PROCESSORS)
def test_frames_are_what_the_processor_itself_makes_of_them(name: str, tmp_path: Path) -> None:
    kind, changes, of = PROCESSORS[name]
    processor = library(kind)(**changes)
    processor.save_pretrained(tmp_path)
    spec = PreprocessSpec(**read_processor(tmp_path, of, "", 224).resizing)  # type: ignore[arg-type]
    for size in SIZES:
        frame = picture(*size)
        expected = by_transformers(processor, frame)
        np.testing.assert_array_equal(fit_frame(frame, spec)[0], expected, err_msg=str(size))


@pytest.mark.parametrize("name", ["VideoMAE", "CLIP", "SigLIP"])
def test_real_videos_are_seen_as_by_opencv_and_the_processor(
    name: str, real_clips: Path, tmp_path: Path
) -> None:
    """Videos of square pixels: processors take all for such, vidbench applies their shape."""
    kind, changes, of = PROCESSORS[name]
    processor = library(kind)(**changes)
    processor.save_pretrained(tmp_path)
    resizing = read_processor(tmp_path, of, "", 224).resizing  # type: ignore[arg-type]
    for clip in ("v_Archery_g02_c02.avi", "bolei_juggling.mp4", "crossfit_deadlift_64.mp4"):
        capture = cv2.VideoCapture(str(real_clips / clip))
        frames = []
        while (read := capture.read())[0]:
            frames.append(np.ascontiguousarray(read[1][..., ::-1]))
        found = decode_views(real_clips / clip, PreprocessSpec(num_frames=2, **resizing))[0]
        expected = [by_transformers(processor, np.asarray(frames[i], np.uint8)) for i in (0, -1)]
        np.testing.assert_array_equal(found, expected, err_msg=clip)


@pytest.mark.parametrize("name", [name for name in VARIANTS if "vjepa2" not in name])
def test_the_centre_crop_of_a_published_protocol_is_its_processors(name: str) -> None:
    """V-JEPA 2's three crops lie in a smaller picture than its processor's one."""
    spec = VARIANTS[name].spec
    size = {"shortest_edge": spec.short_side}
    crop = {"height": spec.crop_size, "width": spec.crop_size}
    processor = library("VideoMAEImageProcessorPil")(size=size, crop_size=crop)
    for width, height in SIZES:
        frame = picture(width, height)
        centre = fit_frame(frame, spec)[1]
        np.testing.assert_array_equal(centre, by_transformers(processor, frame))


@pytest.mark.parametrize("kind", TOWERS)
def test_the_newest_layout_says_what_the_older_one_says(kind: str, tmp_path: Path) -> None:
    """transformers 5 writes processors into one file, 4.x those of images into one of their own."""
    save_tokenizer(tmp_path / "new")
    save_processor(tmp_path / "new", kind)
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert "processor_config.json" in names
    assert "preprocessor_config.json" not in names
    processor = library(TOWERS[kind][1]).from_pretrained(tmp_path / "new").image_processor
    processor.save_pretrained(tmp_path / "old")
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["preprocessor_config.json"]
    new, old = (read_processor(tmp_path / name, "images", kind, SIZE) for name in ("new", "old"))
    assert new == old
    assert new.scaling.mean == tuple(processor.image_mean)


NESTED = ("video_processor", "image_processor")  # in processor_config.json
PLACES = (*NESTED, "video_preprocessor_config.json", "preprocessor_config.json")


def write_processors(folder: Path, places: tuple[str, ...]) -> None:
    """Writes a processor into each of these places, each with another mean."""
    processors = {
        place: {"image_mean": PLACES.index(place) / 10, "image_std": 1.0} for place in places
    }
    if nested := {place: processors[place] for place in places if place in NESTED}:
        (folder / "processor_config.json").write_text(json.dumps(nested))
    for place in set(places) - set(NESTED):
        (folder / place).write_text(json.dumps(processors[place]))


@pytest.mark.parametrize("of", ["videos", "images"])
@pytest.mark.parametrize(
    "places",
    [places for count in (1, 2, 3, 4) for places in combinations(PLACES, count)],
    ids="+".join,
)
def test_of_several_files_the_one_counts_that_transformers_takes(
    of: Literal["videos", "images"], places: tuple[str, ...], tmp_path: Path
) -> None:
    from transformers.image_processing_base import ImageProcessingMixin
    from transformers.video_processing_utils import BaseVideoProcessor

    write_processors(tmp_path, places)
    mean = read_processor(tmp_path, of, "videomae", 32).scaling.mean[0]
    if of == "images" and {"image_processor", "preprocessor_config.json"} & set(places):
        assert mean == ImageProcessingMixin.get_image_processor_dict(tmp_path)[0]["image_mean"]
    elif {"video_processor", "video_preprocessor_config.json"} & set(places):
        assert mean == BaseVideoProcessor.get_video_processor_dict(tmp_path)[0]["image_mean"]
    else:  # a processor of images for videos: in the order of those of images
        assert mean == ImageProcessingMixin.get_image_processor_dict(tmp_path)[0]["image_mean"]


VIDEO_CLASSES = {
    "VideoMAE": "videomae",
    "Timesformer": "timesformer",
    "Vivit": "vivit",
    "VJEPA2": "vjepa2",
    "LlavaOnevision": "llava_onevision",  # VideoPrism's
}


def class_values(kind: str) -> dict[str, Any]:
    """What a class of video processors does by itself: read, as importing it needs torchvision."""
    module, name = VIDEO_CLASSES[kind], f"{kind}VideoProcessor"
    path = Path(library("__file__")).parent / f"models/{module}/video_processing_{module}.py"
    tree = ast.parse(path.read_text())
    (of_class,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name)
    assigned = ast.Module([n for n in of_class.body if isinstance(n, ast.Assign)], [])
    values: dict[str, Any] = {}
    exec(  # noqa: S102 - the library's own numbers
        compile(assigned, str(path), "exec"),
        vars(importlib.import_module("transformers.image_utils")),
        values,
    )
    return values


@pytest.mark.parametrize("kind", VIDEO_CLASSES)
def test_a_video_processor_that_says_nothing_does_what_its_class_does(
    kind: str, tmp_path: Path
) -> None:
    own = class_values(kind)
    path, said = tmp_path / "video_preprocessor_config.json", {"crop_size": 224}
    named = {"video_processor_type": f"{kind}VideoProcessor"}
    path.write_text(json.dumps(named | said))
    found = read_processor(tmp_path, "videos", "", 224)
    path.write_text(json.dumps(own | named | said))
    assert read_processor(tmp_path, "videos", "", 224) == found
    assert found.scaling.mean == tuple(own["image_mean"])
    filters = {Resampling.BILINEAR: "bilinear_antialias", Resampling.BICUBIC: "bicubic_antialias"}
    assert found.resizing["resize_filter"] == filters[own["resample"]]


def test_the_video_processor_of_vivit_centres_whatever_its_file_says(tmp_path: Path) -> None:
    """The image processor has a switch for it, of the class for videos it is a part."""
    for kind, offset in (("Video", 1.0), ("Image", 0.0)):
        named = {f"{kind.lower()}_processor_type": f"Vivit{kind}Processor", "offset": False}
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(named))
        assert read_processor(tmp_path, "videos", "vivit", 224).scaling.offset == offset


def test_a_folder_without_a_processor_is_refused(tmp_path: Path) -> None:
    (tmp_path / "processor_config.json").write_text('{"processor_class": "CLIPProcessor"}')
    with pytest.raises(ConfigError, match="one of them says how frames are made"):
        read_processor(tmp_path, "images", "clip", 224)


def test_what_a_file_does_not_say_is_what_its_class_does(tmp_path: Path) -> None:
    for kind, *_ in PROCESSORS.values():
        written = library(kind)()
        name = kind.removesuffix("Pil")
        (tmp_path / "preprocessor_config.json").write_text(
            json.dumps({"image_processor_type": name})
        )
        found = read_processor(tmp_path, "images", "", 224)
        written.save_pretrained(tmp_path)
        assert found == read_processor(tmp_path, "images", "", 224)
