"""Published logits beside found ones: a clip and a golden record of the random-weight I3D."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.helpers.command import RunCli
from tests.helpers.http_server import FileServer, visible
from tests.helpers.paths import REPOSITORY, SAMPLE
from vidbench.cli.commands.verify import run
from vidbench.errors import ConfigError, FetchError, ModelError, VidbenchError
from vidbench.labels.class_lists import load_classes
from vidbench.models._golden.record import FloatClip, Golden, GoldenScore, find_clip, read_clip
from vidbench.models._golden.verify import LOGIT_TOLERANCE, NORM_TOLERANCE, compare_logits, verify
from vidbench.models._tensorflow.frozen import PixelRange
from vidbench.models.i3d import VARIANTS, I3DLoader

Array = NDArray[np.float32]

CLASSES = load_classes("kinetics-400")
_NUMBERS = itertools.count()
AS_PUBLISHED: PixelRange = (-1.0, 1.0)
AS_FED: PixelRange = (0.0, 1.0)


def record(logits: Array, **changes: Any) -> Golden:
    """A golden record of these logits, with its norm and its softmax in float64."""
    exact = logits.astype(np.float64)
    probabilities = np.exp(exact - exact.max())
    probabilities /= probabilities.sum()
    top = [
        GoldenScore(CLASSES[i], float(exact[i]), float(probabilities[i]))
        for i in np.argsort(-exact)[:20]
    ]
    golden = Golden(
        clip="v_Random",
        url="https://example.org/v_Random.npy",
        source="https://example.org",
        shape=(1, 16, 224, 224, 3),
        pixel_range=AS_PUBLISHED,
        norm=float(np.sqrt((exact**2).sum())),
        top=tuple(top),
    )
    return replace(golden, **changes)


TINY = record(np.arange(400, dtype=np.float32), shape=(1, 2, 4, 4, 3))


@pytest.fixture(scope="module")
def clip() -> FloatClip:
    """Random pixels, as published: [-1, 1], but steps of uint8, or rounding would tell."""
    pixels = np.random.default_rng(0).integers(0, 256, (1, 16, 224, 224, 3))
    return (pixels / 127.5 - 1).astype(np.float32)


@pytest.fixture(scope="module")
def logits(i3d_path: Path, clip: FloatClip) -> dict[PixelRange, Array]:
    """By range of the input, from TensorFlow itself."""
    import tensorflow as tf

    signature = tf.saved_model.load(str(i3d_path)).signatures["default"]
    inputs = {AS_PUBLISHED: clip, AS_FED: (clip + 1) / 2}
    return {key: signature(tf.constant(x))["default"].numpy()[0] for key, x in inputs.items()}


@pytest.fixture(scope="module")
def graph_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache") / "graphs"


@pytest.fixture
def model(i3d_path: Path) -> I3DLoader:
    return I3DLoader(model_path=str(i3d_path))


@pytest.fixture
def own_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, i3d_path: Path
) -> Callable[[Golden], str]:
    """Makes somebody's own module, whose I3D has this golden record, and gives its name."""

    def write(golden: Golden) -> str:
        name = f"own_model_{next(_NUMBERS)}"  # no other test has imported
        folder = tmp_path / name
        folder.mkdir()
        (folder / "i3d.py").write_text(
            "from vidbench.models._golden.record import Golden, GoldenScore\n"
            "from vidbench.models.i3d import I3DLoader\n\n\n"
            "def load(variant, *, model_path=None, classes_file=None):\n"
            "    model = I3DLoader(model_path=model_path)\n"
            f"    model.golden = {golden!r}\n"
            "    return model\n"
        )
        return f"{name}.i3d"

    monkeypatch.syspath_prepend(tmp_path)
    return write


def test_the_published_record_is_that_of_the_repository() -> None:
    published = REPOSITORY.parent / "shared" / "reference" / "kinetics-i3d_imagenet_rgb.txt"
    if not published.is_file():
        pytest.skip("no reference files")
    norm, _, _, *lines = published.read_text().splitlines()
    golden = VARIANTS["kinetics-400"].golden
    assert golden is not None
    assert golden.norm == float(norm.rpartition(" ")[2])
    rows = [line.split(" ", 2) for line in lines]
    assert golden.top == tuple((name, float(logit), float(p)) for p, logit, name in rows)


