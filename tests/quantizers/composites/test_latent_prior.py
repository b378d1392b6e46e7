import keras
import numpy as np
import pytest
import tensorflow as tf

import vqzoo
from vqzoo.quantizers import GumbelQuantizer
from vqzoo.quantizers import LatentPriorQuantizer
from vqzoo.quantizers import MultiScaleResidualQuantizer
from vqzoo.quantizers import ResidualQuantizer
from vqzoo.quantizers import StartupQuantizer
from vqzoo.quantizers import VectorQuantizer


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def codes(size, seed):
    return VectorQuantizer(size, keras.initializers.RandomNormal(seed=seed))


def made(start=0, stop=1, sizes=(8, 6), width=16, **options):
    keras.utils.set_random_seed(0)
    inner = ResidualQuantizer([codes(size, i) for i, size in enumerate(sizes)])
    quantizer = LatentPriorQuantizer(inner, start, stop, width=width, **options)
    quantizer.build((None, None, 4))
    return quantizer


def gradient(quantizer, latents, of=lambda quantized: quantized.losses["latent_prior"], **options):
    latents = tf.constant(latents)
    with tf.GradientTape() as tape:
        tape.watch(latents)
        target = of(quantizer(latents, **options))
    return tape.gradient(target, latents).numpy()


def test_a_prior_that_knows_nothing_needs_the_mean_logarithm_of_the_sizes():
    quantizer = made(sizes=(8, 2))
    for head in quantizer.heads:
        head.kernel.assign(tf.zeros_like(head.kernel))
    loss = float(quantizer(random(3, 5, 4)).losses["latent_prior"])
    assert loss == pytest.approx(np.log([8, 2]).mean(), abs=1e-6)  # 4 and 1 bits
    # A bias alone: that of the tokens' frequencies.
    quantizer.heads[0].bias.assign(np.log(np.arange(1, 9) / 36))
    tokens = quantizer.encode(random(3, 5, 4)).numpy()[..., 0]
    loss = float(quantizer(random(3, 5, 4)).losses["latent_prior"])
    assert loss == pytest.approx((np.log(36 / (1 + tokens)).mean() + np.log(2)) / 2, abs=1e-5)


def without_distances(quantizer):
    quantizer.soft_tokens = lambda *args: [None] * quantizer.num_codebooks
    return quantizer


@pytest.mark.parametrize("grid", [(12,), (3, 4)])
def test_a_position_is_predicted_from_those_before_it_in_raster_order(grid):
    quantizer = without_distances(made(depth=3))
    latents = random(1, *grid, 4)
    # The loss at position 7 alone: those of all positions up to it, less those before it.
    real = [np.arange(12).reshape(1, *grid) <= last for last in (6, 7)]

    def at_seven(inputs):
        before, till = (gradient(quantizer, inputs, training=True, mask=mask) * mask.sum() for mask in real)
        return (till - before).reshape(12, 4)

    reached = np.abs(at_seven(latents)).max(1) > 1e-7
    assert reached.tolist() == 7 * [True] + 5 * [False]


def test_later_codebooks_see_the_earlier_ones_of_their_position():
    quantizer = made()
    quantizer.embeddings[0].embeddings.assign(100 * random(8, 16))
    quantizer.heads[1].kernel.assign(random(16, 6))
    first = made()
    latents = random(2, 1, 4)  # nothing stands before
    one, other = (float(q(latents).losses["latent_prior"]) for q in (quantizer, first))
    assert abs(one - other) > 1e-3 and len(quantizer.embeddings) == 1


def test_the_encoder_feels_it_late_and_the_prior_from_the_first_step():
    quantizer = made(start=2, stop=4)
    latents = random(3, 5, 4)
    felt, losses = [], []
    for _ in range(6):
        felt.append(gradient(quantizer, latents, training=True))
        losses.append(float(quantizer(latents).losses["latent_prior"]))
    whole = np.abs(felt[-1]).max()
    assert whole > 0
    for gradients, share in zip(felt, (0, 0, 0.5, 1, 1, 1), strict=True):
        np.testing.assert_allclose(gradients, share * felt[-1], atol=1e-6 * whole)
    assert len(set(losses)) == 1 and int(quantizer.steps.numpy()) == 6
    fresh = made(start=2, stop=4)
    with tf.GradientTape() as tape:
        loss = fresh(latents, training=True).losses["latent_prior"]
    kernels = [layer.kernel.value for layer in (fresh.project, *fresh.convolutions, *fresh.mixers, *fresh.heads)]
    assert all(np.abs(g).max() > 0 for g in tape.gradient(loss, kernels))


