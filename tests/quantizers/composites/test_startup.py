import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.quantizers import EMAVectorQuantizer
from vqzoo.quantizers import GaussianQuantizer
from vqzoo.quantizers import ResidualQuantizer
from vqzoo.quantizers import StartupQuantizer
from vqzoo.quantizers import VectorQuantizer


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def made(start, stop, seed=0, inner=None):
    quantizer = StartupQuantizer(inner or VectorQuantizer(2), start, stop, seed)
    quantizer.build((None, None, 1))
    if inner is None:
        quantizer.quantizer.assign_codebook([[-1.0], [1.0]])
    return quantizer


def test_typed_out_answers():
    quantizer = made(0, 1)
    latents = np.array([[[0.25], [-0.5]]], "float32")
    for training, expected in ((False, [1, -1]), (True, [0.25, -0.5]), (False, [1, -1]), (True, [1, -1])):
        quantized = quantizer(latents, training=training)
        assert quantized.latents.numpy()[0, :, 0].tolist() == expected
        assert quantized.tokens.numpy()[0, :, 0].tolist() == [1, 0]
        # (0.75² + 0.5²) / 2, of dense examples too.
        assert float(quantized.losses["commitment"]) == 0.40625
    assert int(quantizer.steps.numpy()) == 2
    assert quantizer.encode(latents).numpy()[0, :, 0].tolist() == [1, 0]
    assert quantizer.decode([[[0], [1]]]).numpy()[0, :, 0].tolist() == [-1, 1]


def test_the_share_of_dense_examples_falls_from_all_to_none():
    quantizer = made(10, 20)
    latents = random(4000, 3, 1)
    shares = {}
    for step in (0, 9, 10, 11, 15, 19, 20, 99):
        quantizer.steps.assign(step)
        dense = np.asarray(quantizer(latents, training=True).latents == latents)
        np.testing.assert_array_equal(dense.all((1, 2)), dense.any((1, 2)))  # whole examples
        shares[step] = dense.mean()
    assert (shares[0], shares[9], shares[10], shares[20], shares[99]) == (1, 1, 1, 0, 0)
    for step, share in ((11, 0.9), (15, 0.5), (19, 0.1)):
        assert shares[step] == pytest.approx(share, abs=0.03)


def test_the_seed_decides_which_and_calls_differ():
    latents = random(64, 1, 1)
    found = []
    for seed in (1, 1, 2):
        quantizer = made(0, 1000, seed)
        quantizer.steps.assign(500)
        found += [np.asarray(quantizer(latents, training=True).latents) for _ in range(2)]
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(found[1], found[3])
    assert (found[0] != found[1]).any() and (found[0] != found[4]).any()


def test_dense_latents_take_the_plain_gradient_and_codebooks_learn_from_all():
    inner = ResidualQuantizer([EMAVectorQuantizer(4, keras.initializers.RandomNormal(seed=i)) for i in range(2)])
    quantizer = StartupQuantizer(inner, 1000, 2000)
    latents = tf.constant(random(5, 3, 6))
    quantizer(latents)
    before = [np.array(level.codebook) for level in inner.quantizers]
    with tf.GradientTape() as tape:
        tape.watch(latents)
        quantized = quantizer(latents, training=True)
        target = tf.reduce_sum(quantized.latents * random(5, 3, 6, seed=1))
    np.testing.assert_array_equal(tape.gradient(target, latents), random(5, 3, 6, seed=1))
    for level, old in zip(inner.quantizers, before, strict=True):
        assert np.abs(np.array(level.codebook) - old).max() > 1e-3
    assert quantizer.codebook_sizes == (4, 4) and quantizer.loss_names == inner.loss_names


def test_a_frozen_one_draws_and_does_not_count():
    quantizer = made(0, 1000)
    quantizer.trainable = False
    assert np.asarray(quantizer(random(3, 2, 1), training=True).latents == random(3, 2, 1)).all()
    assert int(quantizer.steps.numpy()) == 0


def test_errors():
    with pytest.raises(ValueError, match="`quantizer` is a vqzoo.quantizers.Quantizer. Received: 3"):
        StartupQuantizer(3)
    for start, stop in ((5, 5), (-1, 5), (0, 0.5), (10, 2)):
        with pytest.raises(ValueError, match="`stop` must be greater than `start`.*Received: start="):
            StartupQuantizer(VectorQuantizer(2), start, stop)
    changing = StartupQuantizer(GaussianQuantizer(VectorQuantizer(4), 2))
    with pytest.raises(ValueError, match="each quantizer must keep the width of the latents, here 6"):
        changing(random(2, 3, 6), training=True)
