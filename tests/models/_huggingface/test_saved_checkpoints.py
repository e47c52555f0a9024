"""Checkpoints of transformers as people have them: other heads, other folders, broken libraries."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.checkpoints import (
    FRAMES,
    PROCESSOR,
    SIZE,
    change_json,
    save_checkpoint,
    write_json,
)
from tests.helpers.huggingface import CLASSES, channels_first, random_clips
from tests.helpers.model_files import refusal
from vidbench.models._huggingface.transformers_runtime import import_transformers
from vidbench.models.base import Model, load_model
from vidbench.system.runtime import Runtime

if os.environ.get("CI") != "true":
    pytest.importorskip("torch")
    pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("checkpoint") / "model", "VideoMAE")


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A VideoMAE to be changed."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def open_model(folder: Path) -> Model:
    return load_model("huggingface", model_path=str(folder))


def check(folder: Path) -> None:
    model = open_model(folder)
    model.check(model.spec)


def scores_of(folder: Path, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
    check(folder)
    return open_model(folder).load(Runtime(device="cpu")).predict(clips)


def pixels_of(clips: NDArray[np.uint8]) -> Any:
    import torch

    mean, std = (torch.tensor(PROCESSOR[f"image_{name}"]) for name in ("mean", "std"))
    return (channels_first(clips) / 255 - mean[:, None, None]) / std[:, None, None]


# Heads ------------------------------------------------------------------------------------------


def test_a_timesformer_of_frames_alone_gives_what_its_authors_take(tmp_path: Path) -> None:
    """They take the mean of the frames' tokens before the last normalisation."""
    import torch

    transformers: Any = import_transformers()
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.TimesformerConfig(
        attention_type="space_only",
        image_size=SIZE,
        num_frames=FRAMES,
        intermediate_size=64,
        id2label=dict(enumerate(CLASSES)),
        **sizes,
    )
    torch.manual_seed(0)
    network = transformers.TimesformerForVideoClassification(config).eval()
    for weights in network.parameters():
        torch.nn.init.normal_(weights, std=0.2)
    network.save_pretrained(tmp_path / "model")
    write_json(tmp_path / "model" / "preprocessor_config.json", PROCESSOR)
    clips = random_clips(3)
    pixels = pixels_of(clips)
    caught = []
    network.timesformer.layernorm.register_forward_pre_hook(
        lambda _, given: caught.append(given[0])
    )
    with torch.inference_mode():
        assert network(pixels).logits.shape == (3 * FRAMES, 3)  # what transformers gives
        (tokens,) = caught
        mean = tokens.unflatten(0, (3, FRAMES)).mean(dim=1)
        expected = network.classifier(network.timesformer.layernorm(mean)[:, 0]).softmax(dim=-1)
    np.testing.assert_allclose(scores_of(tmp_path / "model", clips), expected, atol=1e-6)


def test_a_videoprism_has_a_row_of_scores_for_each_clip(tmp_path: Path) -> None:
    import torch

    transformers: Any = import_transformers()
    if not hasattr(transformers, "VideoPrismForVideoClassification"):
        pytest.skip("this transformers has no VideoPrism")
    config = transformers.VideoPrismVisionConfig(
        image_size=SIZE,
        num_frames=FRAMES,
        tubelet_size=[1, 16, 16],
        hidden_size=32,
        num_spatial_layers=1,
        num_temporal_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        id2label=dict(enumerate(CLASSES)),
    )
    torch.manual_seed(0)
    network = transformers.VideoPrismForVideoClassification(config).eval()
    network.save_pretrained(tmp_path / "model")
    write_json(tmp_path / "model" / "preprocessor_config.json", PROCESSOR)
    clips = random_clips(3)
    with torch.inference_mode():
        logits = network(pixels_of(clips)).logits
    assert logits.shape == (3, 1, 3)
    expected = logits[:, 0].softmax(dim=-1)
    np.testing.assert_allclose(scores_of(tmp_path / "model", clips), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"problem_type": "multi_label_classification"}, "multi-label model"),
        ({"problem_type": "regression"}, "no scores of classes"),
        ({"id2label": None, "num_labels": 3}, "names its 3 classes LABEL_0"),
        ({"id2label": None}, "names its 2 classes LABEL_0"),
        ({"id2label": {"0": "a"}}, "has one class"),
        (
            {"id2label": {str(n): str(n) for n in range(10)}},
            "has weights of 3 classes, config.json beside it names 10",
        ),
    ],
)
def test_heads_that_do_not_fit_are_refused_before_anything_is_loaded(
    changes: dict[str, Any], message: str, folder: Path
) -> None:
    change_json(folder / "config.json", label2id=None, **changes)
    assert message in refusal(lambda: check(folder))


def test_weights_of_another_model_are_told_in_our_own_words(folder: Path) -> None:
    change_json(folder / "config.json", intermediate_size=48)
    message = refusal(lambda: open_model(folder).load())
    assert "weights of another size than its config.json says" in message
    assert "ignore_mismatched_sizes" not in message


# Folders ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["cut", "empty", "text", "longer"])
def test_weights_that_are_not_whole_are_refused_before_anything_is_loaded(
    fault: str, folder: Path
) -> None:
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(
        {"cut": whole[:-7], "empty": b"", "text": b"no tensors at all" * 9, "longer": whole + b"x"}[
            fault
        ]
    )
    message = refusal(lambda: check(folder))
    assert "no whole file of safetensors" in message
    assert "fetch or copy it again" in message


def test_a_part_of_weights_that_is_cut_off_is_named(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "parts", "VideoMAE", max_shard_size="20KB")
    check(folder)
    part = sorted(folder.glob("model-*.safetensors"))[1]
    part.write_bytes(part.read_bytes()[:-1])
    assert part.name in refusal(lambda: check(folder))


@pytest.mark.parametrize("with_model", [True, False])
def test_an_adapter_is_not_left_out_in_silence(with_model: bool, folder: Path) -> None:
    adapter = {"base_model_name_or_path": "owner/base", "peft_type": "LORA"}
    (folder / "adapter_config.json").write_text(json.dumps(adapter))
    if not with_model:
        for name in ("config.json", "model.safetensors"):
            (folder / name).unlink()
    message = refusal(lambda: check(folder))
    assert "adapter of 'owner/base'" in message
    assert "merge_and_unload" in message


def test_weights_that_would_be_unpickled_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "unpickling can run anything" in refusal(lambda: check(folder))


# Libraries --------------------------------------------------------------------------------------


def test_a_torchvision_that_does_not_fit_is_named_as_the_cause(
    folder: Path, tmp_path: Path
) -> None:
    """As one for another torch: it is found, and its import fails at its compiled operators."""
    site = tmp_path / "site"
    (site / "torchvision").mkdir(parents=True)
    reason = "operator torchvision::nms does not exist"
    (site / "torchvision" / "__init__.py").write_text(f"raise RuntimeError('{reason}')\n")
    (site / "torchvision-0.28.0.dist-info").mkdir()
    (site / "torchvision-0.28.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: torchvision\nVersion: 0.28.0\n"
    )
    code = (
        "import sys\n"
        "from vidbench.errors import ModelError\n"
        "from vidbench.models.base import load_model\n"
        "try:\n"
        "    load_model('huggingface', model_path=sys.argv[1]).load()\n"
        "    print('loaded')\n"
        "except ModelError as error:\n"
        "    print(error)\n"
    )
    paths = os.pathsep.join([str(site), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert "torchvision does not fit torch" in line
    assert reason in line
    assert "reinstall it for this torch, or remove it" in line