@pytest.mark.parametrize(("start", "bounds"), [(0, (0.0, 0.65)), (10_000, (0.9, 1.05))])
def test_the_encoder_writes_what_comes_into_what_stands_before_once_it_feels_the_loss(start, bounds):
    quantizer = without_distances(made(start, start + 1, sizes=(4,), depth=1))
    quantizer.quantizer.quantizers[0].assign_codebook(np.eye(4))
    second = np.eye(4, dtype="float32")[np.random.default_rng(0).integers(0, 4, 64)]
    first = tf.Variable(0.1 * random(64, 4))  # has nothing to do with the second, at first
    variables = [v for v in quantizer.trainable_variables if "codebook" not in v.path]
    optimizer = keras.optimizers.Adam(0.03)
    optimizer.build(variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = quantizer(tf.stack([first, second], axis=1), training=True).losses["latent_prior"]
        *found, of_first = tape.gradient(loss, [*(v.value for v in variables), first])
        optimizer.apply(found)
        first.assign_sub(0.1 * tf.sign(of_first))
        return loss

    for _ in range(150):
        loss = float(step())
    # The first token takes 2 bits, and the second none where the first tells it.
    assert bounds[0] < loss / np.log(4) < bounds[1]


def test_a_latent_moves_to_the_likelier_code_the_more_the_nearer_to_the_border():
    quantizer = made(sizes=(2,))
    quantizer.quantizer.quantizers[0].assign_codebook([[-1, 0, 0, 0], [1, 0, 0, 0]])
    quantizer.heads[0].kernel.assign(tf.zeros((16, 2)))  # nothing comes by way of what stands before
    quantizer.heads[0].bias.assign([0.0, 5.0])  # the second is the likelier by e^5
    latents = np.zeros((1, 5, 4), "float32")
    latents[0, :, 0] = [-2.0, -0.5, 0.0, 0.5, 2.0]
    variance = (1 + 0.25 + 1 + 0.25 + 1) / 20
    second = 1 / (1 + np.exp(-2 * latents[0, :, 0] / variance))
    expected = -5 * second * (1 - second) * 2 / variance / 5  # of five positions
    assert expected[2] < 10 * expected[0]
    found = gradient(quantizer, latents, training=True)
    np.testing.assert_allclose(found[0, :, 0], expected, rtol=1e-4, atol=1e-7)
    assert not found[..., 1:].any()


def test_a_frozen_one_does_not_count_and_has_nothing_to_learn():
    quantizer = made()
    quantizer.trainable = False
    quantizer(random(3, 2, 4), training=True)
    assert int(quantizer.steps.numpy()) == 0 and not quantizer.trainable_variables


def test_a_preset_keeps_the_quantizer_inside(tmp_path):
    inner = ResidualQuantizer([codes(8, i) for i in range(2)], name="inner")
    quantizer = StartupQuantizer(LatentPriorQuantizer(inner, width=8, depth=1), 0, 2, seed=0)
    tokenizer = vqzoo.image_vqvae(filters=8, blocks=1, latent_dim=4, quantizer=quantizer)
    tokenizer.build((None, 16, 16, 3))
    images = np.tanh(random(2, 16, 16, 3))
    tokenizer.save_to_preset(tmp_path / "preset")
    again = vqzoo.Tokenizer.from_preset(tmp_path / "preset")
    assert type(again.quantizer) is ResidualQuantizer and again.quantizer.name == "inner"
    np.testing.assert_array_equal(again.encode(images), tokenizer.encode(images))
    np.testing.assert_array_equal(again(images).signal, tokenizer(images).signal)
    assert again.inference_form() is again and tokenizer.quantizer is quantizer


def test_errors():
    with pytest.raises(ValueError, match="`quantizer` is a vqzoo.quantizers.Quantizer. Received: 3"):
        LatentPriorQuantizer(3)
    for start, stop in ((5, 5), (-1, 5), (0, 0.5), (10, 2)):
        with pytest.raises(ValueError, match="`stop` must be greater than `start`.*Received: start="):
            LatentPriorQuantizer(VectorQuantizer(2), start, stop)
    for size in ({"width": 0}, {"depth": 1.5}):
        with pytest.raises(ValueError, match=f"`{next(iter(size))}` is a positive integer"):
            LatentPriorQuantizer(VectorQuantizer(2), **size)
    with pytest.raises(ValueError, match="the inner quantizer must not have a loss of that name"):
        LatentPriorQuantizer(LatentPriorQuantizer(GumbelQuantizer(4, 3)))
    with pytest.raises(ValueError, match="the tokens must have the grid of the latents. Received: 'scales'"):
        scales = MultiScaleResidualQuantizer(VectorQuantizer(4), [1, (2, 2)], name="scales")
        LatentPriorQuantizer(scales).build((None, 2, 2, 4))
