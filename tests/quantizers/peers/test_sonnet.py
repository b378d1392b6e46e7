"""EMAVectorQuantizer against dm-sonnet 2.0.2.

It runs in the environment `peers` of `.ci/slow`. Sonnet divides its averages, which start at 0, by 1 - decay^t. Ours
start at one count at each code's place; set to 0, they are Sonnet's before that division. It cancels in the codes, but
for the smoothing's epsilon: relative to the counts it is smaller there by 1 - decay^t.
"""

import os
import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.quantizers import EMAVectorQuantizer

PEER = os.environ.get("VQZOO_PEERS_PYTHON", "")
STEPS, SIZE, DIM, DECAY = 20, 8, 4, 0.9

CHILD = """
import sys
import numpy as np
import sonnet as snt
import tensorflow as tf

given = np.load(sys.argv[1])
size, dim = given["codebook"].shape
layer = snt.nets.VectorQuantizerEMA(dim, size, commitment_cost=0.25, decay=float(given["decay"]))
layer.embeddings.assign(given["codebook"].T)
found = {"tokens": [], "latents": [], "loss": [], "codebook": [], "counts": [], "sums": []}
for latents in given["latents"]:
    result = layer(tf.constant(latents), is_training=True)
    found["tokens"].append(result["encoding_indices"])
    found["latents"].append(result["quantize"])
    found["loss"].append(result["loss"])
    found["codebook"].append(tf.transpose(layer.embeddings))
    found["counts"].append(tf.identity(layer.ema_cluster_size._hidden))
    found["sums"].append(tf.transpose(layer.ema_dw._hidden))
np.savez(sys.argv[2], **{name: np.stack([np.asarray(x) for x in values]) for name, values in found.items()})
"""


@pytest.mark.slow
@pytest.mark.environment("peers")
def test_tokens_losses_and_state_over_twenty_steps(tmp_path):
    rng = np.random.default_rng(0)
    codebook = rng.normal(size=(SIZE, DIM)).astype("float32")
    # Around every code, so that none is ever without latents: where Sonnet puts it at 0, ours stays.
    latents = codebook[rng.integers(0, SIZE, (STEPS, 3, 60))] + 0.2 * rng.normal(size=(STEPS, 3, 60, DIM))
    latents = latents.astype("float32")
    np.savez(tmp_path / "in.npz", codebook=codebook, latents=latents, decay=DECAY)
    command = [PEER, "-c", CHILD, tmp_path / "in.npz", tmp_path / "out.npz"]
    child = subprocess.run(command, capture_output=True, text=True)
    assert child.returncode == 0, child.stderr[-3000:]
    peer = np.load(tmp_path / "out.npz")

    layer = EMAVectorQuantizer(SIZE, lambda shape, dtype: tf.constant(codebook), DECAY, kmeans_steps=0, restart_below=0)
    layer.build((None, None, DIM))
    layer.counts.assign(keras.ops.zeros_like(layer.counts))
    layer.sums.assign(keras.ops.zeros_like(layer.sums))
    for i, batch in enumerate(latents):
        quantized = layer(batch, training=True)
        np.testing.assert_array_equal(quantized.tokens[..., 0], peer["tokens"][i].reshape(3, 60))
        np.testing.assert_allclose(quantized.latents, peer["latents"][i], rtol=1e-5, atol=1e-5)
        assert 0.25 * float(quantized.losses["commitment"]) == pytest.approx(float(peer["loss"][i]), rel=1e-5)
        np.testing.assert_allclose(layer.counts, peer["counts"][i], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(layer.sums, peer["sums"][i], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(layer.codebook, peer["codebook"][i], rtol=1e-5, atol=1e-5)
    assert np.abs(layer.codebook - codebook).max() > 0.01
