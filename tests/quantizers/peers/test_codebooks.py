"""Quantizers with a codebook, and the rotation trick, against vector-quantize-pytorch 1.32.

It runs in the environment `peers` of `.ci/slow`. What differs, and is converted here:

- It adds up its losses. With a codebook learnt by gradients it has one squared error, of which neither side is fixed:
  the sum of our `codebook` and `commitment`, with the same gradients. SimVQ's is codebook + 0.25 commitment.
- Its padded positions have token -1 and latents of 0; ours have token 0 and its code.
- It scales the code by |e| first and adds differences, so that its results are the codes up to rounding.
- Its codebook of cosines follows by moving averages alone, ours by gradients: state is not compared, only one step.
- Its restarts take random vectors at random times; they and k-means are off.
- torch's linear layers hold the transposed matrix.
"""

import os
import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import rotation_trick
from vqzoo.ops import straight_through
from vqzoo.quantizers import CosineVectorQuantizer
from vqzoo.quantizers import EMAVectorQuantizer
from vqzoo.quantizers import SimVectorQuantizer
from vqzoo.quantizers import VectorQuantizer
from vqzoo.quantizers import orthogonality_loss

PEER = os.environ.get("VQZOO_PEERS_PYTHON", "")

pytestmark = [pytest.mark.slow, pytest.mark.environment("peers")]

ESTIMATORS = pytest.mark.parametrize("estimator", [straight_through, rotation_trick])

CHILD = """
import sys
import numpy as np
import torch
from vector_quantize_pytorch import SimVQ, VectorQuantize
from vector_quantize_pytorch.vector_quantize_pytorch import rotate_to

given = dict(np.load(sys.argv[1]))
case, turn = str(given["case"]), bool(given.get("rotation", False))
steps = torch.from_numpy(given["latents"])  # (steps, batch, n, latent_dim)
direction = torch.from_numpy(given["direction"])
masks = torch.from_numpy(given["masks"]) if "masks" in given else None
codes = torch.from_numpy(given["codebook"])
found = {}


def keep(name, value):
    found.setdefault(name, []).append(value.detach().numpy().copy())


if case == "rotation":
    latents = steps.clone().requires_grad_(True)
    result = rotate_to(latents, codes)
    (result * direction).sum().backward()
    np.savez(sys.argv[2], latents=result.detach().numpy(), gradient=latents.grad.numpy())
    sys.exit()

size, dim = codes.shape
if case == "sim":
    module = SimVQ(dim, size, rotation_trick=turn)
    module.frozen_codebook.copy_(codes)
    module.code_transform.weight.data.copy_(torch.from_numpy(given["linear_map"]).T)
    parameter, state = module.code_transform.weight, {}
else:
    options = {
        "ema": dict(decay=float(given.get("decay", 0.8)), eps=1e-5),
        "vector": dict(learnable_codebook=True, ema_update=False, orthogonal_reg_weight=1.0),
        "cosine": dict(use_cosine_sim=True, freeze_codebook=True),
    }[case]
    module = VectorQuantize(
        dim, size, rotation_trick=turn, commitment_weight=1.0, threshold_ema_dead_code=0, sync_codebook=False, **options
    )
    book = module._codebook
    for value in (book.embed.data, book.embed_avg):
        value.copy_(codes[None])
    parameter = book.embed if case == "vector" else None
    state = {"codebook": book.embed, "counts": book.cluster_size, "sums": book.embed_avg} if case == "ema" else {}

module.train()
for i, values in enumerate(steps):
    latents = values.clone().requires_grad_(True)
    if case == "sim":
        quantized, tokens, loss = module(latents)
    else:
        mask = None if masks is None else masks[i]
        quantized, tokens, loss, parts = module(latents, mask=mask, return_loss_breakdown=True)
        keep("orthogonality", parts.orthogonal_reg)
        loss = parts.commitment
    keep("tokens", tokens)
    keep("latents", quantized)
    keep("loss", loss)
    (gradient,) = torch.autograd.grad((quantized * direction).sum(), latents, retain_graph=True)
    keep("gradient_latents", gradient)
    wanted = [latents] + ([] if parameter is None else [parameter])
    for name, gradient in zip(("loss_latents", "loss_parameter"), torch.autograd.grad(loss, wanted, retain_graph=True)):
        keep("gradient_" + name, gradient)
    if case == "vector":
        keep("gradient_orthogonality", torch.autograd.grad(parts.orthogonal_reg, parameter)[0])
    for name, value in state.items():
        keep(name, value[0])
np.savez(sys.argv[2], **{name: np.stack(values) for name, values in found.items()})
"""


