import keras
import numpy as np
import pytest

from vqzoo.networks.rotary import rotary_angles
from vqzoo.networks.rotary import rotate

RNG = np.random.default_rng(0)


def test_angles_of_one_axis_are_those_of_the_paper():
    angles = rotary_angles(np.array([[0], [1], [7]]), 8, base=10000.0)
    theta = 10000.0 ** (-2.0 * np.arange(4) / 8.0)
    np.testing.assert_allclose(angles, np.array([0.0, 1.0, 7.0])[:, None] * theta, rtol=1e-6)


def test_rows_and_columns_have_a_half_of_the_pairs_each():
    angles = np.asarray(rotary_angles(np.array([[2, 5]]), 8, base=100.0))
    np.testing.assert_allclose(angles, [[2.0, 0.2, 5.0, 0.5]], rtol=1e-6)


def test_turning_is_multiplication_of_complex_numbers():
    x = RNG.normal(size=(2, 3, 5, 8)).astype("float32")
    angles = RNG.normal(size=(2, 5, 4)).astype("float32")
    turned = (x[..., :4] + 1j * x[..., 4:]) * np.exp(1j * angles)[:, None]
    np.testing.assert_allclose(rotate(x, angles), np.concatenate([turned.real, turned.imag], -1), atol=1e-6)


@pytest.mark.parametrize("axes", [1, 2])
def test_products_depend_on_distances_alone(axes):
    query, key = RNG.normal(size=(2, 1, 1, 1, 8)).astype("float32")

    def product(at, other):
        one, two = (rotate(x, rotary_angles(np.array([p]), 8)) for x, p in ((query, at), (key, other)))
        return float(keras.ops.sum(one * two))

    at, other, shift = RNG.integers(0, 50, (3, axes))
    assert product(at, other) == pytest.approx(product(at + shift, other + shift), abs=1e-4)
    assert product(at, other) != pytest.approx(product(at + 1, other), abs=1e-3)


def test_half_precision_is_turned_in_float32():
    x = keras.ops.cast(RNG.normal(size=(1, 1, 4, 8)), "bfloat16")
    angles = rotary_angles(np.array([[1000], [1001], [1002], [1003]]), 8)
    turned = rotate(x, angles)
    assert turned.dtype == x.dtype
    exact = rotate(keras.ops.cast(x, "float32"), angles)
    np.testing.assert_allclose(keras.ops.cast(turned, "float32"), exact, atol=0.02)


@pytest.mark.parametrize(("width", "axes"), [(7, 1), (6, 2)])
def test_channels_that_do_not_pair_are_refused(width, axes):
    with pytest.raises(ValueError, match=f"multiple of {2 * axes} channels"):
        rotary_angles(np.zeros((3, axes)), width)
