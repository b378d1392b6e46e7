import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import reverse_bits
from vqzoo.quantizers import LookupFreeQuantizer


def all_codes(bits, scale):
    """Every code in the order of the tokens: the first channel is the least significant bit."""
    return scale * (2.0 * (np.arange(2**bits)[:, None] >> np.arange(bits) & 1) - 1.0)


def entropy(probabilities):
    return -(probabilities * np.log(np.maximum(probabilities, 1e-300))).sum(axis=-1)


def oracle(latents, scale=1.0, temperature=0.01):
    """Tokens, codes and losses from the table of all codes, in float64."""
    codes = all_codes(latents.shape[-1], scale)
    vectors = latents.reshape(-1, latents.shape[-1]).astype("float64")
    distances = ((vectors[:, None] - codes) ** 2).sum(axis=-1)
    tokens = distances.argmin(axis=1)
    scores = -distances / temperature
    probabilities = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    losses = {
        "commitment": ((vectors - codes[tokens]) ** 2).mean(),
        "sample_entropy": entropy(probabilities).mean(),
        "batch_entropy": -entropy(probabilities.mean(axis=0)),
    }
    return tokens, codes[tokens], losses


def numeric_gradient(function, x, step=1e-6):
    gradient = np.empty_like(x)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += step
        down[i] -= step
        gradient[i] = (function(up) - function(down)) / (2 * step)
    return gradient


def gradient_of(quantizer, name, latents):
    latents = tf.constant(latents)
    with tf.GradientTape() as tape:
        tape.watch(latents)
        loss = quantizer(latents, training=True).losses[name]
    return tape.gradient(loss, latents).numpy()


def test_typed_out_tokens_codes_and_losses():
    latents = np.array([[[0.5, -0.5, 1.5, -0.1], [-1.0, -1.0, -1.0, 0.0], [1e-9, 3.0, -0.0, 2.0]]], "float32")
    quantized = LookupFreeQuantizer(4)(latents)
    assert quantized.latents.numpy().tolist() == [[[1, -1, 1, -1], [-1, -1, -1, -1], [1, 1, -1, 1]]]
    assert quantized.tokens.numpy()[0, :, 0].tolist() == [1 + 4, 0, 1 + 2 + 8]
    # Differences .5, .5, .5, .9; 0, 0, 0, 1; 1, 2, 1, 1 in twelve numbers.
    assert float(quantized.losses["commitment"]) == pytest.approx((0.25 * 3 + 0.81 + 1.0 + 1 + 4 + 1 + 1) / 12)
    assert LookupFreeQuantizer(4).loss_names == ("commitment", "sample_entropy", "batch_entropy")


def test_typed_out_entropies():
    # One bit, 4 z / temperature = log 3: a probability of 3/4 for 1, and of 1/4.
    z = np.log(3.0) / 4.0
    losses = LookupFreeQuantizer(1, entropy_temperature=1.0)(np.array([[[z], [-z]]])).losses
    assert float(losses["sample_entropy"]) == pytest.approx(0.75 * np.log(4 / 3) + 0.25 * np.log(4))
    assert float(losses["batch_entropy"]) == pytest.approx(-np.log(2.0))
    # Certain, and two of eight codes.
    losses = LookupFreeQuantizer(3)(np.array([[[1.0, 1.0, -1.0], [1.0, -1.0, -1.0]]])).losses
    assert float(losses["sample_entropy"]) == pytest.approx(0.0, abs=1e-9)
    assert float(losses["batch_entropy"]) == pytest.approx(-np.log(2.0))


@pytest.mark.parametrize(("scale", "temperature"), [(1.0, 2.0), (0.5, 0.3), (1.0, 0.01)])
def test_equals_the_table_of_all_codes(scale, temperature):
    latents = np.random.default_rng(0).normal(scale=0.6, size=(2, 8, 5)).astype("float32")
    quantized = LookupFreeQuantizer(5, scale, temperature)(latents)
    tokens, codes, losses = oracle(latents, scale, temperature)
    np.testing.assert_array_equal(quantized.tokens.numpy().ravel(), tokens)
    np.testing.assert_array_equal(quantized.latents.numpy().reshape(-1, 5), codes.astype("float32"))
    for name, value in losses.items():
        np.testing.assert_allclose(quantized.losses[name], value, rtol=2e-5, err_msg=name)
    np.testing.assert_array_equal(LookupFreeQuantizer(5, scale).codebook, all_codes(5, scale).astype("float32"))


@pytest.mark.parametrize("name", ["commitment", "sample_entropy", "batch_entropy"])
@pytest.mark.parametrize(("scale", "temperature"), [(1.0, 2.0), (0.5, 0.3)])
def test_the_gradient_of_each_loss(name, scale, temperature):
    latents = np.random.default_rng(0).normal(scale=0.5, size=(1, 6, 4)).astype("float32")
    quantizer = LookupFreeQuantizer(4, scale, temperature)
    expected = numeric_gradient(lambda x: oracle(x, scale, temperature)[2][name], latents.astype("float64"))
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(gradient_of(quantizer, name, latents), expected, rtol=1e-3, atol=1e-5)


