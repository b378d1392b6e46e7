"""Residual, grouped and multi-scale quantization against vector-quantize-pytorch 1.32 and PyTorch.

It runs in the environment `peers` of `.ci/slow`. What differs is converted:

- It reports one loss for each level; ours are means over the levels.
- With a learnt codebook its one loss moves latents and codes: our `codebook` plus `commitment`.
- The gradient of its quantized latents is one for each level, so N-fold in the latents; ours is one.
- At padded positions its result is 0, ours the codes of token 0: only real positions are compared.
- Its grouped tokens have the group as first axis; ours stand side by side, group-major.
- PyTorch's channels come second.
"""

import os
import subprocess

import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import area_matrix
from vqzoo.ops import bicubic_matrix
from vqzoo.ops import resize
from vqzoo.quantizers import EMAVectorQuantizer
from vqzoo.quantizers import GroupedQuantizer
from vqzoo.quantizers import MultiScaleResidualQuantizer
from vqzoo.quantizers import ResidualQuantizer
from vqzoo.quantizers import VectorQuantizer

PEER = os.environ.get("VQZOO_PEERS_PYTHON", "")

pytestmark = [pytest.mark.slow, pytest.mark.environment("peers")]

START = """
import sys
import numpy as np
import torch
import torch.nn.functional as F
torch.manual_seed(0)
given = {name: torch.from_numpy(value) for name, value in np.load(sys.argv[1]).items()}
found = {}
def numpy(tensor):
    return tensor.detach().numpy().copy()
"""
END = """
np.savez(sys.argv[2], **found)
"""


def peer(folder, script, **given):
    """What the script finds, as a dict of arrays."""
    np.savez(folder / "given.npz", **given)
    command = [PEER, "-c", START + script + END, str(folder / "given.npz"), str(folder / "found.npz")]
    child = subprocess.run(command, capture_output=True, text=True)
    assert child.returncode == 0, child.stderr[-3000:]
    with np.load(folder / "found.npz") as found:
        return dict(found)


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def close(one, other, **options):
    np.testing.assert_allclose(one, other, **{"rtol": 1e-5, "atol": 1e-5, **options})


def built(layer, codebooks, dim):
    """The layer with these codebooks in its levels."""
    layer.build((None, None, dim))
    levels = [level for part in layer.quantizers for level in getattr(part, "quantizers", [part])]
    for level, codebook in zip(levels, codebooks, strict=True):
        level.assign_codebook(codebook)
    return layer


MOVING = """
from vector_quantize_pytorch import ResidualVQ
levels, size, dim = given["codebooks"].shape
module = ResidualVQ(
    dim=dim, num_quantizers=levels, codebook_size=size, decay=0.8, threshold_ema_dead_code=0, rotation_trick=False
)
for level, codebook in zip(module.layers, given["codebooks"]):
    level._codebook.embed.data.copy_(codebook[None])
    level._codebook.embed_avg.data.copy_(codebook[None])
    level._codebook.cluster_size.data.fill_(1.0)
module.train()
for i, latents in enumerate(given["latents"]):
    mask = given["masks"][i] if "masks" in given else None
    latents = latents.requires_grad_(True)
    quantized, tokens, losses = module(latents, mask=mask)
    losses.sum().backward()
    found.update({f"tokens_{i}": numpy(tokens), f"latents_{i}": numpy(quantized), f"losses_{i}": numpy(losses)})
    found[f"gradient_{i}"] = numpy(latents.grad)
    for name in ("embed", "embed_avg", "cluster_size"):
        found[f"{name}_{i}"] = np.stack([numpy(getattr(level._codebook, name))[0] for level in module.layers])
module.eval()
quantized, tokens, _ = module(given["latents"][0])
found.update(tokens=numpy(tokens), latents=numpy(quantized))
found["decoded"] = numpy(module.get_output_from_indices(tokens))
"""


