from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vidbench.errors import ModelError
from vidbench.models._files.signature import Signature, read_signature
from vidbench.models._tensorflow.imports import import_tensorflow

CLIPS: list[list[int | None] | None] = [
    [None, 16, 224, 224, 3],
    [1, None, None, None, 3],
    [None, None, None, None, None],
    [2, 4, 8, 8, 3],
    None,
]


def save(path: Path, functions: dict[str, Any]) -> Path:
    """A SavedModel with these signatures."""
    tf = import_tensorflow()
    tf.saved_model.save(tf.Module(), str(path), signatures=functions)
    return path


def function(
    shape: list[int | None] | None, outputs: tuple[str, ...] = ("scores",), inputs: int = 1
) -> Any:
    """A traced function of tensors of this shape, without one to be named by default."""
    tf = import_tensorflow()
    names = [f"clip_{i}" for i in range(inputs)]

    def first(**given: Any) -> dict[str, Any]:
        scores = tf.reshape(given[names[0]], [-1, 3])
        return dict.fromkeys(outputs, scores)

    specs = {name: tf.TensorSpec(shape, tf.float32, name=name) for name in names}
    return tf.function(first).get_concrete_function(**specs)


def according_to_tensorflow(path: Path, name: str, output: str) -> Signature:
    found = import_tensorflow().saved_model.load(str(path)).signatures[name]
    ((input_name, spec),) = found.structured_input_signature[1].items()

    def lengths(shape: Any) -> tuple[int | None, ...] | None:
        return None if shape.rank is None else tuple(shape.as_list())

    return Signature(
        name,
        input_name,
        lengths(spec.shape),
        output,
        lengths(found.structured_outputs[output].shape),
        spec.dtype.name,
        found.structured_outputs[output].dtype.name,
    )


@pytest.mark.parametrize("shape", CLIPS, ids=str)
def test_shapes_are_those_that_tensorflow_reads(
    tmp_path: Path, shape: list[int | None] | None
) -> None:
    path = save(tmp_path / "model", {"serving_default": function(shape)})
    found = read_signature(path)
    assert found == according_to_tensorflow(path, "serving_default", "scores")
    assert found.input_shape == (None if shape is None else tuple(shape))


def test_the_network_of_the_other_tests_is_read_as_tensorflow_reads_it(i3d_path: Path) -> None:
    found = read_signature(i3d_path)
    assert found == according_to_tensorflow(i3d_path, found.name, found.output_name)
    assert found.input_shape is not None
    assert found.output_shape is not None
    assert (len(found.input_shape), found.output_shape[-1]) == (5, 400)


def test_the_signature_called_default_goes_first_and_the_served_one_second(tmp_path: Path) -> None:
    one, other = function([1, 3]), function([2, 3])
    both = save(tmp_path / "both", {"serving_default": one, "default": other, "third": one})
    served = save(tmp_path / "served", {"serving_default": other, "another": one})
    assert read_signature(both).name == "default"
    assert read_signature(both).input_shape == (2, 3)
    assert read_signature(served).name == "serving_default"
    assert read_signature(served).input_shape == (2, 3)


def test_a_single_signature_may_have_any_name(tmp_path: Path) -> None:
    path = save(tmp_path / "model", {"classify": function([1, 3])})
    assert read_signature(path).name == "classify"


def test_of_several_outputs_the_one_called_default_holds_the_scores(tmp_path: Path) -> None:
    scores = function([1, 3], outputs=("features", "default"))
    path = save(tmp_path / "model", {"default": scores})
    assert read_signature(path) == according_to_tensorflow(path, "default", "default")


@pytest.mark.parametrize("content", [None, b"", b"garbage", b"\x12\xff\xff\xff", bytes(1000)])
def test_a_folder_without_a_saved_model_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(ModelError, match=str(tmp_path)) as caught:
        read_signature(tmp_path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_damaged_saved_model_is_refused_or_read_without_another_error(tmp_path: Path) -> None:
    path = save(tmp_path / "model", {"serving_default": function([1, 3])}) / "saved_model.pb"
    whole = path.read_bytes()
    refused = 0
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        try:
            read_signature(path.parent)
        except ModelError:
            refused += 1
    assert refused > 0


def test_ambiguous_entries_are_refused(tmp_path: Path) -> None:
    two_inputs = save(tmp_path / "inputs", {"default": function([1, 3], inputs=2)})
    two_outputs = save(tmp_path / "outputs", {"default": function([1, 3], outputs=("a", "b"))})
    two_names = save(tmp_path / "names", {"a": function([1, 3]), "b": function([1, 3])})
    with pytest.raises(ModelError, match=r"inputs.*clip_0.*clip_1"):
        read_signature(two_inputs)
    with pytest.raises(ModelError, match=r"outputs.*'a'.*'b'"):
        read_signature(two_outputs)
    with pytest.raises(ModelError, match=r"signatures.*'a'.*'b'"):
        read_signature(two_names)