def test_the_straight_through_gradient():
    latents = tf.constant(np.random.default_rng(0).normal(size=(1, 6, 4)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(latents)
        total = tf.reduce_sum(LookupFreeQuantizer(4)(latents, training=True).latents)
    np.testing.assert_array_equal(tape.gradient(total, latents), np.ones((1, 6, 4)))


def test_groups_of_bits_are_an_upper_bound_of_the_entropy():
    latents = np.random.default_rng(0).normal(size=(1, 200, 6)).astype("float32")
    latents[..., 3:] = latents[..., :3]
    exact, grouped = (LookupFreeQuantizer(6, entropy_group_bits=n)(latents).losses for n in (6, 3))
    np.testing.assert_allclose(exact["batch_entropy"], oracle(latents)[2]["batch_entropy"], rtol=1e-4)
    half = oracle(latents[..., :3])[2]["batch_entropy"]
    np.testing.assert_allclose(grouped["batch_entropy"], 2 * half, rtol=1e-4)
    assert float(grouped["sample_entropy"]) == float(exact["sample_entropy"])


def test_the_entropy_losses_spread_the_latents_over_all_codes():
    quantizer = LookupFreeQuantizer(4, entropy_temperature=0.5)
    latents = tf.Variable(np.random.default_rng(0).normal(0.3, 0.2, size=(1, 128, 4)), dtype=tf.float32)
    used, sure = [], []
    for _ in range(150):
        with tf.GradientTape() as tape:
            quantized = quantizer(latents, training=True)
            loss = quantized.losses["sample_entropy"] + 2.0 * quantized.losses["batch_entropy"]
        latents.assign_sub(5.0 * tape.gradient(loss, latents))
        used.append(len(np.unique(quantized.tokens)))
        sure.append(float(quantized.losses["sample_entropy"]))
    assert used[0] < 12
    assert used[-1] == 16
    assert sure[-1] < sure[0] / 3


def test_tokens_convert_to_the_other_order_of_bits():
    latents = np.random.default_rng(0).normal(size=(3, 7, 18)).astype("float32")
    quantizer = LookupFreeQuantizer(18)
    tokens = quantizer.encode(latents)
    of_most_significant_first = ((latents > 0) * 2 ** np.arange(17, -1, -1)).sum(axis=-1, keepdims=True)
    np.testing.assert_array_equal(reverse_bits(tokens, 18), of_most_significant_first)
    np.testing.assert_array_equal(quantizer.decode(reverse_bits(of_most_significant_first, 18)), np.sign(latents))


def test_config_is_the_constructor():
    config = LookupFreeQuantizer(5, 0.5, 0.1, 4).get_config()
    assert {name: config[name] for name in ("latent_dim", "scale", "entropy_temperature", "entropy_group_bits")} == {
        "latent_dim": 5,
        "scale": 0.5,
        "entropy_temperature": 0.1,
        "entropy_group_bits": 4,
    }
    latents = np.random.default_rng(0).normal(size=(2, 8, 5)).astype("float32")
    again = LookupFreeQuantizer.from_config(config)(latents)
    for name, loss in LookupFreeQuantizer(5, 0.5, 0.1, 4)(latents).losses.items():
        assert float(again.losses[name]) == float(loss)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"latent_dim": 0},
            "`latent_dim` must be an integer from 1 to 31.*Received: latent_dim=0. Split more channels",
        ),
        ({"latent_dim": 32}, "Received: latent_dim=32"),
        ({"latent_dim": 8.0}, "Received: latent_dim=8.0"),
        ({"scale": 0.0}, "`scale` must be positive. Received: scale=0.0"),
        ({"scale": float("nan")}, "`scale` must be positive. Received: scale=nan"),
        (
            {"entropy_temperature": float("nan")},
            "`entropy_temperature` must be positive. Received: entropy_temperature=nan",
        ),
        ({"entropy_temperature": -1.0}, "`entropy_temperature` must be positive. Received: entropy_temperature=-1.0"),
        ({"entropy_group_bits": 0}, "`entropy_group_bits` must be an integer from 1 to 31.*entropy_group_bits=0"),
        ({"entropy_group_bits": 2.5}, "entropy_group_bits=2.5"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        LookupFreeQuantizer(**{"latent_dim": 4, **arguments})


# The peak of a process never falls, so it gets a process of its own.
MEMORY = """
import resource
import sys
import numpy as np
import tensorflow as tf
from vqzoo.quantizers import LookupFreeQuantizer

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MB; Linux counts in kB

bits = int(sys.argv[1])
quantizer = LookupFreeQuantizer(bits)
quantizer.build((None, None, bits))

@tf.function(jit_compile=sys.argv[2] == "xla")
def step(latents):
    with tf.GradientTape() as tape:
        tape.watch(latents)
        quantized = quantizer(latents, training=True)
        loss = tf.reduce_sum(quantized.latents) + sum(quantized.losses.values())
    return loss, tape.gradient(loss, latents)

latents = tf.constant(np.random.default_rng(0).normal(size=(1, 65536, bits)), tf.float32)
before = peak()
loss, gradient = step(latents)
assert np.isfinite(loss) and np.abs(gradient).min() >= 1.0 - 0.1
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["graph", "xla"])
@pytest.mark.parametrize("bits", [16, 18])
def test_a_training_step_on_many_vectors_and_many_codes_needs_little_memory(bits, mode):
    child = subprocess.run([sys.executable, "-c", MEMORY, str(bits), mode], capture_output=True, text=True)
    assert child.returncode == 0, child.stderr[-2000:]
    assert float(child.stdout) < 2000, f"{mode}: {child.stdout} MB"  # probabilities of 2^16 codes alone: 17,180 MB
