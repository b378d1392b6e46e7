"""JAX and PyTorch under Keras: the same tokens as TensorFlow, and gradients, for every quantizer and image network."""

import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "conformance"))
import zoo  # noqa: E402

# An interpreter with vqzoo, jax and torch installed: `pip install -e . jax torch==2.13.0`.
INTERPRETER = os.environ.get("VQZOO_BACKENDS_PYTHON", "")

CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
import keras, numpy as np, zoo
backend = keras.backend.backend()

def gradient(thing, inputs, weights):
    def of(x):
        outputs = thing(x, training=False)
        first = outputs[0] if isinstance(outputs, (tuple, list)) else outputs
        total = keras.ops.sum(keras.ops.multiply(first, weights))
        if hasattr(outputs, "losses"):
            total = total + sum(outputs.losses.values(), 0.0)
        return total
    if backend == "jax":
        import jax
        return np.asarray(jax.grad(of)(inputs))
    import torch
    x = torch.from_numpy(inputs).requires_grad_(True)
    of(x).backward()
    return x.grad.numpy()

for entry in [*zoo.QUANTIZERS, *zoo.NETWORKS]:
    with np.load(f"{sys.argv[2]}/{entry.name}.npz") as saved:
        saved = dict(saved)
    thing = entry.built()
    thing.set_weights([saved[f"weight_{i}"] for i in range(int(saved["weights"]))])
    outputs = [keras.ops.convert_to_numpy(x) for x in keras.tree.flatten(thing(entry.inputs()))]
    np.savez(f"{sys.argv[2]}/{entry.name}_{backend}.npz", *outputs,
             gradient=0 if entry.ids else gradient(thing, entry.inputs(), saved["direction"]))
"""


def gradient(thing, inputs, direction):
    import tensorflow as tf

    inputs = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = thing(inputs, training=False)
        first = outputs[0] if isinstance(outputs, tuple | list) else outputs
        total = tf.reduce_sum(first * direction)
        if hasattr(outputs, "losses"):
            total += sum(outputs.losses.values(), 0.0)
    return tape.gradient(total, inputs).numpy()


@pytest.mark.slow
@pytest.mark.skipif(not INTERPRETER, reason="VQZOO_BACKENDS_PYTHON names no interpreter")
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_same_tokens_latents_and_gradients_as_tensorflow(backend, tmp_path):
    expected = {}
    for entry in [*zoo.QUANTIZERS, *zoo.NETWORKS]:
        thing = entry.built()
        outputs = thing(entry.inputs())
        first = keras.tree.flatten(outputs)[0]
        direction = np.random.default_rng(1).normal(size=first.shape).astype("float32")
        slope = 0 if entry.ids else gradient(thing, entry.inputs(), direction)  # ids have none
        expected[entry.name] = (zoo.flat(outputs), slope)
        weights = {f"weight_{i}": weight for i, weight in enumerate(thing.get_weights())}
        np.savez(tmp_path / f"{entry.name}.npz", direction=direction, weights=len(weights), **weights)
    child = subprocess.run(
        [INTERPRETER, "-c", CHILD, str(pathlib.Path(zoo.__file__).parent), str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": backend},
    )
    assert child.returncode == 0, child.stderr[-3000:]
    for name, (outputs, slope) in expected.items():
        with np.load(tmp_path / f"{name}_{backend}.npz") as arrays:
            for i, output in enumerate(outputs):
                other = arrays[f"arr_{i}"]
                if output.dtype == np.int32:
                    np.testing.assert_array_equal(other, output, err_msg=name)
                else:
                    np.testing.assert_allclose(other, output, rtol=1e-4, atol=1e-4, err_msg=name)
            np.testing.assert_allclose(arrays["gradient"], slope, rtol=1e-3, atol=1e-4, err_msg=name)
