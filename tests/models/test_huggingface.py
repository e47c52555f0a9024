"""Models of transformers against transformers itself, with small networks of random weights."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.checkpoints import (
    ARCHITECTURES,
    FRAMES,
    PROCESSOR,
    SIZE,
    change_json,
    read_json,
    save_checkpoint,
    write_json,
)
from tests.helpers.huggingface import CLASSES, channels_first, random_clips
from tests.helpers.paths import SAMPLE
from tests.helpers.patience import PATIENCE_SECONDS
from vidbench import RunConfig
from vidbench.data.spec import PreprocessSpec
from vidbench.errors import ConfigError, ModelError
from vidbench.evaluate import evaluate
from vidbench.labels.class_lists import list_names, load_classes
from vidbench.models._huggingface.published import VARIANTS
from vidbench.models.base import load_model
from vidbench.models.huggingface import FAMILY
from vidbench.system.runtime import Runtime

if os.environ.get("CI") != "true":
    pytest.importorskip("torch")
    pytest.importorskip("transformers")


RESIZED = PreprocessSpec(
    num_frames=FRAMES,
    resize_type="short_side",
    short_side=40,
    resize_filter="bilinear_antialias",
    side_rounding="down",
    crop_size=SIZE,
)
SQUASHED = {"resize_type": "squash", "side_rounding": "nearest"}
UNRESIZED = {
    "resize_type": "center_square",
    "short_side": None,
    "resize_filter": "bilinear",
    "side_rounding": "nearest",
}


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder by architecture; tests that change one take a copy."""
    root = tmp_path_factory.mktemp("checkpoints")
    return {name: save_checkpoint(root / name, name) for name in ARCHITECTURES}


@pytest.fixture
def folder(saved: dict[str, Path], tmp_path: Path) -> Path:
    """A VideoMAE to be changed."""
    return Path(shutil.copytree(saved["VideoMAE"], tmp_path / "model"))


def scores_of(folder: Path, clips: NDArray[np.uint8], **options: Any) -> NDArray[np.float32]:
    return load_model("huggingface", model_path=str(folder)).load(Runtime(**options)).predict(clips)


def scores_by_transformers(folder: Path, architecture: str, pixels: Any) -> NDArray[np.float32]:
    """What the library itself gives for each clip of (batch, frames, 3, height, width)."""
    import torch
    import transformers

    network = getattr(transformers, f"{architecture}ForVideoClassification")
    model = network.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        logits = [model(**{model.main_input_name: clip[None]}).logits for clip in pixels]
        return np.asarray(torch.cat(logits).softmax(dim=-1).numpy(), np.float32)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_scores_are_bit_for_bit_those_of_transformers(
    architecture: str, saved: dict[str, Path]
) -> None:
    import torch

    clips = random_clips(3)
    mean, std = (torch.tensor(PROCESSOR[f"image_{name}"]) for name in ("mean", "std"))
    factor, offset = (1 / 127.5, 1) if architecture == "Vivit" else (1 / 255, 0)
    pixels = channels_first(clips) * factor - offset
    pixels = (pixels - mean[:, None, None]) / std[:, None, None]
    expected = scores_by_transformers(saved[architecture], architecture, pixels)
    np.testing.assert_array_equal(scores_of(saved[architecture], clips), expected)
    assert np.ptp(expected, axis=0).max() > 0.001  # the clips do matter


