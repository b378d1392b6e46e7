import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.losses import AdversarialLoss
from vqzoo.losses import HingeLoss
from vqzoo.losses import NonSaturatingLoss
from vqzoo.losses import VanillaLoss
from vqzoo.losses import adaptive_weight
from vqzoo.losses import feature_matching_loss

REAL, FAKE = np.array([[3.0, 0.5], [-1.0, 1.0]], "float32"), np.array([[-2.0, 0.0], [1.0, -1.0]], "float32")


def log(x):
    return float(np.log(x))


# Probabilities of "real" at a few logits, as fractions of e.
E = float(np.e)
SOFTPLUS = {x: log(1 + E**x) for x in (-3.0, -2.0, -1.0, -0.5, 0.0, 1.0, 2.0)}


@pytest.mark.parametrize(
    ("loss", "generator", "discriminator"),
    [
        # max(0, 1 - r) = 0, 0.5, 2, 0 and max(0, 1 + f) = 0, 1, 2, 0.
        (HingeLoss(), 0.5, (2.5 / 4 + 3.0 / 4) / 2),
        (
            NonSaturatingLoss(),
            (SOFTPLUS[2.0] + SOFTPLUS[0.0] + SOFTPLUS[-1.0] + SOFTPLUS[1.0]) / 4,
            (SOFTPLUS[-3.0] + SOFTPLUS[-0.5] + SOFTPLUS[1.0] + SOFTPLUS[-1.0]) / 8
            + (SOFTPLUS[-2.0] + SOFTPLUS[0.0] + SOFTPLUS[1.0] + SOFTPLUS[-1.0]) / 8,
        ),
        (
            VanillaLoss(),
            0.5,
            (SOFTPLUS[-3.0] + SOFTPLUS[-0.5] + SOFTPLUS[1.0] + SOFTPLUS[-1.0]) / 8
            + (SOFTPLUS[-2.0] + SOFTPLUS[0.0] + SOFTPLUS[1.0] + SOFTPLUS[-1.0]) / 8,
        ),
    ],
)
def test_typed_out_answers(loss, generator, discriminator):
    assert float(loss.generator(tf.constant(FAKE))) == pytest.approx(generator, rel=1e-6)
    assert float(loss.discriminator(tf.constant(REAL), tf.constant(FAKE))) == pytest.approx(discriminator, rel=1e-6)


@pytest.mark.parametrize("loss", [NonSaturatingLoss(), VanillaLoss()])
def test_the_discriminator_loss_is_half_the_cross_entropy_of_both_sides(loss):
    real, fake = (np.random.default_rng(seed).normal(scale=3.0, size=(4, 5, 5, 1)).astype("float32") for seed in (0, 1))
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    expected = cross_entropy(np.ones_like(real), real) + cross_entropy(np.zeros_like(fake), fake)
    assert float(loss.discriminator(real, fake)) == pytest.approx(float(expected) / 2, rel=1e-5)


def gradient(of, *logits):
    logits = [tf.constant(x, tf.float32) for x in logits]
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = of(*logits)
    return [g.numpy().tolist() for g in tape.gradient(value, logits)]


def test_hinge_does_not_learn_beyond_the_margin():
    assert gradient(HingeLoss().discriminator, [0.5, 2.0], [-0.5, -2.0]) == [[-0.25, 0.0], [0.25, 0.0]]


def test_the_generators_gradient_fades_as_it_wins_except_for_vanilla_and_hinge():
    for loss in (HingeLoss(), VanillaLoss()):
        assert gradient(loss.generator, [-9.0, 9.0]) == [[-0.5, -0.5]]
    losing, winning = gradient(NonSaturatingLoss().generator, [-9.0, 9.0])[0]
    assert losing == pytest.approx(-0.5, abs=1e-4)
    assert winning == pytest.approx(-0.5 / (1 + E**9), rel=1e-3)


@pytest.mark.parametrize("loss", [HingeLoss(), NonSaturatingLoss(), VanillaLoss()])
def test_large_logits_and_half_precision_stay_finite(loss):
    real, fake = (tf.constant(np.full(70_000, x), "float16") for x in (-1000.0, 1000.0))
    for value in (loss.generator(-fake), loss.discriminator(real, fake)):
        assert value.dtype == "float32"
        assert float(value) == pytest.approx(1000.0, rel=2e-3)


