import numpy as np
import pytest

from vqzoo.networks.sequence import TimeConv1D
from vqzoo.networks.sequence import UpsampleConv1D


def random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def built(layer, x):
    layer(x)
    layer.bias.assign(np.arange(layer.bias.shape[0]) / 10)
    return layer


@pytest.mark.parametrize(("size", "stride"), [(7, 1), (1, 1), (4, 2), (3, 3), (8, 4), (5, 2)])
@pytest.mark.parametrize("length", [1, 6, 11])
def test_positions_are_those_of_the_formula_at_every_length(size, stride, length):
    x = random(2, length, 3)
    layer = built(TimeConv1D(5, size, stride), x)
    kernel, before = layer.kernel.numpy(), (size - stride) // 2
    padded = np.pad(x, ((0, 0), (before, size), (0, 0)))
    expected = [
        np.einsum("bkc,kcf->bf", padded[:, i : i + size], kernel) + layer.bias.numpy() for i in range(0, length, stride)
    ]
    np.testing.assert_allclose(layer(x), np.stack(expected, 1), atol=1e-5)
    assert layer(x).shape == layer.compute_output_shape(x.shape)
    portable = layer.portable()
    portable(x)
    portable.set_weights(layer.get_weights())
    np.testing.assert_allclose(portable(x), layer(x), atol=1e-6)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_padded_item_has_what_it_has_alone(stride):
    x = random(2, 12, 3)
    mask = np.arange(12) < np.array([[7], [12]])
    layer = built(TimeConv1D(5, 2 * stride + 1, stride), x)
    y = layer(np.where(mask[..., None], x, np.nan).astype("float32"), mask=mask).numpy()
    alone = -(-7 // stride)
    np.testing.assert_allclose(y[0, :alone], layer(x[:1, :7])[0], atol=1e-6)
    np.testing.assert_array_equal(layer.compute_mask(x, mask)[0], np.arange(y.shape[1]) < alone)


def test_upsampling_is_a_convolution_to_phases():
    x = random(2, 6, 3)
    layer = built(UpsampleConv1D(4, 3, kernel_size=3), x)
    y = layer(x).numpy()
    assert y.shape == (2, 18, 4) == layer.compute_output_shape(x.shape)
    padded, kernel = np.pad(x, ((0, 0), (1, 1), (0, 0))), layer.kernel.numpy()
    for phase in range(3):
        filters = slice(4 * phase, 4 * phase + 4)
        expected = sum(padded[:, k : k + 6] @ kernel[k, :, filters] for k in range(3)) + layer.bias.numpy()[filters]
        np.testing.assert_allclose(y[:, phase::3], expected, atol=1e-5)
    mask = np.array([[True] * 4 + [False] * 2, [True] * 6])
    masked = layer(np.where(mask[..., None], x, np.nan).astype("float32"), mask=mask)
    np.testing.assert_allclose(masked[0, :12], layer(x[:1, :4])[0], atol=1e-6)
    np.testing.assert_array_equal(layer.compute_mask(x, mask)[0], np.arange(18) < 12)


def test_variance_stays_at_the_start():
    x = random(4, 400, 64)
    assert 0.8 < np.var(UpsampleConv1D(64, 4)(x)) < 1.2
    assert 0.8 < np.var(TimeConv1D(64, 7)(x)) < 1.2


def test_errors():
    with pytest.raises(ValueError, match="`kernel_size` at least `stride`.*kernel_size=2, stride=3"):
        TimeConv1D(4, 2, 3)
    with pytest.raises(ValueError, match="`factor` must be at least 1, and `kernel_size` odd.*factor=0"):
        UpsampleConv1D(4, 0)
    for layer in (TimeConv1D(4, 3), UpsampleConv1D(4, 2)):
        with pytest.raises(ValueError, match="The number of channels of the input must be known"):
            layer.build((None, None, None))