# Without torchvision, these are the processors of transformers that run. V-JEPA 2 and TimeSformer
# have one that needs it; published TimeSformers are used with VideoMAE's.
@pytest.mark.parametrize(
    ("architecture", "processor", "changes"),
    [
        ("VideoMAE", "VideoMAEImageProcessorPil", {}),
        ("VideoMAE", "VideoMAEImageProcessorPil", {"image_mean": 0.5, "image_std": 0.25}),
        ("VideoMAE", "VideoMAEImageProcessorPil", {"do_normalize": False}),
        ("VideoMAE", "VideoMAEImageProcessorPil", {"rescale_factor": 1 / 128}),
        ("VideoMAE", "VideoMAEImageProcessorPil", {"do_rescale": False, "image_mean": [120.0] * 3}),
        ("Timesformer", "VideoMAEImageProcessorPil", {}),
        ("Vivit", "VivitImageProcessor", {}),
        ("Vivit", "VivitImageProcessor", {"offset": False, "rescale_factor": 1 / 255}),
        ("Vivit", "VivitImageProcessor", {"do_rescale": False, "offset": False}),
    ],
)
def test_pixels_are_scaled_as_the_processor_of_transformers_does(
    architecture: str,
    processor: str,
    changes: dict[str, Any],
    saved: dict[str, Path],
    tmp_path: Path,
) -> None:
    import transformers

    copy = Path(shutil.copytree(saved[architecture], tmp_path / "model"))
    change_json(copy / "preprocessor_config.json", **changes)
    clips = random_clips(2)
    process = getattr(transformers, processor).from_pretrained(copy)
    pixels = process(
        [list(clip) for clip in clips],
        do_resize=False,
        do_center_crop=False,
        return_tensors="pt",
    )["pixel_values"]
    expected = scores_by_transformers(copy, architecture, pixels)
    # it multiplies in float64 and rounds, and vidbench multiplies in float32
    np.testing.assert_allclose(scores_of(copy, clips), expected, atol=2e-6)


@pytest.mark.parametrize(
    ("architecture", "processor"),
    [("VideoMAE", "VideoMAEImageProcessorPil"), ("Vivit", "VivitImageProcessor")],
)
def test_processors_are_read_as_transformers_writes_them(
    architecture: str, processor: str, saved: dict[str, Path], tmp_path: Path
) -> None:
    import transformers

    copy = Path(shutil.copytree(saved[architecture], tmp_path / "model"))
    written = getattr(transformers, processor).from_pretrained(copy)
    (copy / "preprocessor_config.json").unlink()
    written.save_pretrained(copy)
    specs = [load_model("huggingface", model_path=str(f)).spec for f in (saved[architecture], copy)]
    assert specs[0] == specs[1]
    clips = random_clips(1)
    np.testing.assert_array_equal(scores_of(copy, clips), scores_of(saved[architecture], clips))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_scores_are_probabilities_and_depend_on_no_other_clip(
    architecture: str, saved: dict[str, Path]
) -> None:
    clips = random_clips(5)
    classifier = load_model("huggingface", model_path=str(saved[architecture])).load(
        Runtime(device="cpu")
    )
    together = classifier.predict(clips)
    assert together.shape == (5, 3)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-6)
    alone = [classifier.predict(clip[None])[0] for clip in clips[::-1]]
    np.testing.assert_array_equal(together[::-1], alone)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_bf16_is_close_and_something_else(architecture: str, saved: dict[str, Path]) -> None:
    exact = scores_of(saved[architecture], random_clips(3))
    rounded = scores_of(saved[architecture], random_clips(3), precision="bf16")
    np.testing.assert_allclose(rounded, exact, atol=0.02)
    assert rounded.dtype == np.float32
    assert not np.array_equal(rounded, exact)


def test_read_only_clips_are_taken(saved: dict[str, Path]) -> None:
    clips = random_clips(1)
    clips.setflags(write=False)
    assert scores_of(saved["VideoMAE"], clips).shape == (1, 3)


def test_weights_in_float16_are_computed_with_in_float32(folder: Path) -> None:
    import torch
    import transformers

    network = transformers.VideoMAEForVideoClassification
    halved: Any = network.from_pretrained(folder, dtype=torch.float16)
    halved.save_pretrained(folder)
    assert read_json(folder / "config.json")["dtype"] == "float16"
    halved.float().save_pretrained(folder.with_name("widened"))
    shutil.copy(folder / "preprocessor_config.json", folder.with_name("widened"))
    np.testing.assert_array_equal(
        scores_of(folder, random_clips(2)), scores_of(folder.with_name("widened"), random_clips(2))
    )