@pytest.mark.parametrize("name", ["generator", "discriminator"])
def test_a_subclass_writes_both_sides(name):
    with pytest.raises(NotImplementedError):
        getattr(AdversarialLoss(), name)(*[REAL] * (1 if name == "generator" else 2))


@pytest.mark.parametrize("loss", [HingeLoss(), NonSaturatingLoss(), VanillaLoss()])
def test_comes_back_from_its_config(loss):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(again) is type(loss)


def test_feature_matching_is_the_mean_over_layers_of_mean_absolute_differences():
    rng = np.random.default_rng(0)
    shapes = [(2, 8, 8, 4), (2, 4, 4, 8), (2, 2, 2, 1)]
    real, fake = ([rng.normal(size=shape).astype("float32") for shape in shapes] for _ in range(2))
    expected = np.mean([np.abs(x - y).mean() for x, y in zip(real, fake, strict=True)])
    assert float(feature_matching_loss(real, fake)) == pytest.approx(expected, rel=1e-5)
    assert float(feature_matching_loss(real, real)) == 0.0


def test_feature_matching_reaches_the_generated_side_alone():
    real, fake = tf.constant([[1.0, 2.0]]), tf.constant([[3.0, 1.0]])
    with tf.GradientTape() as tape:
        tape.watch([real, fake])
        value = feature_matching_loss([real], [fake])
    of_real, of_fake = tape.gradient(value, [real, fake])
    assert of_real is None
    assert of_fake.numpy().tolist() == [[0.5, -0.5]]


def test_feature_matching_of_logits_alone_is_zero():
    value = feature_matching_loss([], [])
    assert float(value) == 0.0
    assert value.dtype == "float32"


def test_feature_matching_needs_equally_many_layers():
    with pytest.raises(ValueError, match="zip"):
        feature_matching_loss([np.zeros((1, 2))], [np.zeros((1, 2))] * 2)


def test_feature_matching_sums_half_precision_in_float32():
    value = feature_matching_loss([tf.ones((70_000,), "float16")], [tf.zeros((70_000,), "float16")])
    assert value.dtype == "float32"
    assert float(value) == 1.0


@pytest.mark.parametrize(
    ("reconstruction", "adversarial", "maximum", "expected"),
    [
        ([3.0, 4.0], [0.6, 0.8], 1e4, 5.0 / 1.0001),
        ([0.0, 0.0], [0.6, 0.8], 1e4, 0.0),
        ([3.0, 4.0], [0.0, 0.0], 1e6, 5.0e4),
        ([3.0, 4.0], [0.0, 0.0], 1e4, 1e4),
        ([3.0, 4.0], [1.0, 0.0], 2.0, 2.0),
    ],
)
def test_the_weight_is_the_clipped_ratio_of_the_norms(reconstruction, adversarial, maximum, expected):
    weight = adaptive_weight(tf.constant(reconstruction), tf.constant(adversarial), maximum)
    assert weight.dtype == "float32"
    assert float(weight) == pytest.approx(expected, rel=1e-5)


def test_the_weight_makes_the_gradients_equally_long_in_any_shape():
    rng = np.random.default_rng(0)
    reconstruction, adversarial = (scale * rng.normal(size=(3, 3, 8, 3)) for scale in (5.0, 0.7))
    weight = float(adaptive_weight(tf.constant(reconstruction), tf.constant(adversarial)))
    assert weight * np.linalg.norm(adversarial) == pytest.approx(np.linalg.norm(reconstruction), rel=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_weight_is_zero_where_a_gradient_is_not_finite(bad):
    good, bad = tf.constant([1.0, 2.0]), tf.constant([1.0, bad])
    assert float(adaptive_weight(bad, good)) == 0.0
    assert float(adaptive_weight(good, bad)) == 0.0
    assert float(adaptive_weight(bad, bad)) == 0.0


def test_the_weight_has_no_gradient():
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        weight = adaptive_weight(x, x * 2.0)
    assert tape.gradient(weight, x) is None


def test_the_norms_of_half_precision_gradients_do_not_overflow():
    gradient = tf.fill((1000,), tf.constant(300.0, "float16"))
    assert float(adaptive_weight(gradient, tf.cast(gradient, "float32") / 2.0)) == pytest.approx(2.0, rel=1e-4)
