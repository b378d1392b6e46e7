import keras
import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf

from vqzoo.metrics import FrechetDistance
from vqzoo.metrics import frechet_distance


def gaussian(seed, size, rank=None):
    """A mean and a covariance of some rank."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(rank or 3 * size, size)) * rng.uniform(0.1, 3.0, size)
    return rng.normal(size=size), rows.T @ rows / len(rows)


def by_sqrtm(mean1, cov1, mean2, cov2):
    root = scipy.linalg.sqrtm(cov1 @ cov2)
    return np.sum((mean1 - mean2) ** 2) + np.trace(cov1 + cov2 - 2 * root.real)


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_equals_the_root_of_the_product(size):
    first, second = gaussian(0, size), gaussian(1, size)
    expected = by_sqrtm(*first, *second)
    assert expected > 0.1
    assert frechet_distance(*first, *second) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(*second, *first) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("rank", [None, 20, 1])
def test_equal_gaussians_are_at_0_whatever_their_rank(rank):
    mean, cov = gaussian(0, 100, rank)
    assert frechet_distance(mean, cov, mean, cov) == pytest.approx(0.0, abs=1e-10 * np.trace(cov))
    assert frechet_distance(mean, cov, mean + 2.0, cov) == pytest.approx(400.0, rel=1e-9)


def test_gaussians_on_a_line():
    # (m1 - m2)^2 + (s1 - s2)^2.
    assert frechet_distance([1.0], [[4.0]], [-2.0], [[25.0]]) == pytest.approx(9.0 + 9.0)
    assert frechet_distance([1.0], [[4.0]], [1.0], [[0.0]]) == pytest.approx(4.0)


def test_covariances_that_commute_and_that_do_not():
    zero, turn = np.zeros(2), np.array([[0.6, -0.8], [0.8, 0.6]])
    first, second = np.diag([1.0, 9.0]), np.diag([4.0, 16.0])
    assert frechet_distance(zero, first, zero, second) == pytest.approx(1.0 + 1.0)
    assert frechet_distance(zero, turn @ first @ turn.T, zero, turn @ second @ turn.T) == pytest.approx(2.0)
    # Two by two: tr(root) = sqrt(tr(C1 C2) + 2 sqrt(det(C1 C2))).
    turned = turn @ second @ turn.T
    root = np.sqrt(np.trace(first @ turned) + 2 * np.sqrt(np.linalg.det(first @ turned)))
    assert frechet_distance(zero, first, zero, turned) == pytest.approx(30.0 - 2 * root)


def test_covariances_without_full_rank_lie_across():
    # Rank 1 each: the root's trace is |u . v|, where a general root of the product is not even defined.
    u, v = np.random.default_rng(0).normal(size=(2, 50))
    expected = u @ u + v @ v - 2 * abs(u @ v)
    zero = np.zeros(50)
    assert frechet_distance(zero, np.outer(u, u), zero, np.outer(v, v)) == pytest.approx(expected, rel=1e-9)


def test_eigenvalues_below_0_by_rounding_count_as_0():
    assert frechet_distance([0.0, 0.0], np.diag([1.0, -1e-17]), [0.0, 0.0], np.diag([1.0, 4.0])) == pytest.approx(4.0)


@pytest.mark.parametrize(
    "arguments",
    [
        (np.zeros(2), np.eye(2), np.zeros(3), np.eye(3)),
        (np.zeros(2), np.eye(3), np.zeros(2), np.eye(2)),
        (np.zeros((1, 2)), np.eye(2), np.zeros((1, 2)), np.eye(2)),
        (0.0, 1.0, 0.0, 1.0),
    ],
)
def test_shapes_must_fit(arguments):
    with pytest.raises(ValueError, match=r"Means must be \(features,\) and covariances .*Received: shapes \["):
        frechet_distance(*arguments)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("which", range(4))
def test_numbers_must_be_finite(value, which):
    arguments = [np.zeros(2), np.eye(2), np.zeros(2), np.eye(2)]
    arguments[which][0] = value
    with pytest.raises(ValueError, match="must be finite. Received: NaN or infinity"):
        frechet_distance(*arguments)


def test_covariances_must_be_symmetric():
    with pytest.raises(ValueError, match="A covariance must be symmetric.*Received: cov2="):
        frechet_distance(np.zeros(2), np.eye(2), np.zeros(2), [[1.0, 0.5], [0.0, 1.0]])


def network():
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.Dropout(0.5),
            keras.layers.BatchNormalization(),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )


def pictures(seed, count, size=8):
    return np.random.default_rng(seed).uniform(-1, 1, (count, size, size, 3)).astype("float32")


def expected_distance(judge, images, reconstructions):
    moments = []
    for x in (images, reconstructions):
        features = judge(x, training=False).numpy().astype("float64")
        moments += [features.mean(axis=0), np.cov(features, rowvar=False)]
    return by_sqrtm(*moments)


def test_batches_are_gathered():
    judge = network()
    images, changed = pictures(0, 21), 0.5 * pictures(1, 21) + 0.2
    metric = FrechetDistance(judge)
    for start, end in ((0, 8), (8, 16), (16, 17), (17, 17), (17, 21)):
        metric.update_state(images[start:end], changed[start:end])
    expected = expected_distance(judge, images, changed)
    assert expected > 0.01
    assert type(metric.result()) is float
    assert metric.result() == pytest.approx(expected, rel=1e-6)
    metric.reset_state()
    metric.update_state(images[:9], changed[3:10])  # nor equally many
    assert metric.result() == pytest.approx(expected_distance(judge, images[:9], changed[3:10]), rel=1e-6)


def test_pictures_of_several_sizes_and_kinds_of_tensors():
    judge = network()
    metric = FrechetDistance(judge)
    batches = [pictures(0, 6, 8), pictures(1, 5, 12)]
    for images in batches:
        metric.update_state(tf.constant(images), (0.5 * images).astype("float64"))
    features = [np.concatenate([judge(scale * x) for x in batches]).astype("float64") for scale in (1.0, 0.5)]
    moments = [moment for x in features for moment in (x.mean(axis=0), np.cov(x, rowvar=False))]
    assert metric.result() == pytest.approx(frechet_distance(*moments), rel=1e-5)


def test_the_same_pictures_in_another_order_are_at_0():
    images = pictures(0, 12)
    metric = FrechetDistance(network())
    metric.update_state(images, images[::-1])
    assert metric.result() == pytest.approx(0.0, abs=1e-10)


def test_features_far_from_0_keep_their_covariance():
    same = keras.Sequential([keras.Input((2,)), keras.layers.Activation("linear")])
    rng = np.random.default_rng(0)
    # Steps that float32 can hold at 1e6; their squares, 1e12, have no digit left for them in float32.
    first, second = (1e6 + rng.integers(-8, 9, (200, 2)) / 16 * scale for scale in (1.0, 2.0))
    metric = FrechetDistance(same)
    for start in range(0, 200, 10):
        metric.update_state(first[start : start + 10], second[start : start + 10])
    moments = [moment for x in (first, second) for moment in (x.mean(axis=0), np.cov(x, rowvar=False))]
    assert metric.result() == pytest.approx(by_sqrtm(*moments), rel=1e-6)


def test_fewer_signals_than_features_are_a_biased_sample():
    same = keras.Sequential([keras.Input((32,)), keras.layers.Activation("linear")])
    rng = np.random.default_rng(0)
    results = []
    for count in (8, 32, 512):
        metric = FrechetDistance(same)
        metric.update_state(rng.normal(size=(count, 32)), rng.normal(size=(count, 32)))
        results.append(metric.result())
    assert results[0] > 2 * results[1] > 8 * results[2] > 0  # both come from one Gaussian: the truth is 0


@pytest.mark.parametrize("counts", [(0, 0), (1, 1), (1, 5), (5, 1)])
def test_too_few_signals(counts):
    metric = FrechetDistance(network())
    if counts[0]:
        metric.update_state(pictures(0, counts[0]), pictures(1, counts[1]))
    with pytest.raises(ValueError, match=f"Received: {counts[0]} signals and {counts[1]} reconstructions"):
        metric.result()


def test_the_network_must_return_one_vector_for_each_picture():
    images = keras.Input((None, None, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(images)
    for outputs, shapes in (
        (keras.layers.Conv2D(2, 1)(images), r"\[\(3, 8, 8, 2\)\]"),
        ([pooled, keras.layers.Dense(5)(pooled)], r"\[\(3, 3\), \(3, 5\)\]"),
    ):
        metric = FrechetDistance(keras.Model(images, outputs))
        with pytest.raises(ValueError, match=r"must return one tensor \(batch, features\).*Received: .*" + shapes):
            metric.update_state(pictures(0, 3), pictures(1, 3))


def test_one_output_in_a_list_is_one_output():
    images = keras.Input((None, None, 3))
    metric = FrechetDistance(keras.Model(images, [keras.layers.GlobalAveragePooling2D()(images)]))
    x = pictures(0, 10)
    metric.update_state(x, x + 1.0)
    assert metric.result() == pytest.approx(3.0, rel=1e-5)
