#!/bin/sh
# Silent or unexpected behaviour of libraries with models on disk.
#
# Seen with transformers 5.23.0:
#   AutoTokenizer.from_pretrained on a folder with CLIP's config.json but no tokenizer files raises no error. It
#   returns a CLIPTokenizer with 2 entries, which gives "moving up" and "blinking" the same ids: a zero-shot
#   classifier then gives classes with names of equal length the same score. With only vocab.json it raises an error.
#   CLIPImageProcessorPil.from_pretrained reads the image_processor in processor_config.json, which transformers 5
#   writes, and not the preprocessor_config.json beside it, even if that is newer. If processor_config.json has only
#   a video_processor, the older file is used.
# Seen with ONNX Runtime 1.31.1 and onnx 1.23.2:
#   an intact model with all tensors in a separate file (size_threshold=0) does not load if the axes of a ReduceMean
#   are one of them: shapes are inferred before that file is read. With onnx.save's default threshold of 1024 it
#   loads.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    transformers==5.23.0 pillow==13.0.0 numpy==2.4.6 onnx==1.23.2 onnxruntime==1.31.1
cd "$folder"
TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'END_OF_PYTHON'
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from transformers import AutoTokenizer, CLIPConfig, CLIPImageProcessorPil

seen = []


def show(what, found, expected):
    print(f"{what:<50}{found}")
    seen.append(found == expected)


model = Path("clip")
CLIPConfig().save_pretrained(model)
tokenizer = AutoTokenizer.from_pretrained(model)
kind = type(tokenizer).__name__
show("the tokenizer of a folder without one", f"{kind}, {len(tokenizer)} entries", "CLIPTokenizer, 2 entries")
one, other = tokenizer(["moving up", "blinking"])["input_ids"]
show("two prompts of 8 letters are the same to it", one == other, True)
(model / "vocab.json").write_text("{}")
try:
    AutoTokenizer.from_pretrained(model)
    raised = "nothing"
except ValueError:
    raised = "ValueError"
show("with vocab.json alone it raises", raised, "ValueError")

processors = Path("processors")
processors.mkdir()
old, nested = processors / "preprocessor_config.json", processors / "processor_config.json"
old.write_text(json.dumps({"image_mean": [0.2] * 3}))
for key, expected in (("image_processor", 0.1), ("video_processor", 0.2)):
    nested.write_text(json.dumps({key: {"image_mean": [0.1] * 3}}))
    found = CLIPImageProcessorPil.from_pretrained(processors).image_mean[0]
    show(f"mean 0.2 in the old file, 0.1 in {key}", found, expected)


def load(threshold):
    """Result of ONNX Runtime for a model whose larger tensors are in a separate file."""
    tensors = {"axes": np.array([1]), "kernel": np.ones((8, 64), np.float32)}
    nodes = [
        helper.make_node("ReduceMean", ["clips", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "kernel"], ["scores"]),
    ]
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
        for name, shape in (("clips", ["n", 4, 8]), ("scores", ["n", 64]))
    ]
    kept = [numpy_helper.from_array(values, name) for name, values in tensors.items()]
    network = helper.make_model(
        helper.make_graph(nodes, "net", *ends, kept), opset_imports=[helper.make_opsetid("", 18)]
    )
    network.ir_version = 10
    name = f"net{threshold}.onnx"
    onnx.save(network, name, save_as_external_data=True, location=f"{name}.data", size_threshold=threshold)
    try:
        session = onnxruntime.InferenceSession(name, providers=["CPUExecutionProvider"])
        return str(session.run(None, {"clips": np.ones((1, 4, 8), np.float32)})[0].shape)
    except Exception as error:
        return "ShapeInferenceError" if "[ShapeInferenceError]" in str(error) else str(error)


show("all tensors in a file beside the model", load(0), "ShapeInferenceError")
show("those of 1024 bytes and more", load(1024), "(1, 64)")
sys.exit(not all(seen))
END_OF_PYTHON
