import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.quantizers import EMAVectorQuantizer
from vqzoo.quantizers import GaussianQuantizer
from vqzoo.quantizers import GroupedQuantizer
from vqzoo.quantizers import ResidualQuantizer
from vqzoo.quantizers import VectorQuantizer

GRIDS = [(7,), (2, 3), (2, 3, 2)]


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def vector(codebook, kind=VectorQuantizer, **options):
    """A quantizer with this codebook."""
    made = kind(len(codebook), **options)
    made.build((None, None, len(codebook[0])))
    made.assign_codebook(codebook)
    return made


def grouped(*quantizers, channels):
    made = GroupedQuantizer(list(quantizers))
    made.build((None, None, channels))
    return made


def test_typed_out_tokens_latents_and_losses():
    layer = grouped(vector([[0.0, 0.0], [1.0, 0.0]]), vector([[5.0, 5.0], [9.0, 5.0], [5.0, 9.0]]), channels=4)
    quantized = layer(np.array([[[0.75, 0.0, 5.5, 8.0], [0.0, 0.5, 8.0, 5.0]]], "float32"))
    assert quantized.tokens.numpy().tolist() == [[[1, 2], [0, 1]]]
    assert quantized.latents.numpy().tolist() == [[[1.0, 0.0, 5.0, 9.0], [0.0, 0.0, 9.0, 5.0]]]
    # Squares 0.0625, 0.25, 1 and 0.25, 1: the mean over all eight numbers.
    expected = (0.0625 + 0.25 + 1 + 0.25 + 1) / 8
    assert {name: float(loss) for name, loss in quantized.losses.items()} == {
        "codebook": expected,
        "commitment": expected,
    }
    assert (layer.codebook_sizes, layer.num_codebooks, layer.loss_names) == ((2, 3), 2, ("codebook", "commitment"))


@pytest.mark.parametrize("grid", GRIDS)
def test_any_result_is_the_best_of_all_products(grid):
    """The nearest of all K^G concatenated codes is the concatenation of each group's nearest."""
    codebooks = [random(5, 2, seed=i) for i in range(3)]
    layer = grouped(*map(vector, codebooks), channels=6)
    latents = random(3, *grid, 6, seed=9)
    products = np.stack(np.meshgrid(*(range(5) for _ in range(3)), indexing="ij"), axis=-1).reshape(-1, 3)
    codes = np.concatenate([book[products[:, g]] for g, book in enumerate(codebooks)], axis=1).astype("float64")
    best = ((latents[..., None, :] - codes) ** 2).sum(axis=-1).argmin(axis=-1)
    quantized = layer(latents)
    np.testing.assert_array_equal(quantized.tokens, products[best])
    np.testing.assert_allclose(quantized.latents, codes[best], rtol=1e-6)
    np.testing.assert_array_equal(layer.encode(latents), products[best])
    np.testing.assert_array_equal(layer.decode(products[best]), quantized.latents)
    for name in layer.loss_names:
        assert float(quantized.losses[name]) == pytest.approx(((latents - codes[best]) ** 2).mean(), rel=1e-5)


def test_gradients_stay_in_their_group():
    layer = grouped(vector(random(5, 2)), vector(random(4, 2, seed=1)), channels=4)
    latents, weights = tf.constant(random(1, 6, 4, seed=9)), random(1, 6, 4, seed=2)
    tables = [quantizer.codebook.value for quantizer in layer.quantizers]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(latents)
        quantized = layer(latents, training=True)
        total = keras.ops.sum(quantized.latents * weights)
        of_first = keras.ops.sum(quantized.latents[..., :2])
    np.testing.assert_allclose(tape.gradient(total, latents), weights)
    assert tape.gradient(of_first, latents).numpy()[0].tolist() == [[1.0, 1.0, 0.0, 0.0]] * 6
    assert tape.gradient(total, tables) == [None, None]
    left = latents.numpy() - quantized.latents.numpy()
    np.testing.assert_allclose(tape.gradient(quantized.losses["commitment"], latents), 2 * left / 24, rtol=1e-5)
    assert tape.gradient(quantized.losses["commitment"], tables) == [None, None]
    assert tape.gradient(quantized.losses["codebook"], latents) is None
    for group, gradient in enumerate(tape.gradient(quantized.losses["codebook"], tables)):
        chosen = quantized.tokens.numpy()[0, :, group]
        part = left[0, :, 2 * group : 2 * group + 2]
        expected = [-2 * part[chosen == k].sum(axis=0) / 24 for k in range(tables[group].shape[0])]
        np.testing.assert_allclose(tf.convert_to_tensor(gradient), expected, rtol=1e-4, atol=1e-7)


def test_groups_of_residual_quantizers_are_group_major():
    residuals = [
        ResidualQuantizer([vector(random(size, 2, seed=10 * g + size)) for size in sizes])
        for g, sizes in enumerate(((5, 4), (3, 6)))
    ]
    layer = grouped(*residuals, channels=4)
    latents = random(2, 7, 4, seed=9)
    assert layer.codebook_sizes == (5, 4, 3, 6)
    quantized = layer(latents)
    for group, quantizer in enumerate(residuals):
        part = slice(2 * group, 2 * group + 2)
        np.testing.assert_array_equal(quantized.tokens[..., part], quantizer.encode(latents[..., part]))
        np.testing.assert_array_equal(quantized.latents[..., part], quantizer(latents[..., part]).latents)
    # Only whole groups decode: the first tokens are all of the first group's.
    with pytest.raises(ValueError, match="num_codebooks=4. Received: shape="):
        layer.decode(quantized.tokens[..., :2])


