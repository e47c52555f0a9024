from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.helpers.command import RunCli
from tests.helpers.paths import REPOSITORY, SAMPLE
from tests.helpers.patience import PATIENCE_SECONDS
from tests.helpers.zero_shot_models import MEAN, NUM_FRAMES, SIZE, STD, save_model, save_processor
from vidbench.data.clips.features import FeatureCache
from vidbench.data.video.decode import decode_views
from vidbench.errors import ConfigError, ModelError
from vidbench.labels.class_lists import load_classes
from vidbench.models._huggingface.prompts import CLASS_NAME, CLIP_TEMPLATES, Prompts, read_prompts
from vidbench.models.base import load_model, model_entries
from vidbench.runs.finished import FinishedRun
from vidbench.system.runtime import Runtime

Array = NDArray[np.float32]

KINDS = ("clip", "siglip", "xclip")
CLASSES = ("moving up", "moving down", "turning clockwise", "a", "archery")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model of each kind; skips without their libraries, but never where CI is set."""
    if not os.environ.get("CI"):
        pytest.importorskip("torch")
        pytest.importorskip("transformers")
    root = tmp_path_factory.mktemp("zero_shot")
    return {kind: save_model(root / kind, kind) for kind in KINDS}


def open_model(folder: Path, prompts: Path) -> Any:
    family = "xclip" if folder.name == "xclip" else "clip"
    return load_model(family, model_path=str(folder), prompts=prompts)


def write_prompts(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def name_only(path: Path, classes: tuple[str, ...] = CLASSES) -> Path:
    return write_prompts(path, {"templates": ["{}"], "classes": list(classes)})


def random_clips(number: int, seed: int = 0, num_frames: int = NUM_FRAMES) -> NDArray[np.uint8]:
    shape = (number, num_frames, SIZE, SIZE, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def pixels(frames: NDArray[np.uint8]) -> Any:
    """What transformers' own processor makes of frames that have the right size already."""
    import torch
    from transformers import CLIPImageProcessorPil

    processor = CLIPImageProcessorPil(
        do_resize=False, do_center_crop=False, image_mean=MEAN, image_std=STD
    )
    found = [processor(images=frame)["pixel_values"][0] for frame in frames]
    return torch.tensor(np.stack(found))


def library_scores(folder: Path, clip: NDArray[np.uint8], texts: tuple[str, ...]) -> Array:
    """Softmax of the logits that transformers itself gives for this clip or frame."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    model: Any = AutoModel.from_pretrained(folder)
    padding = "max_length" if folder.name == "siglip" else True
    tokens = AutoTokenizer.from_pretrained(folder)(
        list(texts),
        padding=padding,
        max_length=64 if padding == "max_length" else None,
        return_tensors="pt",
    )
    if folder.name == "siglip":
        del tokens["attention_mask"]
    with torch.inference_mode():
        if folder.name == "xclip":
            logits = model(**tokens, pixel_values=pixels(clip)[None]).logits_per_video
        else:
            logits = model(**tokens, pixel_values=pixels(clip)).logits_per_image
    return np.asarray(logits.softmax(dim=-1).numpy(), np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_transformers_itself(
    kind: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    """One prompt a class; CLIP and SigLIP see images, so that a clip of them is one frame."""
    classifier = open_model(folders[kind], name_only(tmp_path / "p.json")).load()
    for clip in random_clips(3, num_frames=NUM_FRAMES if kind == "xclip" else 1):
        expected = library_scores(folders[kind], clip, CLASSES)
        assert expected.std() > 1e-4
        np.testing.assert_allclose(classifier.predict(clip[None]), expected, rtol=0, atol=1e-5)


def test_an_older_file_beside_the_newest_changes_no_score(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """As in transformers: what was downloaded stays where a fine-tuned model is saved again."""
    from transformers import AutoImageProcessor, CLIPImageProcessorPil

    folder = Path(shutil.copytree(folders["clip"], tmp_path / "clip"))
    CLIPImageProcessorPil(image_mean=[0.0] * 3, image_std=[1.0] * 3).save_pretrained(folder)
    newest: Any = AutoImageProcessor
    assert list(newest.from_pretrained(folder).image_mean) == MEAN
    clip, prompts = random_clips(1), name_only(tmp_path / "p.json")
    before = open_model(folders["clip"], prompts).load().predict(clip)
    np.testing.assert_array_equal(open_model(folder, prompts).load().predict(clip), before)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_of_real_videos_are_those_of_transformers_itself(
    kind: str, folders: dict[str, Path], real_clips: Path, tmp_path: Path
) -> None:
    model = open_model(folders[kind], name_only(tmp_path / "p.json"))
    classifier = model.load()
    for name in ("v_Archery_g02_c02.avi", "v_BabyCrawling_g19_c01.avi"):
        clip = decode_views(real_clips / name, model.spec)[0]
        clip = clip if kind == "xclip" else clip[:1]
        expected = library_scores(folders[kind], clip, CLASSES)
        np.testing.assert_allclose(classifier.predict(clip[None]), expected, rtol=0, atol=1e-5)


def unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def test_frames_and_prompts_are_averaged_as_unit_vectors(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """Against the recipe of CLIP's notebook, with the embeddings that CLIPModel gives."""
    import torch
    from transformers import AutoTokenizer, CLIPModel

    prompts = {"up": ["moving up", "going up", "a thing that rises"], "down": ["falling"]}
    path = write_prompts(tmp_path / "p.json", {"classes": prompts})
    (clip,) = random_clips(1, num_frames=8)
    folder = folders["clip"]
    model: Any = CLIPModel.from_pretrained(folder)
    texts = [text for group in prompts.values() for text in group]
    tokens = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        found = model(**tokens, pixel_values=pixels(clip))
        scale = model.logit_scale.exp().item()
    up, down = found.text_embeds[:3].mean(0), found.text_embeds[3]
    classes = unit(torch.stack([up, down]).numpy())
    logits = scale * classes @ unit(found.image_embeds.mean(0).numpy())
    expected = np.exp(logits) / np.exp(logits).sum()
    scores = open_model(folder, path).load().predict(clip[None])
    np.testing.assert_allclose(scores, expected[None], rtol=0, atol=1e-5)


