"""K-means and restarts of the codebooks that gradients teach; those of moving averages are in test_ema.py."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import spread_rows
from vqzoo.quantizers import CosineVectorQuantizer
from vqzoo.quantizers import VectorQuantizer

both = pytest.mark.parametrize("make", [VectorQuantizer, CosineVectorQuantizer])


def quantizer(codebook, make=VectorQuantizer, **options):
    codebook = np.asarray(codebook, "float32")
    made = make(len(codebook), lambda shape, dtype: tf.constant(codebook, dtype), **options)
    made.build((None, None, codebook.shape[1]))
    return made


def table(layer):
    return layer.trainable_variables[0].numpy().copy()


def usage(layer, latents):
    return len(np.unique(layer.encode(latents[None]))) / layer.codebook_size


@both
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decay": 1.0}, "`decay` must be in .0, 1.. Received: decay=1.0. 0.99 averages"),
        ({"kmeans_steps": -1}, "`kmeans_steps` must be 0 or more. Received: kmeans_steps=-1"),
        ({"restart_below": 1.0}, "`restart_below` must be a fraction.*Received: restart_below=1.0"),
    ],
)
def test_arguments_out_of_range(make, options, message):
    with pytest.raises(ValueError, match=message):
        make(4, **options)


@both
def test_by_default_nothing_is_counted_and_the_call_moves_nothing(make):
    layer = quantizer([[1.0, 0.0], [0.0, 1.0]], make)
    layer(np.ones((1, 5, 2), "float32"), training=True)
    assert not layer.non_trainable_variables
    np.testing.assert_array_equal(table(layer), [[1.0, 0.0], [0.0, 1.0]])


def test_typed_out_k_means():
    layer = quantizer([[50.0], [60.0]], kmeans_steps=2)
    # The first vector of the batch and the one at golden ratio 0.618 of it: 0 and 5.
    first = layer(np.array([[[0.0], [1.0], [5.0], [7.0]]], "float32"), training=True)
    assert first.latents.numpy().tolist() == [[[0.0], [0.0], [5.0], [5.0]]]
    np.testing.assert_allclose(table(layer), [[0.5], [6.0]])  # a Lloyd iteration
    layer(np.array([[[1.5], [6.0], [6.0], [6.0]]], "float32"), training=True)
    # The means over both batches: (0 + 1 + 1.5) / 3 and (5 + 7 + 6 + 6 + 6) / 5.
    np.testing.assert_allclose(table(layer), [[2.5 / 3], [6.0]], rtol=1e-6)
    after = table(layer)
    layer(np.array([[[3.0], [3.0], [3.0], [3.0]]], "float32"), training=True)
    np.testing.assert_array_equal(table(layer), after)  # gradients alone, from here on
    np.testing.assert_allclose(layer.counts, [0.99 * 1.5 + 0.04, 0.99 * 2.5], rtol=1e-6)


def test_k_means_by_direction_ignores_lengths():
    layer = quantizer([[1.0, 0.0], [0.0, 1.0]], CosineVectorQuantizer, kmeans_steps=1)
    lengths = np.array([1.0, 100.0, 1.0, 0.01])[:, None]
    angles = np.array([0.0, 0.2, 2.0, 2.4])
    latents = lengths * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    quantized = layer(latents[None], training=True)
    assert quantized.tokens.numpy().ravel().tolist() == [0, 0, 1, 1]
    codes = layer.codebook.numpy()
    np.testing.assert_allclose(np.arctan2(codes[:, 1], codes[:, 0]), [0.1, 2.2], rtol=1e-5)


@both
def test_a_code_that_is_never_chosen_restarts_from_the_batch(make):
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(2000, 4)).astype("float32")
    start = np.array([1.0, 1.0, 1.0, 1.0]) * (1000.0 + rng.uniform(size=(32, 1))) + rng.uniform(size=(32, 4))
    dead, alive = (quantizer(start, make, restart_below=fraction, decay=0.5) for fraction in (0.0, 0.05))
    for _ in range(2):
        dead(latents[None], training=True)
        alive(latents[None], training=True)
    assert usage(dead, latents) < 0.9
    assert usage(alive, latents) > usage(dead, latents)
    candidates = np.concatenate([spread_rows(latents, 32, step).numpy() for step in (0, 1)])
    if make is CosineVectorQuantizer:
        candidates /= np.linalg.norm(candidates, axis=1, keepdims=True)
    moved = (table(alive) != start.astype("float32")).any(axis=1)
    assert moved.any()
    distances = np.abs(table(alive)[moved][:, None] - candidates).max(axis=-1).min(axis=1)
    assert distances.max() < 1e-5


@both
def test_nothing_moves_in_inference_or_when_frozen(make):
    latents = np.random.default_rng(0).normal(size=(1, 50, 3)).astype("float32")
    layer = quantizer(np.eye(3), make, kmeans_steps=3, restart_below=0.5)
    before = [v.numpy().copy() for v in layer.weights]
    layer(latents)
    layer.decode(layer.encode(latents))
    layer.trainable = False
    layer(latents, training=True)
    for variable, value in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    layer.trainable = True
    layer(latents, training=True)
    assert int(layer.steps) == 1


@both
def test_an_assigned_codebook_ends_k_means(make):
    latents = np.random.default_rng(0).normal(size=(1, 50, 3)).astype("float32")
    layer = quantizer(np.eye(3), make, kmeans_steps=3)
    layer.assign_codebook(2.0 * np.eye(3))
    layer(latents, training=True)
    np.testing.assert_array_equal(table(layer), 2.0 * np.eye(3))
    assert layer.counts.numpy().sum() == pytest.approx(0.99 * 3 + 0.01 * 50, rel=1e-5)


@both
@pytest.mark.parametrize("in_graph", [False, True])
def test_masked_steps_are_those_of_the_real_positions_alone(make, in_graph):
    rng = np.random.default_rng(0)
    start = rng.normal(size=(8, 3))
    options = {"kmeans_steps": 3, "restart_below": 0.3, "decay": 0.8}
    layer, alone = quantizer(start, make, **options), quantizer(start, make, **options)
    train = lambda latents, mask: layer(latents, training=True, mask=mask)  # noqa: E731
    train = tf.function(train) if in_graph else train
    for _ in range(8):
        latents, mask = rng.normal(size=(60, 3)).astype("float32"), rng.random(60) < 0.4
        train(np.where(mask[:, None], latents, np.float32(1e30))[None], mask[None])
        alone(latents[mask][None], training=True)
        for variable, other in zip(layer.weights, alone.weights, strict=True):
            np.testing.assert_allclose(variable, other, rtol=1e-5, atol=1e-5, err_msg=variable.path)
    assert np.abs(table(layer) - start).max() > 0.1


@both
def test_gradients_with_counting_are_those_without(make):
    rng = np.random.default_rng(0)
    latents, start = tf.constant(rng.normal(size=(1, 40, 3)), tf.float32), rng.normal(size=(6, 3))

    def gradients(**options):
        layer = quantizer(start, make, **options)
        with tf.GradientTape() as tape:
            tape.watch(latents)
            quantized = layer(latents, training=True)
            total = tf.reduce_sum(tf.sin(quantized.latents)) + sum(quantized.losses.values())
        found = tape.gradient(total, [latents, layer.trainable_variables[0].value])
        return [tf.convert_to_tensor(g).numpy() for g in found]

    for one, other in zip(gradients(restart_below=1e-6), gradients(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_restarts_bring_the_whole_codebook_in_where_gradients_alone_do_not():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(64, 8)) * 2.0

    def train(**options):
        layer = VectorQuantizer(64, keras.initializers.RandomUniform(-1 / 64, 1 / 64, seed=0), **options)
        layer.build((None, None, 8))
        optimizer = keras.optimizers.Adam(1e-2)

        @tf.function
        def step(latents):
            with tf.GradientTape() as tape:
                loss = layer(latents, training=True).losses["codebook"]
            optimizer.apply(tape.gradient(loss, [layer.codebook.value]), [layer.codebook])

        optimizer.build(layer.trainable_variables)
        sample = lambda: centres[rng.integers(0, 64, 512)] + 0.1 * rng.normal(size=(512, 8))  # noqa: E731
        for _ in range(150):
            step(tf.constant(sample()[None], tf.float32))
        return usage(layer, sample().astype("float32"))

    assert train() < 0.6
    assert train(kmeans_steps=10, restart_below=0.1) > 0.9