def peer(folder, **given):
    """What the peer makes of the arrays."""
    np.savez(folder / "given.npz", **given)
    run = subprocess.run(
        [PEER, "-c", CHILD, str(folder / "given.npz"), str(folder / "found.npz")], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr[-3000:]
    with np.load(folder / "found.npz") as arrays:
        return dict(arrays)


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def close(got, want):
    """Equal to 1e-5 of the largest number."""
    got, want = np.asarray(got), np.asarray(want)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 * max(1.0, np.abs(want).max()))


def gradient_of(tape, value, source):
    return tf.convert_to_tensor(tape.gradient(value, source)).numpy()


@ESTIMATORS
@pytest.mark.parametrize("masked", [False, True])
def test_twenty_steps_of_moving_averages(estimator, masked, tmp_path):
    size, d, steps = 32, 6, 20
    codebook, direction = random(size, d), random(4, 50, d, seed=1)
    latents = 2.0 * random(steps, 4, 50, d, seed=2)
    masks = np.random.default_rng(3).random((steps, 4, 50)) < 0.6
    given = {"masks": masks} if masked else {}
    found = peer(
        tmp_path, case="ema", latents=latents, codebook=codebook, direction=direction,
        rotation=estimator is rotation_trick, **given,
    )  # fmt: skip
    layer = EMAVectorQuantizer(size, decay=0.8, kmeans_steps=0, restart_below=0.0, estimator=estimator)
    layer.build((None, None, d))
    layer.assign_codebook(codebook)
    for i in range(steps):
        mask = masks[i] if masked else np.ones((4, 50), bool)
        inputs = tf.constant(latents[i])
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            quantized = layer(inputs, training=True, mask=mask if masked else None)
            total, loss = tf.reduce_sum(quantized.latents * direction), quantized.losses["commitment"]
        np.testing.assert_array_equal(quantized.tokens.numpy()[..., 0][mask], found["tokens"][i][mask])
        assert not masked or (found["tokens"][i][~mask] == -1).all()
        close(quantized.latents.numpy()[mask], found["latents"][i][mask])
        close(loss, found["loss"][i])
        close(gradient_of(tape, loss, inputs), found["gradient_loss_latents"][i])
        close(gradient_of(tape, total, inputs), found["gradient_latents"][i])
        for name in ("counts", "sums", "codebook"):
            close(getattr(layer, name), found[name][i])
    assert np.abs(layer.codebook.numpy() - codebook).max() > 1.0


