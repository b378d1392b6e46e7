"""Finite scalar, lookup-free and binary spherical quantization against vector-quantize-pytorch 1.32.

It runs in the environment `peers` of `.ci/slow`. What differs, and is converted here:

- LFQ (`spherical=True` is binary spherical quantization) takes the first channel as the most significant bit.
- Its logits are 2 z·c times an inverse temperature: ours is 1 over it, in squared distance.
- It reports the batch's entropy; ours is minus that, to be minimised.
- It counts probabilities below 1e-5 as 1e-5 inside the logarithm, which at its default temperature moves the entropies
  in the third digit; the 1e-5 agreement is checked where no probability is that small.
- Its first axis is the batch, its last the channels; with 4 axes it takes channels second. Here there are 3.
- FSQ without `preserve_symmetry` refuses channels of two levels; ours does not.
"""

import os
import subprocess

import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import reverse_bits
from vqzoo.quantizers import BinarySphericalQuantizer
from vqzoo.quantizers import FiniteScalarQuantizer
from vqzoo.quantizers import LookupFreeQuantizer

PEER = os.environ.get("VQZOO_PEERS_PYTHON", "")

pytestmark = [pytest.mark.slow, pytest.mark.environment("peers")]

CHILD = """
import sys
import numpy as np
import torch
from vector_quantize_pytorch import FSQ, LFQ

given = dict(np.load(sys.argv[1]))
latents = torch.from_numpy(given["latents"]).requires_grad_(True)
direction = torch.from_numpy(given["direction"])
found = {}

def gradient(name, value):
    latents.grad = None
    value.backward(retain_graph=True)
    found["gradient_" + name] = latents.grad.numpy().copy()

if "levels" in given:
    module = FSQ(given["levels"].tolist(), preserve_symmetry=bool(given["symmetric"]))
    quantized, tokens = module(latents)
    found["codebook"] = module.implicit_codebook.numpy()
else:
    module = LFQ(
        dim=latents.shape[-1],
        codebook_scale=float(given["scale"]),
        spherical=bool(given["spherical"]),
        commitment_loss_weight=1.0,
    ).train()
    (quantized, tokens, _), parts = module(
        latents, inv_temperature=float(given["inverse_temperature"]), return_loss_breakdown=True
    )
    found["codebook"] = module.maybe_l2norm(module.codebook).numpy()
    losses = {
        "sample_entropy": parts.per_sample_entropy,
        "batch_entropy": -parts.batch_entropy,
        "commitment": parts.commitment,
    }
    for name, loss in losses.items():
        found[name] = loss.detach().numpy()
        gradient(name, loss)
gradient("latents", (quantized * direction).sum())
np.savez(sys.argv[2], tokens=tokens.numpy(), latents=quantized.detach().numpy(), **found)
"""


def peer(folder, **given):
    np.savez(folder / "given.npz", **given)
    command = [PEER, "-c", CHILD, str(folder / "given.npz"), str(folder / "found.npz")]
    child = subprocess.run(command, capture_output=True, text=True)
    assert child.returncode == 0, child.stderr[-3000:]
    return dict(np.load(folder / "found.npz"))


def ours(quantizer, latents, direction):
    latents = tf.constant(latents)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(latents)
        quantized = quantizer(latents, training=True)
        values = {"latents": tf.reduce_sum(quantized.latents * direction), **quantized.losses}
    found = {name: loss.numpy() for name, loss in quantized.losses.items()}
    found |= {f"gradient_{name}": tape.gradient(value, latents).numpy() for name, value in values.items()}
    found |= {"latents": quantized.latents.numpy(), "codebook": quantizer.codebook.numpy()}
    return {**found, "tokens": quantized.tokens.numpy()[..., 0]}


def inputs(width, scale):
    latents, direction = np.random.default_rng(0).normal(size=(2, 4, 256, width)).astype("float32")
    return {"latents": scale * latents, "direction": direction}


@pytest.mark.parametrize(
    ("levels", "symmetric"),
    [
        ((8, 5, 5, 5), False),
        ((7, 6, 5, 4), False),
        ((3,), False),
        ((8, 8, 8, 5, 5, 5), False),
        ((8, 5, 5, 5), True),
        ((2, 2, 2), True),
        ((2, 3, 16), True),
    ],
)
def test_finite_scalar(levels, symmetric, tmp_path):
    given = inputs(len(levels), 1.5)
    theirs = peer(tmp_path, **given, levels=levels, symmetric=symmetric)
    found = ours(FiniteScalarQuantizer(levels, symmetric), given["latents"], given["direction"])
    assert len(np.unique(found["tokens"])) >= min(500, 0.9 * np.prod(levels))
    np.testing.assert_array_equal(found.pop("tokens"), theirs.pop("tokens"))
    for name, value in theirs.items():
        np.testing.assert_allclose(found[name], value, atol=1e-5, err_msg=name)


# A quantizer of ours, and the same of theirs: soft enough for all probabilities to lie above 1e-5.
SOFT = {
    "lookup_free": (LookupFreeQuantizer(6, 1.0, 4.0), {"scale": 1.0, "spherical": False, "inverse_temperature": 0.25}),
    "scaled": (LookupFreeQuantizer(6, 0.25, 1.0), {"scale": 0.25, "spherical": False, "inverse_temperature": 1.0}),
    "spherical": (BinarySphericalQuantizer(6, 0.5), {"scale": 1.0, "spherical": True, "inverse_temperature": 2.0}),
    "default": (BinarySphericalQuantizer(9), {"scale": 1.0, "spherical": True, "inverse_temperature": 1.0}),
}


@pytest.mark.parametrize("name", SOFT)
def test_binary(name, tmp_path):
    quantizer, settings = SOFT[name]
    given = inputs(quantizer.latent_dim, 0.4)
    theirs = peer(tmp_path, **given, **settings)
    found = ours(quantizer, given["latents"], given["direction"])
    bits = quantizer.latent_dim
    np.testing.assert_array_equal(reverse_bits(found.pop("tokens"), bits), theirs.pop("tokens"))
    codebook = found.pop("codebook")[reverse_bits(np.arange(2**bits), bits).numpy()]
    np.testing.assert_allclose(codebook, theirs.pop("codebook"), atol=1e-6)
    assert set(found) == set(theirs)
    for key, value in theirs.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-5, atol=1e-5, err_msg=key)


def test_their_default_temperature_but_for_their_clipped_logarithm(tmp_path):
    given = inputs(8, 0.05)
    theirs = peer(tmp_path, **given, scale=1.0, spherical=False, inverse_temperature=100.0)
    found = ours(LookupFreeQuantizer(8), given["latents"], given["direction"])
    np.testing.assert_array_equal(reverse_bits(found["tokens"], 8), theirs["tokens"])
    assert theirs["sample_entropy"] > 0.3
    for name in ("sample_entropy", "batch_entropy"):
        np.testing.assert_allclose(found[name], theirs[name], atol=3e-3, err_msg=name)