def test_x_clip_takes_the_mean_of_prompts_that_have_seen_the_video(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    import torch
    from transformers import AutoTokenizer, XCLIPModel

    prompts = {"up": ["moving up", "going up"], "down": ["falling", "it sinks", "down"]}
    path = write_prompts(tmp_path / "p.json", {"classes": prompts})
    (clip,) = random_clips(1)
    folder = folders["xclip"]
    model: Any = XCLIPModel.from_pretrained(folder)
    texts = [text for group in prompts.values() for text in group]
    tokens = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        found = model(**tokens, pixel_values=pixels(clip)[None])
        scale = model.logit_scale.exp().item()
    seen = found.text_embeds[0].numpy()
    classes = unit(np.stack([seen[:2].mean(0), seen[2:].mean(0)]))
    logits = scale * classes @ found.video_embeds[0].numpy()
    expected = np.exp(logits) / np.exp(logits).sum()
    scores = open_model(folder, path).load().predict(clip[None])
    np.testing.assert_allclose(scores, expected[None], rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_clip_alone_gets_the_very_scores_that_it_has_in_a_batch(
    kind: str, precision: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    classifier = open_model(folders[kind], name_only(tmp_path / "p.json")).load(
        Runtime(precision=precision)
    )
    clips = random_clips(5)
    scores = classifier.predict(clips)
    assert scores.shape == (5, len(CLASSES))
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    alone = np.concatenate([classifier.predict(clips[[i]]) for i in range(5)])
    assert np.array_equal(scores, alone)
    features = classifier.embed(clips)
    assert features.dtype == np.float32
    kept = np.frombuffer(features.tobytes(), np.float32).reshape(features.shape)
    assert np.array_equal(np.concatenate([classifier.classify(kept[[i]]) for i in range(5)]), alone)


@pytest.mark.parametrize("kind", KINDS)
def test_bf16_is_near_fp32_and_is_not_it(
    kind: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    model = open_model(folders[kind], name_only(tmp_path / "p.json"))
    clips = random_clips(3)
    exact, rough = (model.load(Runtime(precision=p)).predict(clips) for p in ("fp32", "bf16"))
    assert 0 < np.abs(exact - rough).max() < 0.05
    assert model.embedding_digest("fp32") != model.embedding_digest("bf16")


def test_digests_tell_apart_what_decides_scores(folders: dict[str, Path], tmp_path: Path) -> None:
    prompts = name_only(tmp_path / "p.json")
    model = open_model(folders["clip"], prompts)
    copy = open_model(shutil.copytree(folders["clip"], tmp_path / "copy"), prompts)
    assert (model.digest(), model.embedding_digest("fp32")) == (
        copy.digest(),
        copy.embedding_digest("fp32"),
    )
    other_prompts = open_model(folders["clip"], name_only(tmp_path / "q.json", CLASSES[:2]))
    assert other_prompts.digest() != model.digest()
    assert other_prompts.embedding_digest("fp32") == model.embedding_digest("fp32")
    other_weights = open_model(save_model(tmp_path / "seed", "clip", seed=1), prompts)
    scaled = shutil.copytree(folders["clip"], tmp_path / "scaled")
    save_processor(scaled, "clip", rescale_factor=1 / 127.5)
    for other in (other_weights, open_model(scaled, prompts)):
        assert other.digest() != model.digest()
        assert other.embedding_digest("fp32") != model.embedding_digest("fp32")
    words = shutil.copytree(folders["clip"], tmp_path / "words")
    (words / "merges.txt").write_text("#version: 0.2\n")
    assert open_model(words, prompts).digest() != model.digest()
    thresholds = {"templates": ["{}"], "classes": list(CLASSES), "thresholds": {"a": 0.5}}
    with_threshold = open_model(folders["clip"], write_prompts(tmp_path / "t.json", thresholds))
    assert with_threshold.read_thresholds() == {"a": 0.5}
    assert with_threshold.digest() == model.digest()


def test_embeddings_of_prompts_are_kept_and_used(folders: dict[str, Path], tmp_path: Path) -> None:
    """Others are put in their place, with which the scores change; so no prompt was read again."""
    model = open_model(folders["clip"], name_only(tmp_path / "p.json"))
    clips = random_clips(2)
    without = model.load().predict(clips)
    assert np.array_equal(model.load(Runtime(cache_dir=tmp_path / "c")).predict(clips), without)
    (kept,) = (tmp_path / "c/features/text").iterdir()
    before = kept.stat().st_mtime_ns
    assert np.array_equal(model.load(Runtime(cache_dir=tmp_path / "c")).predict(clips), without)
    assert kept.stat().st_mtime_ns == before
    features = FeatureCache(tmp_path / "c", "any")
    embeddings = features.read_text(kept.stem)
    assert embeddings is not None
    features.write_text(kept.stem, embeddings[::-1])
    turned = model.load(Runtime(cache_dir=tmp_path / "c")).predict(clips)
    np.testing.assert_allclose(turned, without[:, ::-1], rtol=0, atol=1e-6)
    kept.write_bytes(kept.read_bytes()[:-1])
    assert np.array_equal(model.load(Runtime(cache_dir=tmp_path / "c")).predict(clips), without)


# What is refused ------------------------------------------------------------------------------


def test_what_is_missing_is_refused_in_one_line(folders: dict[str, Path], tmp_path: Path) -> None:
    prompts, folder = name_only(tmp_path / "p.json"), str(folders["clip"])
    for family, options in (
        ("clip", {"model_path": folder}),
        ("clip", {"prompts": prompts}),
        ("clip/vit-gigantic", {"prompts": prompts}),
        ("xclip", {"prompts": prompts}),
        ("clip", {"model_path": folder, "prompts": prompts, "classes_file": prompts}),
    ):
        with pytest.raises(ConfigError, match=r"prompts|model_path|there is no|classes_file"):
            load_model(family, **options)


def test_constructing_reads_nothing_and_check_finds_what_is_wrong(tmp_path: Path) -> None:
    model = load_model("clip", model_path=str(tmp_path / "no"), prompts=tmp_path / "no.txt")
    for ask in (lambda: model.spec, lambda: model.classes, model.digest):
        with pytest.raises(ConfigError, match="no"):
            ask()


@pytest.mark.parametrize("left", [(), ("tokenizer_config.json",), ("vocab.json",), ("merges.txt",)])
def test_a_tokenizer_that_is_not_there_is_not_made_up(
    left: tuple[str, ...], folders: dict[str, Path], tmp_path: Path
) -> None:
    """transformers 5.23 makes one of two words, to which all prompts of one length are equal."""
    folder = tmp_path / "model"
    shutil.copytree(folders["clip"], folder, ignore=shutil.ignore_patterns("token*"))
    for name in left:
        (folder / name).write_text("{}")
    model = load_model("clip", model_path=str(folder), prompts=Path("ucf101"))
    with pytest.raises(ConfigError, match=r"lacks tokenizer\.json .*, which reads prompts"):
        model.check(model.spec)


def test_clips_that_do_not_fit_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    from dataclasses import replace

    prompts = name_only(tmp_path / "p.json")
    for kind, changed, option in (
        ("clip", {"crop_size": 16}, "--crop_size"),
        ("xclip", {"num_frames": 5}, "--num_frames"),
    ):
        model = open_model(folders[kind], prompts)
        model.check(model.spec)
        with pytest.raises(ConfigError, match=option):
            model.check(replace(model.spec, **changed))
    clip = open_model(folders["clip"], prompts)
    clip.check(replace(clip.spec, num_frames=5))
    with pytest.raises(ConfigError, match="xclip only"):
        load_model("xclip", model_path=str(folders["clip"]), prompts=prompts).check(clip.spec)


def test_weights_that_would_be_unpickled_and_missing_devices_are_refused(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    model = open_model(folders["clip"], name_only(tmp_path / "p.json"))
    with pytest.raises(ModelError, match="cuda:99"):
        model.load(Runtime(device="cuda:99"))
    pickled = shutil.copytree(folders["clip"], tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="unpickling"):
        open_model(pickled, tmp_path / "p.json").check(model.spec)


def test_a_prompt_that_is_too_long_is_refused_not_cut(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    for length, fits in ((75, True), (76, False)):
        path = write_prompts(tmp_path / "p.json", {"classes": {"a": ["z " * length]}})
        model = open_model(folders["clip"], path)
        if fits:
            model.load()
            continue
        with pytest.raises(ConfigError, match="78 tokens, the model reads 77"):
            model.load()


# Prompts --------------------------------------------------------------------------------------

names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1).filter(
    str.strip
)
lists = st.lists(names, min_size=1, max_size=4)


@given(st.dictionaries(names, st.one_of(st.none(), names, lists), min_size=1), lists)
@settings(max_examples=60, deadline=None)
def test_each_class_has_its_own_prompts_or_the_templates(
    tmp_path_factory: pytest.TempPathFactory, classes: dict[str, Any], words: list[str]
) -> None:
    templates = [word.replace("{}", "") + "{}" for word in words]
    path = tmp_path_factory.mktemp("prompts") / "p.json"
    write_prompts(path, {"templates": templates, "classes": classes})
    found = read_prompts(path, CLASS_NAME)
    assert found.classes == tuple(classes)
    for name, given_prompts in classes.items():
        if isinstance(given_prompts, list):
            assert found.texts[name] == tuple(given_prompts)
        else:
            fill = name if given_prompts is None else given_prompts
            starts = [template.removesuffix("{}") for template in templates]
            assert found.texts[name] == tuple(start + fill for start in starts)


@given(st.lists(st.tuples(names, lists), min_size=2, max_size=4, unique_by=lambda pair: pair[0]))
@settings(max_examples=60, deadline=None)
def test_the_digest_knows_the_order_of_classes_and_prompts(pairs: list[Any]) -> None:
    given_prompts = Prompts({name: tuple(texts) for name, texts in pairs})
    assert Prompts(dict(given_prompts.texts)).digest() == given_prompts.digest()
    assert (
        Prompts(dict(reversed(list(given_prompts.texts.items())))).digest()
        != given_prompts.digest()
    )
    first, texts = pairs[0][0], tuple(pairs[0][1])
    longer = {**given_prompts.texts, first: (*texts, "and another")}
    assert Prompts(longer).digest() != given_prompts.digest()


def test_lists_and_text_files_are_filled_into_templates(tmp_path: Path) -> None:
    shipped = read_prompts("kinetics-400", CLIP_TEMPLATES)
    assert shipped.classes == load_classes("kinetics-400")
    assert shipped.texts["abseiling"][0] == "a photo of abseiling."
    assert shipped.texts["abseiling"][-1] == "a demonstration of a person practicing abseiling."
    (tmp_path / "c.txt").write_text("b\na {0}\n")
    assert read_prompts(tmp_path / "c.txt", ["x {}"]).texts == {
        "b": ("x b",),
        "a {0}": ("x a {0}",),
    }


def test_the_templates_are_those_of_clips_authors() -> None:
    """``data/prompts.md`` of openai/CLIP has 28 for Kinetics700: 4 media times 7 phrases."""
    assert len(set(CLIP_TEMPLATES)) == 28
    assert {template.split()[1] for template in CLIP_TEMPLATES} == {
        "photo",
        "video",
        "example",
        "demonstration",
    }
    for phrase in ("{}", "a person {}", "a person during {}", "a person practicing {}"):
        assert f"a example of {phrase}." in CLIP_TEMPLATES


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "cannot be used"),
        ("[]", "classes"),
        ("{}", "classes"),
        ('{"classes": []}', "classes"),
        ('{"classes": {}}', "none empty"),
        ('{"classes": ["a", "a"]}', "'a' is named more than once"),
        ('{"classes": {"a": null, "a": ["b"]}}', "'a' is named more than once"),
        ('{"classes": {"a": []}}', "the prompts of 'a'"),
        ('{"classes": {"a": [""]}}', "the prompts of 'a'"),
        ('{"classes": {"a": 3}}', "the words for 'a'"),
        ('{"classes": {" ": null}}', "none empty"),
        ('{"classes": [3]}', "classes must be a list"),
        ('{"classes": ["a"], "template": ["{}"]}', "'template' is unknown"),
        ('{"classes": ["a"], "templates": ["no place"]}', "lacks {}"),
        ('{"classes": ["a"], "templates": []}', "templates must be"),
        ('{"classes": ["a"], "thresholds": {"b": 0.5}}', "none of the classes"),
        ('{"classes": ["a"], "thresholds": {"a": 1.5}}', "from 0 to 1"),
        ('{"classes": ["a"], "thresholds": {"a": true}}', "from 0 to 1"),
        ('{"classes": ["a"], "thresholds": {"a": NaN}}', "from 0 to 1"),
        ('{"classes": ["a"], "thresholds": [0.5]}', "thresholds must be"),
        ("[" * 100_000, "cannot be used"),
    ],
)
def test_prompts_that_make_no_sense_are_refused(
    content: str, complaint: str, tmp_path: Path
) -> None:
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(ConfigError, match=r"--prompts .*p\.json cannot be used") as refusal:
        read_prompts(tmp_path / "p.json", CLASS_NAME)
    assert complaint in str(refusal.value)


# From end to end ------------------------------------------------------------------------------


def test_cards_tell_the_published_numbers() -> None:
    cards = {card.name: card for card in model_entries()}
    assert cards["clip/vit-large-patch14"].top1 == 0.7639
    assert "mean of top-1 and top-5" in cards["clip/vit-large-patch14"].published
    assert cards["xclip/base-patch32"].top1 == 0.804
    assert load_model("xclip/base-patch32", prompts=Path("p")).trained_on == "kinetics-400"
    assert load_model("clip/vit-large-patch14", prompts=Path("p")).trained_on is None


def sample_labels() -> dict[str, str]:
    with (SAMPLE / "annotations/val.csv").open(newline="") as file:
        return {row["youtube_id"]: row["label"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("kind", ["clip", "xclip"])
def test_the_sample_is_evaluated_with_prompts_of_its_classes(
    kind: str, folders: dict[str, Path], run_cli: RunCli, tmp_path: Path
) -> None:
    options = ["--model_type", kind, "--model_path", folders[kind], "--prompts"]
    common = ["--dataset", "sample", "--num_videos", 24, "--no_report"]
    done = run_cli("evaluate", *options, SAMPLE / "classes.txt", *common)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "results").iterdir()
    predictions = FinishedRun(folder).predictions
    assert predictions.scored.all()
    assert predictions.classes == tuple((SAMPLE / "classes.txt").read_text().splitlines())
    labels = sample_labels()
    for label, path in zip(predictions.labels, predictions.paths, strict=True):
        assert label == labels[Path(path).name[:11]]
    model = open_model(folders[kind], SAMPLE / "classes.txt")
    classifier = model.load()
    for row in range(0, 24, 6):
        clip = decode_views(tmp_path / "data/raw" / predictions.paths[row], model.spec)
        np.testing.assert_array_equal(classifier.predict(clip)[0], predictions.scores[row])


def test_a_zero_shot_run_imports_no_tensorflow(folders: dict[str, Path], tmp_path: Path) -> None:
    program = (
        "import sys; from vidbench.cli.commands.evaluate import run; run(sys.argv[1:]); "
        "print(sorted({'torch', 'tensorflow', 'keras'} & sys.modules.keys()))"
    )
    arguments = ["--model_type", "clip", "--model_path", folders["clip"], "--no_report"]
    arguments += ["--prompts", SAMPLE / "classes.txt", "--dataset", "sample", "--num_videos", 4]
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "['torch']"