def test_the_published_record_holds_together() -> None:
    golden = VARIANTS["kinetics-400"].golden
    assert golden is not None
    values = np.array([score.logit for score in golden.top])
    assert {score.label for score in golden.top} < set(CLASSES)
    assert (np.diff(values) < 0).all()
    assert np.linalg.norm(values) < golden.norm
    ratios = np.array([score.probability for score in golden.top]) / golden.top[0].probability
    np.testing.assert_allclose(ratios, np.exp(values - values[0]), rtol=1e-5)  # softmax's
    assert VARIANTS["kinetics-600"].golden is None


def test_the_range_that_was_used_is_found(
    model: I3DLoader, clip: FloatClip, logits: dict[PixelRange, Array], graph_dir: Path
) -> None:
    golden = record(logits[AS_PUBLISHED])
    found = verify(model, clip, golden, cache_dir=graph_dir.parent)
    assert [trial.pixel_range for trial in found.trials] == [AS_PUBLISHED, AS_FED]
    assert [trial.agrees for trial in found.trials] == [True, False]
    assert not found.agrees
    assert found.verdict.endswith("[-1, 1] gives the published logits, but vidbench feeds [0, 1]")
    model.pixel_range = AS_PUBLISHED
    found = verify(model, clip, golden, cache_dir=graph_dir.parent)
    assert len(found.trials) == 1
    assert found.agrees
    assert found.best.largest_difference < LOGIT_TOLERANCE / 10
    wrong = replace(found, winner=CLASSES[0], probability=1.0)
    assert not wrong.agrees
    assert "predict gives" in wrong.verdict


