import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.quantizers import EMAVectorQuantizer
from vqzoo.quantizers import IndexPropagationQuantizer
from vqzoo.quantizers import VectorQuantizer
from vqzoo.quantizers import entropy_loss
from vqzoo.quantizers import orthogonality_loss

CLASSES = pytest.mark.parametrize("cls", [VectorQuantizer, EMAVectorQuantizer, IndexPropagationQuantizer])
CODEBOOK = np.array([[0.0, 0.5], [1.0, 0.0], [0.0, 2.0]], "float32")


@keras.saving.register_keras_serializable(package="test")
def weighed_sum(codebook, vectors, weights):
    """Depends on all that an extra loss is given."""
    return keras.ops.sum(codebook) + keras.ops.sum(vectors * keras.ops.expand_dims(weights, -1))


def made(cls, codebook=CODEBOOK, **options):
    layer = cls(len(codebook), **options)
    layer.build((None, None, codebook.shape[1]))
    layer.assign_codebook(codebook)
    return layer


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@CLASSES
def test_extra_losses_are_given_codebook_vectors_and_weights(cls):
    layer = made(cls, extra_losses={"sum": weighed_sum, "orthogonality": orthogonality_loss})
    latents = np.arange(12, dtype="float32").reshape(1, 2, 3, 2)
    own = layer.own_losses
    assert layer.loss_names == (*own, "sum", "orthogonality")
    losses = layer(latents).losses
    assert tuple(losses) == layer.loss_names
    assert float(losses["sum"]) == 3.5 + 66.0
    # Directions (0, 1), (1, 0), (0, 1): one pair is parallel and counts twice of nine.
    assert float(losses["orthogonality"]) == pytest.approx(2 / 9, rel=1e-5)
    mask = np.array([[[True, False, False], [True, True, False]]])
    assert float(layer(latents, mask=mask).losses["sum"]) == 3.5 + (0 + 1) + (6 + 7) + (8 + 9)
    assert tuple(made(cls)(latents).losses) == own


def test_gradients_of_extra_losses_reach_latents_and_a_learnt_codebook():
    # Squared distances of about the loss's temperature of 0.01: undecided choices.
    layer = made(VectorQuantizer, 0.1 * CODEBOOK, extra_losses={"entropy": entropy_loss})
    latents = tf.constant(0.1 * random(1, 20, 2))
    with tf.GradientTape() as tape:
        tape.watch(latents)
        loss = layer(latents, training=True).losses["entropy"]
    for gradient in tape.gradient(loss, [latents, layer.codebook.value]):
        assert np.abs(gradient).max() > 1e-3


@pytest.mark.parametrize("losses", [{"codebook": entropy_loss}, {"commitment": entropy_loss}, {"entropy": 0.1}])
@CLASSES
def test_extra_losses_are_callables_with_names_of_their_own(cls, losses):
    if "codebook" in losses and cls is EMAVectorQuantizer:
        assert cls(4, extra_losses=losses).loss_names == ("commitment", "codebook")
        return
    with pytest.raises(
        ValueError, match=r"`extra_losses` must be a dict of callables .*own \(.*Received: extra_losses={"
    ):
        cls(4, extra_losses=losses)


def _expected(cls, latents, codebook):
    products = latents @ codebook.T
    scores = products if cls is IndexPropagationQuantizer else products - (codebook**2).sum(axis=1) / 2
    return scores.argmax(axis=1).tolist()


@CLASSES
def test_an_assigned_codebook_is_used(cls):
    layer = made(cls)
    values = random(3, 2, seed=1)
    layer.assign_codebook(values.tolist())
    np.testing.assert_array_equal(layer.codebook, values)
    np.testing.assert_array_equal(layer.decode(np.array([[[2], [0]]])), values[[[2, 0]]])
    assert layer.encode(3.0 * values[None]).numpy().ravel().tolist() == _expected(cls, 3.0 * values, values)


@CLASSES
@pytest.mark.parametrize("shape", [(2, 3), (3,), (3, 3), (1, 3, 2)])
def test_a_codebook_of_another_shape_is_refused(cls, shape):
    with pytest.raises(ValueError, match=r"here \(3, 2\). Received: shape=\(" + ", ".join(map(str, shape))):
        made(cls).assign_codebook(np.zeros(shape))


@CLASSES
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_codebook_that_is_not_finite_is_refused(cls, value):
    codebook = CODEBOOK.copy()
    codebook[1, 1] = value
    layer = made(cls)
    with pytest.raises(ValueError, match="A codebook must be finite. Received: values that are NaN or infinite"):
        layer.assign_codebook(codebook)
    np.testing.assert_array_equal(layer.codebook, CODEBOOK)


def test_assigning_a_codebook_starts_the_moving_averages_there():
    layer = EMAVectorQuantizer(3, kmeans_steps=4)
    layer.build((None, 2))
    for step in range(2):
        layer(random(1, 20, 2, seed=step), training=True)
    layer.assign_codebook(CODEBOOK)
    np.testing.assert_array_equal(layer.counts, np.ones(3))
    np.testing.assert_array_equal(layer.sums, CODEBOOK)
    assert int(layer.steps) == 4  # k-means is over, or it would throw the codebook away
    latents = CODEBOOK[None] + np.float32(0.01)
    layer(latents, training=True)
    np.testing.assert_allclose(layer.codebook, CODEBOOK + 0.0001, atol=2e-5)