def test_weights_in_several_files_are_those_of_one(folder: Path, tmp_path: Path) -> None:
    parts = save_checkpoint(tmp_path / "parts", "VideoMAE", max_shard_size="20KB")
    assert len(list(parts.glob("model-*.safetensors"))) > 2
    np.testing.assert_array_equal(
        scores_of(parts, random_clips(2)), scores_of(folder, random_clips(2))
    )
    first, *_ = sorted(parts.glob("model-*.safetensors"))
    before = load_model("huggingface", model_path=str(parts)).digest()
    first.write_bytes(first.read_bytes()[:-1] + b"\1")
    assert load_model("huggingface", model_path=str(parts)).digest() != before
    first.unlink()
    with pytest.raises(ConfigError, match=rf"lacks {first.name}, which .*index.json names"):
        load_model("huggingface", model_path=str(parts)).digest()


def rewrite_weights(folder: Path, change: Any) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    save_file(change(weights), folder / "model.safetensors", metadata={"format": "pt"})


def test_published_names_of_videomae_biases_are_understood(folder: Path) -> None:
    """Every published VideoMAE calls them so; transformers 5.0 dropped them without an error.

    https://github.com/huggingface/transformers/pull/48675
    """
    expected = scores_of(folder, random_clips(2))

    def published(name: str) -> str:
        for letter, word in (("q", "query"), ("v", "value")):
            name = name.replace(f"attention.{word}.bias", f"attention.{letter}_bias")
        return name

    rewrite_weights(folder, lambda weights: {published(n): w for n, w in weights.items()})
    np.testing.assert_array_equal(scores_of(folder, random_clips(2)), expected)


def test_weights_that_lack_are_never_made_up(folder: Path) -> None:
    rewrite_weights(folder, lambda weights: {n: w for n, w in weights.items() if "norm" not in n})
    with pytest.raises(ModelError, match=r"lacks 10 of the weights that transformers .* needs"):
        load_model("huggingface", model_path=str(folder)).load()


def test_weights_that_are_not_used_are_reported(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import torch

    rewrite_weights(folder, lambda weights: weights | {"extra.weight": torch.zeros(3)})
    with caplog.at_level(logging.WARNING):
        load_model("huggingface", model_path=str(folder)).load()
    assert "1 of its weights are not used, e.g. extra.weight" in caplog.text


@pytest.mark.parametrize("content", [b"", b"no tensors at all", b"\xff" * 64])
def test_damaged_weights_are_refused_in_one_line(content: bytes, folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError) as caught:
        load_model("huggingface", model_path=str(folder)).load()
    assert "\n" not in str(caught.value)


def test_weights_of_another_size_are_refused_in_one_line(folder: Path) -> None:
    names = {str(number): str(number) for number in range(7)}
    change_json(folder / "config.json", id2label=names, label2id=None)
    with pytest.raises(ModelError) as caught:
        load_model("huggingface", model_path=str(folder)).load()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"short_side": 40}),
        # VideoMAE's and TimeSformer's older processors write one number
        ({"size": 32, "crop_size": None}, {"short_side": 32}),
        ({"crop_size": 32}, {"short_side": 40}),
        ({"size": None}, {"short_side": 224}),
        ({"resample": 3}, {"short_side": 40, "resize_filter": "bicubic_antialias"}),
        ({"resample": 1}, {"short_side": 40, "resize_filter": "lanczos_antialias"}),
        ({"size": {"height": 40, "width": 40}}, SQUASHED | {"short_side": 40}),
        (
            {"size": {"height": 32, "width": 32}, "do_center_crop": False},
            SQUASHED | {"short_side": 32},
        ),
        ({"size": 32, "default_to_square": True}, SQUASHED | {"short_side": 32}),
        ({"do_resize": False}, UNRESIZED | {"resize_type": "crop"}),
        ({"do_resize": False, "do_center_crop": False}, UNRESIZED),
    ],
    ids=str,
)
def test_the_spec_is_what_the_processor_does(
    changes: dict[str, Any], expected: dict[str, Any], folder: Path
) -> None:
    change_json(folder / "preprocessor_config.json", **changes)
    model = load_model("huggingface", model_path=str(folder))
    assert model.spec == replace(RESIZED, **expected)
    model.check(model.spec)