def test_groups_of_other_kinds_put_side_by_side_what_they_give():
    gaussian = GaussianQuantizer(vector(random(6, 3, seed=1)), 3)
    layer = grouped(vector(random(5, 4), EMAVectorQuantizer, kmeans_steps=0), gaussian, channels=8)
    latents = random(2, 7, 8, seed=9)
    quantized = layer(latents)
    assert layer.loss_names == ("commitment", "codebook", "kl") == tuple(quantized.losses)
    parts = [layer.quantizers[0](latents[..., :4]), gaussian(latents[..., 4:])]
    np.testing.assert_array_equal(quantized.latents, np.concatenate([part.latents for part in parts], axis=-1))
    assert quantized.latents.shape == (2, 7, 7)
    np.testing.assert_array_equal(layer.decode(quantized.tokens), quantized.latents)
    commitments = [float(part.losses["commitment"]) for part in parts]
    assert float(quantized.losses["commitment"]) == pytest.approx(np.mean(commitments), rel=1e-6)
    for name in ("codebook", "kl"):  # of one group alone
        assert float(quantized.losses[name]) == pytest.approx(float(parts[1].losses[name]), rel=1e-6)


def test_training_and_masks_reach_every_group():
    layer = grouped(*(vector(random(5, 2, seed=i), EMAVectorQuantizer, kmeans_steps=0) for i in range(2)), channels=4)
    latents, mask = random(3, 7, 4, seed=9), np.random.default_rng(5).random((3, 7)) < 0.6
    spoilt = np.where(mask[..., None], latents, np.nan)
    tokens = layer.encode(latents).numpy()
    np.testing.assert_array_equal(layer.encode(spoilt, mask), np.where(mask[..., None], tokens, 0))
    quantized = layer(spoilt, training=True, mask=mask)
    np.testing.assert_array_equal(quantized.tokens, np.where(mask[..., None], tokens, 0))
    left = (latents - quantized.latents.numpy())[mask]
    assert float(quantized.losses["commitment"]) == pytest.approx((left**2).mean(), rel=1e-5)
    for group, quantizer in enumerate(layer.quantizers):
        counts = 0.99 + 0.01 * np.bincount(tokens[..., group][mask], minlength=5)
        np.testing.assert_allclose(quantizer.counts, counts, rtol=1e-5)


def test_config_round_trip_keeps_shared_groups():
    shared = VectorQuantizer(5)
    layer = GroupedQuantizer([shared, EMAVectorQuantizer(6), shared])
    config = layer.get_config()
    assert config["quantizers"][2] == 0
    copy = GroupedQuantizer.from_config(config)
    assert copy.get_config() == config
    assert copy.quantizers[0] is copy.quantizers[2]
    assert copy.codebook_sizes == (5, 6, 5)


def test_the_portable_form_gives_the_same_tokens_and_codes():
    residual = ResidualQuantizer([vector(random(size, 2, seed=size)) for size in (5, 4)])
    layer = grouped(residual, vector(random(6, 2, seed=1)), channels=4)
    latents, tokens = keras.Input((None, None, 4)), keras.Input((None, None, 3), dtype="int32")
    encoder = keras.Model(latents, layer.portable_encode(latents))
    decoder = keras.Model(tokens, layer.portable_decode(tokens))
    x = random(2, 5, 8, 4, seed=9)
    np.testing.assert_array_equal(encoder(x), layer.encode(x))
    np.testing.assert_array_equal(decoder(layer.encode(x)), layer(x).latents)


@pytest.mark.parametrize("shape", [(None, None, 4), (1, 7, 2)])
def test_channels_split_into_equal_groups(shape):
    message = (
        f"equal groups. Received: {shape[-1]} channels for 3 groups. Give the encoder's last layer a multiple of 3"
    )
    with pytest.raises(ValueError, match=message):
        GroupedQuantizer([VectorQuantizer(3)] * 3).build(shape)


def test_the_channels_are_known_and_checked():
    with pytest.raises(ValueError, match=r"must be known.*Received: input shape \(None, None\)"):
        GroupedQuantizer([VectorQuantizer(3)]).build((None, None))
    layer = grouped(vector(random(3, 2)), vector(random(3, 2)), channels=4)
    for run in (layer, layer.encode):
        with pytest.raises(ValueError, match=r"latent_dim=4. Received: shape=\(1, 5, 6\)"):
            run(random(1, 5, 6))


def test_tokens_out_of_range_name_their_codebook():
    layer = grouped(vector(random(3, 2)), vector(random(5, 2)), channels=4)
    with pytest.raises(ValueError, match=r"codebook 1 must be in \[0, 5\). Received: values from 5 to 5"):
        layer.decode([[[2, 5]]])
    clipped = tf.function(layer.decode)(tf.constant([[[9, -4]]]))
    np.testing.assert_array_equal(clipped, layer.decode([[[2, 0]]]))