def test_the_command_says_what_agrees(
    own_model: Callable[[Golden], str],
    i3d_path: Path,
    tmp_path: Path,
    clip: FloatClip,
    logits: dict[PixelRange, Array],
    graph_dir: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    np.save(tmp_path / "clip.npy", clip)
    golden = record(logits[AS_FED])
    options = ["--model_path", i3d_path, "--golden_clip", tmp_path / "clip.npy"]
    options += ["--cache_dir", graph_dir.parent]
    run([own_model(golden), *map(str, options)])
    text = capsys.readouterr().out
    assert "verdict    agrees: input in [0, 1]" in text
    assert "no hash of it is known" in text
    assert all(f"{score.label}  " in text for score in golden.top)
    assert f"{golden.norm:.4f}" in text

    first, *others = golden.top
    disturbed = replace(golden, top=(first._replace(logit=first.logit + 0.1), *others))
    with pytest.raises(ModelError, match="not verified: differs: no range"):
        run([own_model(disturbed), *map(str, options), "--json"])
    (shown,) = json.loads(capsys.readouterr().out)
    assert (shown["agrees"], shown["fed"]) == (False, [0.0, 1.0])
    fed = shown["trials"][1]
    assert fed["range"] == [0.0, 1.0]
    assert fed["in_order"]
    assert len(fed["classes"]) == 20
    np.testing.assert_allclose(fed["classes"][0]["difference"], -0.1, atol=1e-3)
    assert fed["classes"][1]["difference"] == pytest.approx(0, abs=1e-3)
    assert fed["norm"] == pytest.approx(golden.norm, rel=1e-5)


@st.composite
def found_logits(draw: st.DrawFn) -> Array:
    """Distinct logits of 400 classes, at least 0.05 apart, as large as those of I3D."""
    order = draw(st.permutations(range(400)))
    return (np.array(order) * 0.05 - 5 + draw(st.floats(-1, 1))).astype(np.float32)


@given(found_logits(), st.integers(0, 19), st.floats(0, 0.9), st.booleans())
def test_one_logit_may_differ_within_the_tolerance_and_not_beyond(
    logits: Array, place: int, part: float, upwards: bool
) -> None:
    golden = record(logits)
    sign = 1 if upwards else -1

    def agrees(distance: float) -> bool:
        top = list(golden.top)
        top[place] = top[place]._replace(logit=top[place].logit + sign * distance)
        trial = compare_logits(logits, CLASSES, replace(golden, top=tuple(top)), AS_FED)
        assert trial.largest_difference == pytest.approx(distance)
        assert trial.differences[place] == pytest.approx(-sign * distance)
        return trial.agrees

    assert agrees(part * LOGIT_TOLERANCE)
    assert not agrees((2 - part) * LOGIT_TOLERANCE)


@given(found_logits(), st.floats(0, 0.9))
def test_the_norm_counts_the_classes_that_are_not_listed(logits: Array, part: float) -> None:
    golden = record(logits)

    def agrees(distance: float) -> bool:
        other = replace(golden, norm=golden.norm * (1 + distance))
        return compare_logits(logits, CLASSES, other, AS_FED).agrees

    assert agrees(part * NORM_TOLERANCE)
    assert not agrees((2 - part) * NORM_TOLERANCE)
    disturbed = logits.copy()
    disturbed[logits.argmin()] -= 3
    assert not compare_logits(disturbed, CLASSES, golden, AS_FED).agrees


@given(found_logits(), st.integers(0, 3))
def test_the_first_five_must_be_in_order(logits: Array, place: int) -> None:
    first, second = np.argsort(-logits)[[place, place + 1]]
    logits[second] = logits[first] - np.float32(1e-3)
    golden = record(logits)
    assert compare_logits(logits, CLASSES, golden, AS_FED).agrees
    swapped = logits.copy()
    swapped[[first, second]] = logits[[second, first]]
    trial = compare_logits(swapped, CLASSES, golden, AS_FED)
    assert trial.largest_difference < LOGIT_TOLERANCE
    assert not trial.in_order
    assert not trial.agrees


def test_a_published_class_that_the_model_does_not_know_is_refused() -> None:
    golden = replace(TINY, top=(GoldenScore("playing quidditch", 1.0, 0.5),))
    logits = np.zeros(400, np.float32)
    with pytest.raises(ConfigError, match="playing quidditch"):
        compare_logits(logits, CLASSES, golden, AS_FED)


def test_a_clip_or_a_model_of_another_kind_is_refused_before_loading(
    model: I3DLoader, clip: FloatClip, logits: dict[PixelRange, Array]
) -> None:
    golden = record(logits[AS_FED])
    with pytest.raises(ConfigError, match=r"\[1, 8, 224, 224, 3\] here, expected \[1, 16,"):
        verify(model, clip[:, :8], golden)
    with pytest.raises(ConfigError, match=r"gives \[\d+\] scores, its class list has 400"):
        verify(I3DLoader(model_path=str(SAMPLE / "model")), clip, golden)


def tiny_clip(**changes: Any) -> NDArray[Any]:
    return np.linspace(-1, 1, 96).reshape(TINY.shape).astype(changes.get("dtype", np.float32))


@pytest.mark.parametrize("dtype", [np.float16, "<f4", ">f4", np.float64])
def test_a_clip_of_floating_numbers_is_read(tmp_path: Path, dtype: Any) -> None:
    np.save(tmp_path / "clip.npy", tiny_clip(dtype=dtype))
    found = read_clip(tmp_path / "clip.npy", TINY)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, tiny_clip(dtype=dtype).astype(np.float32))