def test_the_processor_of_videos_goes_over_that_of_images(folder: Path) -> None:
    changed = PROCESSOR | {"size": {"shortest_edge": 36}}
    write_json(folder / "video_preprocessor_config.json", changed)
    assert load_model("huggingface", model_path=str(folder)).spec.short_side == 36


@pytest.mark.parametrize("key", ["video_processor", "image_processor"])
def test_the_newest_layout_is_read_and_goes_over_older_files(key: str, folder: Path) -> None:
    clips = random_clips(1)
    before = scores_of(folder, clips)
    processor = PROCESSOR | {"image_mean": [0.0] * 3, "image_std": [1.0] * 3}
    write_json(folder / "processor_config.json", {key: processor})
    newest = scores_of(folder, clips)
    assert not np.array_equal(newest, before)
    (folder / "preprocessor_config.json").unlink()
    np.testing.assert_array_equal(scores_of(folder, clips), newest)


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"do_center_crop": False}, "crops nothing, vidbench crops the centre of 32x32"),
        ({"do_resize": False, "do_center_crop": False}, "resizes nothing, vidbench resizes"),
        ({"image_processor_type": "MyImageProcessor"}, "MyImageProcessor is not one that vidbench"),
        ({"auto_map": {"AutoImageProcessor": "mine.Processor"}}, "is code of its own"),
    ],
)
def test_what_the_processor_does_otherwise_is_said_in_one_line(
    changes: dict[str, Any], warning: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    change_json(folder / "preprocessor_config.json", **changes)
    with caplog.at_level(logging.WARNING):
        assert load_model("huggingface", model_path=str(folder)).spec.crop_size == SIZE
    (record,) = caplog.records
    assert warning in record.getMessage()


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("config", {"architectures": ["VideoMAEForPreTraining"]}, "takes ...ForVideoClassif"),
        ("config", {"architectures": ["XForImageClassification"]}, "XForImageClassification"),
        ("config", {"architectures": None}, "takes ...ForVideoClassification only"),
        ("config", {"architectures": "VideoMAEForVideoClassification"}, "of architecture"),
        ("config", {"num_frames": None}, "num_frames None, must be a whole number"),
        ("config", {"num_frames": 0}, "num_frames 0"),
        ("config", {"num_frames": True}, "num_frames True"),
        ("config", {"image_size": [32, 48]}, r"image_size \[32, 48\]"),
        ("config", {"id2label": {"0": "a", "2": "b"}}, "from 0 without gaps"),
        ("config", {"id2label": {}}, "from 0 without gaps"),
        ("config", {"id2label": ["a", "b"]}, "from 0 without gaps"),
        ("config", {"id2label": {"0": "a", "1": "a"}}, "class 'a' more than once"),
        ("config", {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}, "name them by --classes_file"),
        ("config", {"id2label": None}, "2 classes LABEL_0 and so on: name them by"),
        ("config", {"transformers_weights": "x.safetensors"}, "names other weights than"),
        ("preprocessor_config", {"size": {"shortest_edge": 20}}, "crops 32 of it"),
        ("preprocessor_config", {"size": {"longest_edge": 20}}, "resizes to"),
        ("preprocessor_config", {"crop_size": 16}, "takes 4 frames of 32x32"),
        ("preprocessor_config", {"size": {"height": 32, "width": 48}}, "side of a square"),
        ("preprocessor_config", {"size": {"shortest_edge": 40, "longest_edge": 90}}, "resizes to"),
        ("preprocessor_config", {"crop_size": {"height": 32, "width": 40}}, "side of a square"),
        ("preprocessor_config", {"resample": 0}, "by the filter nearest, vidbench has lanczos"),
        ("preprocessor_config", {"do_flip_channel_order": True}, "has do_flip_channel_order"),
        ("preprocessor_config", {"do_pad": True, "pad_size": {"height": 64}}, "has do_pad"),
        (
            "preprocessor_config",
            {"image_mean": None, "image_processor_type": "MyImageProcessor"},
            "lacks image_mean",
        ),
        ("preprocessor_config", {"image_std": [0.5]}, "not of three channels"),
        ("preprocessor_config", {"image_std": "many"}, "not of three channels"),
        ("preprocessor_config", {"rescale_factor": "1/255"}, "not of three channels"),
    ],
)
def test_folders_that_do_not_fit_are_refused_in_one_line(
    file: str, changes: dict[str, Any], message: str, folder: Path
) -> None:
    change_json(folder / f"{file}.json", **changes)
    model = load_model("huggingface", model_path=str(folder))  # reads nothing
    with pytest.raises(ConfigError, match=message) as caught:
        model.check(model.spec)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("gone", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_folders_that_lack_a_file_are_refused(gone: str, folder: Path) -> None:
    (folder / gone).unlink()
    model = load_model("huggingface", model_path=str(folder))
    with pytest.raises(ConfigError, match=gone):
        model.check(model.spec)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\udcff"])
def test_files_that_are_no_json_objects_are_refused(text: str, folder: Path) -> None:
    (folder / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=r"config\.json (cannot be read|must hold)"):
        _ = load_model("huggingface", model_path=str(folder)).spec


def test_pickled_weights_are_not_read(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    model = load_model("huggingface", model_path=str(folder))
    with pytest.raises(
        ConfigError, match=r"has pytorch_model\.bin but no model\.safetensors: unpick"
    ):
        model.check(model.spec)


@pytest.mark.parametrize("path", ["missing", "../x", "x" * 300, "a/b/c", "no\0name", "o/n@"])
def test_paths_that_are_neither_folder_nor_name_are_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="model_path"):
        _ = load_model("huggingface", model_path=path).spec


def test_a_file_is_no_folder(folder: Path) -> None:
    path = str(folder / "config.json")
    with pytest.raises(ConfigError, match="no folder, and no name on Hugging Face"):
        _ = load_model("huggingface", model_path=path).spec


@pytest.mark.parametrize(("frames", "size"), [(8, SIZE), (FRAMES, 40)])
def test_clips_that_do_not_fit_are_refused(frames: int, size: int, folder: Path) -> None:
    spec = PreprocessSpec(num_frames=frames, crop_size=size)
    with pytest.raises(ConfigError, match="takes 4 frames of 32x32, the clips are"):
        load_model("huggingface", model_path=str(folder)).check(spec)


def test_classes_come_from_the_checkpoint_or_else_from_the_file(
    folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "classes.txt"

    def classes(*names: str) -> tuple[str, ...]:
        path.write_text("\n".join(names))
        return load_model("huggingface", model_path=str(folder), classes_file=path).classes

    assert load_model("huggingface", model_path=str(folder)).classes == CLASSES
    assert classes(*CLASSES) == CLASSES
    with pytest.raises(ConfigError, match=r"differ from those of .*config\.json"):
        classes("a", "c", "b")
    change_json(folder / "config.json", id2label={str(i): f"LABEL_{i}" for i in range(3)})
    assert classes("x", "y", "z") == ("x", "y", "z")
    with pytest.raises(ConfigError, match="has 3 classes, 2 are named"):
        classes("x", "y")


def test_the_digest_is_of_content_and_not_of_its_place(folder: Path, tmp_path: Path) -> None:
    def digest(**options: Any) -> str:
        return load_model("huggingface", model_path=str(folder), **options).digest()

    seen = [digest()]
    copy = shutil.copytree(folder, tmp_path / "elsewhere")
    assert load_model("huggingface", model_path=str(copy)).digest() == seen[0]
    for file, changes in (
        ("preprocessor_config", {"image_mean": [0.5, 0.5, 0.5]}),
        ("config", {"layer_norm_eps": 1e-3}),
        ("config", {"id2label": {"0": "x", "1": "b", "2": "c"}}),
    ):
        change_json(folder / f"{file}.json", **changes)
        seen.append(digest())
    rewrite_weights(folder, lambda weights: {name: w * 1.001 for name, w in weights.items()})
    seen.append(digest())
    assert len(set(seen)) == len(seen)
    change_json(folder / "preprocessor_config.json", size={"shortest_edge": 36})
    assert digest() == seen[-1]  # the run's spec says so


def test_loading_a_model_family_reads_nothing() -> None:
    model = load_model("huggingface", model_path="/nowhere/at/all")
    assert (model.name, model.trained_on) == ("huggingface", None)


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_name_their_protocol_without_weights(name: str) -> None:
    model = load_model(f"huggingface/{name}")
    assert model.name == f"huggingface/{name}"
    assert model.spec == VARIANTS[name].spec
    assert model.spec.num_crops == 3


# Frames, stride, clips and crops, size; top-1 and top-5: the pages in each card's reference.
@pytest.mark.parametrize(
    ("name", "protocol", "top1", "top5"),
    [
        ("videomae-base", "5 clips of 16 frames dense every 4, short_side 224", 0.809, 0.947),
        ("timesformer-base-k400", "8 frames center every 32, short_side 224", 0.779, 0.932),
        ("vivit-b-16x2", "4 clips of 32 frames dense every 2, short_side 256", 0.799, None),
        ("vjepa2-large-ssv2", "2 clips of 16 frames dense every 4, short_side 256", 0.737, None),
        ("vjepa2-giant-diving48", "4 clips of 32 frames dense every 2", 0.902, None),
    ],
)
def test_cards_say_what_was_published(
    name: str, protocol: str, top1: float, top5: float | None
) -> None:
    (card,) = [card for card in FAMILY.entries if card.name == f"huggingface/{name}"]
    assert load_model(card.name).spec.describe().startswith(protocol)
    assert (card.top1, card.top5) == (top1, top5)
    assert FAMILY.needs == "torch"
    assert card.reference.startswith("https://")


def test_class_lists_of_variants_ship_with_vidbench() -> None:
    listed = {variant.classes for variant in VARIANTS.values()} - {None}
    assert listed <= set(list_names())


def test_vivit_gets_the_pixels_and_class_names_of_its_authors(tmp_path: Path) -> None:
    # The example of transformers for this checkpoint prints LABEL_116 for a video of spaghetti
    # being eaten. Scenic's zero_centering is [-1, 1]; its processor would give [-3, 1].
    folder = save_checkpoint(tmp_path / "vivit", "Vivit", 400)
    clips = random_clips(1)
    model = load_model("huggingface/vivit-b-16x2", model_path=str(folder))
    assert model.classes == load_classes("kinetics-400")
    assert model.classes[116] == "eating spaghetti"
    pixels = channels_first(clips) * (1 / 127.5) - 1
    expected = scores_by_transformers(folder, "Vivit", pixels)
    np.testing.assert_allclose(model.load().predict(clips), expected, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("huggingface", {"model_path": ""}, "needs --model_path"),
        ("huggingface", {}, "needs --model_path, .* such as huggingface/videomae-small"),
        ("huggingface/videomae-tiny", {}, "no huggingface/videomae-tiny, only videomae-small"),
        ("huggingface", {"model_path": "x/y", "prompts": "z"}, "takes no --prompts"),
    ],
)
def test_wrong_requests_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_model(name, **options)


def run_python(code: str, *arguments: object, **environment: str) -> list[str]:
    """The lines that the code prints, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    own = "requested videos cover"  # the one line that vidbench has to say
    assert not [line for line in done.stderr.splitlines() if own not in line]
    return done.stdout.splitlines()


OFFLINE = """
import sys
from vidbench.errors import VidbenchError
from vidbench.models.base import load_model
try:
    print(load_model("huggingface", model_path="owner/model").digest())
except VidbenchError as error:
    print(type(error).__name__, error)
"""


def test_names_are_looked_up_in_the_cache_of_hugging_face(folder: Path, tmp_path: Path) -> None:
    # refs and snapshots: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    first, *rest = run_python(OFFLINE, **offline)
    assert first.startswith("ModelError owner/model is no folder here, and no whole model of this")
    assert rest[0] == "  its cache on this machine: it is not there"
    assert rest[1].startswith("  https://huggingface.co: ")

    cache = tmp_path / "home" / "hub" / "models--owner--model"
    shutil.copytree(folder, cache / "snapshots" / ("0" * 40))
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("0" * 40)
    expected = load_model("huggingface", model_path=str(folder)).digest()
    assert run_python(OFFLINE, **offline) == [expected]

    (cache / "snapshots" / ("0" * 40) / "model.safetensors").unlink()
    _, first, second = run_python(OFFLINE, **offline)
    assert "its cache on this machine: it lacks model.safetensors: " in first
    assert second.endswith("not asked, as HF_HUB_OFFLINE is set: unset it, or fill the cache")


@pytest.mark.parametrize("library", ["torch", "transformers"])
def test_a_library_that_is_not_installed_is_named(library: str, folder: Path) -> None:
    lines = run_python(
        "import sys\n"
        "sys.modules[sys.argv[1]] = None\n"  # makes its import fail
        "from vidbench.errors import ConfigError\n"
        "from vidbench.models.base import all_model_families, load_model\n"
        "model = load_model('huggingface', model_path=sys.argv[2])\n"
        "print([one.name for one in all_model_families() if one.needs == 'torch'])\n"
        "try:\n"
        "    model.check(model.spec)\n"
        "except ConfigError as error:\n"
        "    print(error)\n",
        library,
        folder,
    )
    assert lines == [
        "['clip', 'huggingface', 'xclip']",
        f"model_type huggingface needs {library}, which is not installed: "
        'pip install "vidbench[torch]"',
    ]


EVALUATION = """
import json, sys
from vidbench import RunConfig
from vidbench.evaluate import evaluate
if __name__ == "__main__":
    done = evaluate(RunConfig(**json.loads(sys.argv[1])))
    libraries = ("tensorflow", "torch", "transformers")
    count = done.metrics["top1"]["num_videos"]
    print(json.dumps([count, *(name in sys.modules for name in libraries)]))
"""


@pytest.mark.parametrize(
    "family", ["huggingface", pytest.param("saved_model", marks=pytest.mark.slow)]
)
def test_an_evaluation_imports_one_framework_and_says_nothing_of_it(
    family: str, tmp_path: Path
) -> None:
    own: dict[str, Any] = {"model_path": str(SAMPLE / "model"), "num_frames": 16}
    if family == "huggingface":
        classes = tuple((SAMPLE / "classes.txt").read_text().splitlines())
        own = {"model_path": str(save_checkpoint(tmp_path / "model", "VideoMAE", classes))}
    options = {
        "model_type": family,
        "dataset": "sample",
        "num_videos": 4,
        "no_report": True,
        **{f"{name}_dir": str(tmp_path / name) for name in ("data", "cache", "results")},
        **own,
    }
    (line,) = run_python(EVALUATION, json.dumps(options))
    assert json.loads(line) == [4, family == "saved_model", *[family == "huggingface"] * 2]


def test_the_sample_is_evaluated_by_its_class_names_and_by_several_views(tmp_path: Path) -> None:
    classes = tuple((SAMPLE / "classes.txt").read_text().splitlines())
    folder = save_checkpoint(tmp_path / "model", "Timesformer", classes)
    config = RunConfig(
        model_type="huggingface",
        model_path=str(folder),
        dataset="sample",
        num_videos=6,
        sampling="dense",
        num_clips=2,
        num_crops=3,
        no_report=True,
        data_dir=tmp_path / "data",
        cache_dir=tmp_path / "cache",
        results_dir=tmp_path / "results",
    )
    done = evaluate(config)
    assert done.metrics["top1"]["num_videos"] == 6
    assert "1x1 of 2x3" in done.metrics["fewer_views"]
    assert read_json(done.folder / "run.json")["identity"]["model"] == "huggingface"
    assert evaluate(config).metrics == done.metrics  # finished, and found again by its digest