@pytest.mark.parametrize("masked", [False, True])
def test_moving_averages_follow_as_the_peers(tmp_path, masked):
    steps, sizes = 8, (3, 16, 6)
    codebooks = random(*sizes, seed=1) * np.array([2.0, 1.0, 0.5], "float32")[:, None, None]
    latents = 2.0 * random(steps, 4, 50, sizes[-1], seed=2)
    masks = np.random.default_rng(3).random((steps, 4, 50)) < 0.7
    given = {"codebooks": codebooks, "latents": latents, **({"masks": masks} if masked else {})}
    theirs = peer(tmp_path, MOVING, **given)
    levels = [EMAVectorQuantizer(16, decay=0.8, kmeans_steps=0, restart_below=0.0) for _ in range(3)]
    ours = built(ResidualQuantizer(levels), codebooks, sizes[-1])
    for i in range(steps):
        real = masks[i] if masked else np.ones((4, 50), bool)
        x = tf.constant(latents[i])
        with tf.GradientTape() as tape:
            tape.watch(x)
            quantized = ours(x, training=True, mask=tf.constant(real) if masked else None)
            commitment = quantized.losses["commitment"]
        np.testing.assert_array_equal(quantized.tokens.numpy()[real], theirs[f"tokens_{i}"][real])
        close(quantized.latents.numpy()[real], theirs[f"latents_{i}"][real])
        close(commitment, theirs[f"losses_{i}"].mean())
        close(tape.gradient(commitment, x), theirs[f"gradient_{i}"] / 3, atol=1e-8)
        for name, peers in (("codebook", "embed"), ("sums", "embed_avg"), ("counts", "cluster_size")):
            state = np.stack([getattr(level, name).numpy() for level in ours.quantizers])
            close(state, theirs[f"{peers}_{i}"], err_msg=f"{name} after step {i}")
    assert np.abs(theirs[f"embed_{steps - 1}"] - codebooks).max() > 0.5
    np.testing.assert_array_equal(ours.encode(latents[0]), theirs["tokens"])
    close(ours(latents[0]).latents, theirs["latents"])
    close(ours.decode(theirs["tokens"].astype("int32")), theirs["decoded"])


LEARNT = """
from vector_quantize_pytorch import GroupedResidualVQ
groups, levels, size, dim = given["codebooks"].shape
module = GroupedResidualVQ(
    dim=groups * dim, groups=groups, num_quantizers=levels, codebook_size=size, learnable_codebook=True,
    ema_update=False, threshold_ema_dead_code=0, rotation_trick=False,
)
codes = [level._codebook.embed for rvq in module.rvqs for level in rvq.layers]
for code, codebook in zip(codes, given["codebooks"].flatten(0, 1)):
    code.data.copy_(codebook[None])
module.train()
latents = given["latents"].requires_grad_(True)
quantized, tokens, losses = module(latents)
(of_sum,) = torch.autograd.grad(quantized.sum(), latents, retain_graph=True)
losses.sum().backward()
found.update(tokens=numpy(tokens), latents=numpy(quantized), losses=numpy(losses), of_sum=numpy(of_sum))
found["of_latents"] = numpy(latents.grad)
found["of_codes"] = np.stack([numpy(code.grad)[0] for code in codes])
"""


def test_grouped_residual_codebooks_learn_as_the_peers(tmp_path):
    groups, levels, size, dim = shape = (2, 3, 16, 4)
    codebooks = random(*shape, seed=1) * np.array([2.0, 1.0, 0.5], "float32")[:, None, None]
    latents = 2.0 * random(4, 30, groups * dim, seed=2)
    theirs = peer(tmp_path, LEARNT, codebooks=codebooks, latents=latents)
    residuals = [ResidualQuantizer([VectorQuantizer(size) for _ in range(levels)]) for _ in range(groups)]
    ours = built(GroupedQuantizer(residuals), codebooks.reshape(-1, size, dim), groups * dim)
    x, codes = tf.constant(latents), [level.codebook.value for group in residuals for level in group.quantizers]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        quantized = ours(x, training=True)
        loss = quantized.losses["codebook"] + quantized.losses["commitment"]
        total = tf.reduce_sum(quantized.latents)
    # (group, batch, position, level) to (batch, position, group and level)
    tokens = theirs["tokens"].transpose(1, 2, 0, 3).reshape(4, 30, groups * levels)
    np.testing.assert_array_equal(quantized.tokens, tokens)
    close(quantized.latents, theirs["latents"])
    close(quantized.losses["commitment"], theirs["losses"].mean())
    close(quantized.losses["codebook"], theirs["losses"].mean())
    parts = groups * levels
    close(tape.gradient(loss, x), theirs["of_latents"] / parts, atol=1e-8)
    found = np.stack([tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, codes)])
    close(found, theirs["of_codes"] / parts, atol=1e-8)
    close(tape.gradient(total, x), theirs["of_sum"] / levels)


RESIZE = """
for name, size in given.items():
    if name.startswith("size"):
        h, w = size.tolist()
        images = given["images"].permute(0, 3, 1, 2)
        small = F.interpolate(images, size=(h, w), mode="area")
        large = F.interpolate(small, size=images.shape[2:], mode="bicubic", align_corners=False)
        found[f"small_{name}"] = numpy(small.permute(0, 2, 3, 1))
        found[f"large_{name}"] = numpy(large.permute(0, 2, 3, 1))
"""