REFUSED: dict[str, tuple[NDArray[Any], str]] = {
    "shape": (tiny_clip()[0], r"shape \[2, 4, 4, 3\] here, expected \[1, 2, 4, 4, 3\]"),
    "integers": (tiny_clip(dtype=np.int8), "int8 here, expected float32"),
    "bytes": (tiny_clip() * 127.5 + 127.5, "from 0 to 255 here, expected -1 to 1"),
    "holes": (np.where(tiny_clip() > 0, np.nan, tiny_clip()), "from nan to nan"),
    "pickled": (tiny_clip().astype(object), "Python objects"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_another_clip_is_refused(tmp_path: Path, kind: str) -> None:
    values, message = REFUSED[kind]
    path = tmp_path / f"{kind}.npy"
    np.save(path, values, allow_pickle=True)
    with pytest.raises(ConfigError, match=rf"--golden_clip .*{path.name}.*{message}"):
        find_clip(TINY, tmp_path, str(path))


def test_a_named_clip_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--golden_clip .*nowhere\.npy does not exist"):
        find_clip(TINY, tmp_path, str(tmp_path / "nowhere.npy"))


def npy_bytes() -> bytes:
    file = io.BytesIO()
    np.save(file, tiny_clip())
    return file.getvalue()


WHOLE = npy_bytes()


@given(
    st.one_of(
        st.binary(max_size=200),
        st.builds(lambda end: WHOLE[:end], st.integers(0, len(WHOLE) - 1)),
        st.builds(
            lambda place, part: WHOLE[:place] + part + WHOLE[place + len(part) :],
            st.integers(0, 127),
            st.binary(min_size=1, max_size=8),
        ),
    )
)
def test_a_damaged_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.npy"
    path.write_bytes(content)
    try:
        found = read_clip(path, TINY)
    except FetchError as error:
        assert str(path) in str(error)  # noqa: PT017 - either is right
    else:
        assert found.shape == TINY.shape


def test_a_clip_is_fetched_once_and_kept(tmp_path: Path, file_server: FileServer) -> None:
    np.save(file_server.root / "clip.npy", tiny_clip())
    golden = replace(TINY, url=f"{file_server.url}/clip.npy")
    for _ in range(2):
        found, path = find_clip(golden, tmp_path)
        assert path == tmp_path / "golden" / "v_Random.npy"
        np.testing.assert_array_equal(found, tiny_clip())
    assert len(file_server.fetched("/clip.npy")) == 1


def test_a_clip_from_elsewhere_does_not_pass_for_the_published_one(
    tmp_path: Path, file_server: FileServer
) -> None:
    golden = replace(TINY, url=f"{file_server.url}/clip.npy")
    np.save(file_server.root / "clip.npy", tiny_clip())
    np.save(file_server.root / "other.npy", -tiny_clip())
    other, _ = find_clip(golden, tmp_path, f"{file_server.url}/other.npy")
    published, _ = find_clip(golden, tmp_path)
    np.testing.assert_array_equal(other, -published)


def test_a_url_without_the_clip_is_reported(tmp_path: Path, file_server: FileServer) -> None:
    golden = replace(TINY, url=f"{file_server.url}/clip.npy")
    with pytest.raises(FetchError, match=r"v_Random\.npy does not exist, and .*clip\.npy.* 404"):
        find_clip(golden, tmp_path)
    (file_server.root / "clip.npy").write_text("<html>not here</html>")
    for _ in range(2):
        with pytest.raises(FetchError, match=r"no \.npy file .*clip\.npy: remove it"):
            find_clip(golden, tmp_path)


def test_a_fetched_clip_is_verified_by_its_hash_where_one_is_known(
    tmp_path: Path, file_server: FileServer
) -> None:
    np.save(file_server.root / "clip.npy", tiny_clip())
    golden = replace(TINY, url=f"{file_server.url}/clip.npy", sha256="0" * 64)
    with pytest.raises(FetchError, match="it is another file"):
        find_clip(golden, tmp_path)
    assert visible(tmp_path / "golden") == []


def test_what_is_missing_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a way out to the network: the proxy is one that nobody serves."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub"))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kaggle"))
    with pytest.raises(VidbenchError) as error:
        run(["i3d/kinetics-400", "--data_dir", str(tmp_path)])
    assert error.value.exit_code == 1
    variant = VARIANTS["kinetics-400"]
    assert variant.golden is not None
    places = [str(tmp_path / "golden" / "v_CricketShot_g04_c01.npy"), variant.golden.url]
    places += [str(tmp_path / "hub"), variant.kaggle_handle, variant.archive_url]
    message = str(error.value)
    assert message.startswith("nothing was verified")
    assert [message.index(place) for place in places] == sorted(map(message.index, places))
    assert message.index("--golden_clip") < message.index("--model_path")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["i4d/x"], "'i4d': there is no such family"),
        (["i3d/kinetics-9"], "kinetics-9"),
        (["i3d/kinetics-600"], "no golden record"),
        (["saved_model", "--model_path", str(SAMPLE / "model")], "no golden record"),
        (["saved_model"], "--model_path"),
        ([], "MODEL"),
        (["i3d/kinetics-400", "--golden", "x"], "--golden"),
    ],
)
def test_a_model_without_published_logits_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(arguments)


@pytest.mark.network
def test_the_published_weights_give_the_published_logits(run_cli: RunCli) -> None:
    done = run_cli("verify", "i3d/kinetics-400", "--json")
    assert done.returncode == 0, done.stderr
