"""The I3D network as TF Hub had it for TensorFlow 1."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from benchmarks.i3d import CLIP_SHAPE, SCOPE, i3d_logits, is_trainable, random_weights

# A serialized tensorflow_hub.ModuleDef whose only field is `format: FORMAT_V3`.
_MODULE_DEF = b"\x08\x03"


def save_hub_v1(path: Path, num_classes: int = 400, seed: int = 0) -> Path:
    """Returns `path`, now the same network as a TF1 Hub module: one untagged graph and a marker.

    Args:
        path: The directory to write; it must be absent or empty.
        num_classes: The number of logits.
        seed: The seed of every weight.
    """
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        clips = v1.placeholder(tf.float32, CLIP_SHAPE, "input_frames")
        values = random_weights(num_classes, seed)
        variables = {
            name: v1.get_variable(
                name,
                value.shape,
                initializer=v1.zeros_initializer(),
                trainable=is_trainable(name),
                use_resource=True,
            )
            for name, value in values.items()
        }
        with tf.name_scope(f"{SCOPE}/"):
            logits = i3d_logits(clips, variables)
        signature = v1.saved_model.predict_signature_def({"default": clips}, {"default": logits})
        # Fed, not constants: the weights stay out of the graph and so out of saved_model.pb.
        initializers = {name: variable.initializer for name, variable in variables.items()}
        session.run(
            list(initializers.values()),
            {initializers[name].inputs[1]: value for name, value in values.items()},
        )
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(
            session, tags=[], signature_def_map={"default": signature}
        )
        builder.save()
    (path / "tfhub_module.pb").write_bytes(_MODULE_DEF)
    return path
