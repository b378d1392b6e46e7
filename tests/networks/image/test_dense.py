import numpy as np
import pytest

from vqzoo.networks import image

# shape, positions, latent_dim, hidden
CASES = [
    ((28, 28, 1), 16, 64, (512, 256)),
    ((7, 5, 3), 4, 3, (11,)),
    ((3, 2, 4), 1, 6, ()),
    ((6, 6, 2), 9, 2, (8, 7, 5)),
]


def dense_stack(x, weights):
    """Fully connected layers with ReLU between, in numpy."""
    x = x.reshape(len(x), -1)
    pairs = list(zip(weights[::2], weights[1::2], strict=True))
    for i, (kernel, bias) in enumerate(pairs):
        x = x @ kernel + bias
        x = x if i == len(pairs) - 1 else np.maximum(x, 0.0)
    return x


def with_random_weights(model):
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(scale=w.shape[0] ** -0.5, size=w.shape) for w in model.get_weights()])
    return model


@pytest.mark.parametrize(("shape", "positions", "latent_dim", "hidden"), CASES)
def test_the_encoder_equals_numpy(shape, positions, latent_dim, hidden):
    encoder = with_random_weights(image.dense_encoder(latent_dim, shape, positions, hidden))
    x = np.random.default_rng(1).normal(size=(3, *shape)).astype("float32")
    expected = dense_stack(x, encoder.get_weights()).reshape(3, positions, latent_dim)
    np.testing.assert_allclose(encoder(x), expected, rtol=1e-4, atol=1e-4)
    assert encoder.compute_output_shape((3, *shape)) == expected.shape
    assert [w.shape[-1] for w in encoder.get_weights()[::2]] == [*hidden, positions * latent_dim]


@pytest.mark.parametrize(("shape", "positions", "latent_dim", "hidden"), CASES)
def test_the_decoder_equals_numpy(shape, positions, latent_dim, hidden):
    decoder = with_random_weights(image.dense_decoder(latent_dim, shape, positions, hidden))
    x = np.random.default_rng(1).normal(size=(3, positions, latent_dim)).astype("float32")
    expected = dense_stack(x, decoder.get_weights()).reshape(3, *shape)
    np.testing.assert_allclose(decoder(x), expected, rtol=1e-4, atol=1e-4)
    assert decoder.compute_output_shape((3, positions, latent_dim)) == expected.shape
    assert [w.shape[-1] for w in decoder.get_weights()[::2]] == [*hidden, np.prod(shape)]


def test_defaults_mirror_each_other():
    encoder, decoder = image.dense_encoder(64), image.dense_decoder(64)
    assert encoder.count_params() == 784 * 512 + 512 + 512 * 256 + 256 + 256 * 1024 + 1024
    assert decoder.count_params() == 1024 * 256 + 256 + 256 * 512 + 512 + 512 * 784 + 784
    assert (encoder.name, decoder.name) == ("encoder", "decoder")