def test_matrices_resample_as_pytorch(tmp_path):
    images = random(2, 16, 13, 3)
    sizes = [(n, min(n, 13)) for n in (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)] + [(7, 2), (1, 13), (11, 9)]
    given = {f"size_{h}_{w}": np.array([h, w]) for h, w in sizes}
    theirs = peer(tmp_path, RESIZE, images=images, **given)
    for h, w in sizes:
        small = resize(images, area_matrix(16, h), area_matrix(13, w))
        close(small, theirs[f"small_size_{h}_{w}"])
        close(resize(small, bicubic_matrix(h, 16), bicubic_matrix(w, 13)), theirs[f"large_size_{h}_{w}"])


# Algorithms 1 and 2 of https://arxiv.org/abs/2404.02905, with PyTorch's interpolations and convolution.
MULTI_SCALE = """
latents = given["latents"].permute(0, 3, 1, 2).requires_grad_(True)
codes = given["codebook"].requires_grad_(True)
kernels = [kernel.permute(3, 2, 0, 1).requires_grad_(True) for kernel in given["kernels"]]
grid, scales = latents.shape[2:], given["scales"].tolist()
places = np.linspace(1 / 3 / len(kernels), 1 - 1 / 3 / len(kernels), len(kernels))
total, all_tokens, codebook, commitment = 0.0, [], 0.0, 0.0
for i, scale in enumerate(scales):
    rest = latents.detach() - (total.detach() if i else 0.0)
    small = F.interpolate(rest, size=scale, mode="area").permute(0, 2, 3, 1)
    tokens = torch.cdist(small.reshape(-1, small.shape[-1]), codes.detach()).argmin(dim=1)
    all_tokens.append(tokens.reshape(len(latents), -1))
    chosen = codes[tokens].reshape(small.shape).permute(0, 3, 1, 2)
    chosen = F.interpolate(chosen, size=grid, mode="bicubic", align_corners=False)
    which = int(np.abs(places - i / (len(scales) - 1)).argmin())
    total = total + 0.5 * chosen + 0.5 * F.conv2d(chosen, kernels[which], given["biases"][which], padding=1)
    codebook = codebook + F.mse_loss(total, latents.detach()) / len(scales)
    commitment = commitment + F.mse_loss(total.detach(), latents) / len(scales)
codebook.backward()
found["of_codes"] = numpy(codes.grad)
found["of_kernels"] = np.stack([numpy(kernel.grad.permute(2, 3, 1, 0)) for kernel in kernels])
commitment.backward()
found["of_latents"] = numpy(latents.grad.permute(0, 2, 3, 1))
found.update(tokens=numpy(torch.cat(all_tokens, dim=1)), latents=numpy(total.permute(0, 2, 3, 1)))
found.update(codebook=numpy(codebook), commitment=numpy(commitment))
"""


def test_multi_scale_equals_the_published_algorithms_in_pytorch(tmp_path):
    scales, dim = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16), 8
    codebook, latents = random(64, dim, seed=1), 1.5 * random(2, 16, 16, dim, seed=2)
    kernels, biases = 0.1 * random(4, 3, 3, dim, dim, seed=3), 0.1 * random(4, dim, seed=4)
    given = {"codebook": codebook, "latents": latents, "kernels": kernels, "biases": biases}
    theirs = peer(tmp_path, MULTI_SCALE, scales=np.array([[n, n] for n in scales]), **given)
    ours = MultiScaleResidualQuantizer(VectorQuantizer(64), scales)
    ours.build((None, 16, 16, dim))
    ours.quantizer.assign_codebook(codebook)
    for convolution, kernel, bias in zip(ours.convolutions, kernels, biases, strict=True):
        convolution.set_weights([kernel, bias])
    x = tf.constant(latents)
    weights = [ours.quantizer.codebook.value, *(convolution.kernel.value for convolution in ours.convolutions)]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        quantized = ours(x, training=True)
    np.testing.assert_array_equal(quantized.tokens[..., 0], theirs["tokens"])
    assert quantized.tokens.shape == (2, 680, 1)
    close(quantized.latents, theirs["latents"])
    for name in ("codebook", "commitment"):
        close(quantized.losses[name], theirs[name])
    of_codes, *of_kernels = tape.gradient(quantized.losses["codebook"], weights)
    close(tf.convert_to_tensor(of_codes), theirs["of_codes"])
    close(np.stack(of_kernels), theirs["of_kernels"])
    close(tape.gradient(quantized.losses["commitment"], x), theirs["of_latents"], atol=1e-8)