@ESTIMATORS
def test_a_codebook_learnt_by_gradients(estimator, tmp_path):
    size, d = 24, 5
    codebook, latents, direction = random(size, d), random(1, 3, 40, d, seed=1), random(3, 40, d, seed=2)
    found = peer(
        tmp_path, case="vector", latents=latents, codebook=codebook, direction=direction,
        rotation=estimator is rotation_trick,
    )  # fmt: skip
    layer = VectorQuantizer(size, estimator=estimator, extra_losses={"orthogonality": orthogonality_loss})
    layer.build((None, None, d))
    layer.assign_codebook(codebook)
    inputs = tf.constant(latents[0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        quantized = layer(inputs, training=True)
        total, losses = tf.reduce_sum(quantized.latents * direction), quantized.losses
    np.testing.assert_array_equal(quantized.tokens[..., 0], found["tokens"][0])
    close(quantized.latents, found["latents"][0])
    # Their one number stands for both of ours.
    close(losses["codebook"], found["loss"][0])
    close(losses["commitment"], found["loss"][0])
    close(gradient_of(tape, losses["commitment"], inputs), found["gradient_loss_latents"][0])
    of_codebook = gradient_of(tape, losses["codebook"], layer.codebook.value)
    close(of_codebook, found["gradient_loss_parameter"][0][0])
    close(gradient_of(tape, total, inputs), found["gradient_latents"][0])
    close(losses["orthogonality"], found["orthogonality"][0])
    of_orthogonality = gradient_of(tape, losses["orthogonality"], layer.codebook.value)
    close(of_orthogonality, found["gradient_orthogonality"][0][0])


@ESTIMATORS
def test_a_codebook_of_cosines(estimator, tmp_path):
    size, d = 24, 5
    codebook, latents, direction = random(size, d), 3.0 * random(1, 3, 40, d, seed=1), random(3, 40, d, seed=2)
    codebook /= np.linalg.norm(codebook, axis=1, keepdims=True)
    found = peer(
        tmp_path, case="cosine", latents=latents, codebook=codebook, direction=direction,
        rotation=estimator is rotation_trick,
    )  # fmt: skip
    layer = CosineVectorQuantizer(size, estimator=estimator)
    layer.build((None, None, d))
    layer.assign_codebook(5.0 * codebook)
    inputs = tf.constant(latents[0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        quantized = layer(inputs, training=True)
        total, loss = tf.reduce_sum(quantized.latents * direction), quantized.losses["commitment"]
    np.testing.assert_array_equal(quantized.tokens[..., 0], found["tokens"][0])
    close(quantized.latents, found["latents"][0])
    close(loss, found["loss"][0])
    close(gradient_of(tape, loss, inputs), found["gradient_loss_latents"][0])
    close(gradient_of(tape, total, inputs), found["gradient_latents"][0])


@ESTIMATORS
def test_a_linear_map_of_a_frozen_codebook(estimator, tmp_path):
    size, d = 24, 5
    frozen, linear_map = random(size, d), random(d, d, seed=3)
    latents, direction = random(1, 3, 40, d, seed=1), random(3, 40, d, seed=2)
    found = peer(
        tmp_path, case="sim", latents=latents, codebook=frozen, direction=direction, linear_map=linear_map,
        rotation=estimator is rotation_trick,
    )  # fmt: skip
    layer = SimVectorQuantizer(size, estimator=estimator)
    layer.build((None, None, d))
    layer.assign_codebook(frozen)
    layer.linear_map.assign(linear_map)
    inputs = tf.constant(latents[0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        quantized = layer(inputs, training=True)
        total = tf.reduce_sum(quantized.latents * direction)
        loss = quantized.losses["codebook"] + 0.25 * quantized.losses["commitment"]
    np.testing.assert_array_equal(quantized.tokens[..., 0], found["tokens"][0])
    close(quantized.latents, found["latents"][0])
    close(loss, found["loss"][0])
    close(gradient_of(tape, loss, inputs), found["gradient_loss_latents"][0])
    close(gradient_of(tape, loss, layer.linear_map.value), found["gradient_loss_parameter"][0].T)
    close(gradient_of(tape, total, inputs), found["gradient_latents"][0])


def test_the_rotation_trick(tmp_path):
    codes, latents, direction = (random(500, 7, seed=seed) for seed in range(3))
    latents *= 10.0 ** np.random.default_rng(5).uniform(-2, 2, (500, 1)).astype("float32")
    found = peer(tmp_path, case="rotation", latents=latents, codebook=codes, direction=direction)
    inputs = tf.constant(latents)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        result = rotation_trick(codes, inputs)
        total = keras.ops.sum(result * direction)
    np.testing.assert_array_equal(result, codes)
    close(result, found["latents"])
    scale = np.abs(found["gradient"]).max(axis=1, keepdims=True)
    close(tape.gradient(total, inputs) / scale, found["gradient"] / scale)
