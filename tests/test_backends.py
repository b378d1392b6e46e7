"""JAX and PyTorch under Keras: the same tokens as TensorFlow, and gradients, for every quantizer and network."""

import os
import pathlib
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

sys.path.insert(0, str(pathlib.Path(__file__).parent / "conformance"))
import zoo  # noqa: E402

ENTRIES = [*zoo.QUANTIZERS, *zoo.NETWORKS]
CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
import keras, numpy as np, zoo
backend = keras.backend.backend()

def gradient(thing, inputs):
    def of(x):
        return zoo.projection(thing(x, training=False))
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
    thing.set_weights([saved[f"weight_{i}"] for i in range(len(saved))])
    outputs = [keras.ops.convert_to_numpy(x) for x in keras.tree.flatten(thing(entry.inputs()))]
    slope = 0 if entry.ids else gradient(thing, entry.inputs())
    np.savez(f"{sys.argv[2]}/{entry.name}_{backend}.npz", *outputs, gradient=slope)
"""


def gradient(thing, inputs):
    inputs = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = zoo.projection(thing(inputs, training=False))
    return tape.gradient(total, inputs).numpy()


class Result(NamedTuple):
    latents: object
    tokens: object
    losses: object


@pytest.mark.parametrize(
    "nest",
    [
        lambda x, y: y,
        lambda x, y: (x, y),
        lambda x, y: [[x, x], [x, [y]]],
        lambda x, y: Result(x, tf.constant([[1, 2]]), {"codebook": tf.reduce_sum(y), "commitment": tf.reduce_sum(x)}),
        lambda x, y: {"a": [x], "b": (tf.constant([True]), y)},
    ],
    ids=["tensor", "tuple", "nested", "quantized", "dict"],
)
def test_every_tensor_of_a_result_counts_in_the_gradient(nest):
    inputs = np.ones((2, 3), "float32")
    slope = gradient(lambda x, training: nest(x[:, :2], x[:, 2:]), inputs)
    assert slope.shape == (2, 3) and np.abs(slope[:, 2]).min() > 1e-3


@pytest.mark.slow
@pytest.mark.environment("peers")
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_same_tokens_latents_and_gradients_as_tensorflow(backend, tmp_path):
    expected = {}
    for entry in ENTRIES:
        thing = entry.built()
        slope = 0 if entry.ids else gradient(thing, entry.inputs())  # ids have none
        expected[entry.name] = (zoo.flat(thing(entry.inputs())), slope)
        weights = {f"weight_{i}": weight for i, weight in enumerate(thing.get_weights())}
        np.savez(tmp_path / f"{entry.name}.npz", **weights)
    child = subprocess.run(
        [os.environ["VQZOO_PEERS_PYTHON"], "-c", CHILD, str(pathlib.Path(zoo.__file__).parent), str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": backend},
    )
    assert child.returncode == 0, child.stderr[-3000:]
    for name, (outputs, slope) in expected.items():
        with np.load(tmp_path / f"{name}_{backend}.npz") as arrays:
            assert len(arrays) == len(outputs) + 1, name
            for i, output in enumerate(outputs):
                other = arrays[f"arr_{i}"]
                if output.dtype == np.int32:
                    np.testing.assert_array_equal(other, output, err_msg=name)
                else:
                    np.testing.assert_allclose(other, output, rtol=1e-4, atol=1e-4, err_msg=name)
            np.testing.assert_allclose(arrays["gradient"], slope, rtol=1e-3, atol=1e-4, err_msg=name)
