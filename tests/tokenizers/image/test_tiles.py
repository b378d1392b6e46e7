import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqzoo
from vqzoo.tokenizers.image.tiles import bands_of_tiles
from vqzoo.tokenizers.image.tiles import decoding_tiles
from vqzoo.tokenizers.image.tiles import encoding_tiles
from vqzoo.tokenizers.image.tiles import grid_of
from vqzoo.tokenizers.image.tiles import tiles_along


def images(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


def codes(size=64, seed=1):
    return vqzoo.VectorQuantizer(size, keras.initializers.RandomNormal(stddev=0.02, seed=seed), name=f"codes_{seed}")


def make(stride=4, channels=3, quantizer=None):
    return vqzoo.image_vqvae(channels, 8, stride, latent_dim=4, quantizer=quantizer or codes())


def spy(monkeypatch, tokenizer, name):
    """The shapes that a compiled function of the tokenizer sees from now on."""
    shapes, function = [], getattr(tokenizer, name)
    monkeypatch.setattr(tokenizer, name, lambda part: shapes.append(tuple(part.shape)) or function(part))
    return shapes


def test_tiles_of_an_axis():
    first, second = decoding_tiles(tokens=10, stride=4, tile_size=16, tile_margin=4)
    assert first[:2] == (slice(0, 6), slice(0, 24))
    assert second[:2] == (slice(4, 10), slice(16, 40))
    # They share the pixels 16 to 24 and fade from 18 to 22.
    fade = [0.875, 0.625, 0.375, 0.125]
    np.testing.assert_array_equal(first.weights, [1.0] * 18 + fade + [0.0] * 2)
    np.testing.assert_array_equal(second.weights, [0.0] * 2 + fade[::-1] + [1.0] * 18)


def test_tiles_of_pixels_are_short_of_whole_strides_as_the_picture_is():
    first, second = encoding_tiles(size=37, stride=4, tile_size=12, tile_margin=8)
    assert first[:2] == (slice(0, 25), slice(0, 7))
    assert second[:2] == (slice(12, 37), slice(3, 10))
    # They share the tokens 3 to 7 and fade from 4 to 6.
    np.testing.assert_array_equal(first.weights, [1.0] * 4 + [0.75, 0.25, 0.0])
    np.testing.assert_array_equal(second.weights, [0.0, 0.25, 0.75] + [1.0] * 4)


def test_sizes_are_rounded_up_to_whole_strides():
    rounded = tiles_along(tokens=40, stride=4, tile_size=13, tile_margin=5)
    assert rounded == tiles_along(tokens=40, stride=4, tile_size=16, tile_margin=8) != [(0, 40)]
    assert tiles_along(60, 4, tile_size=16) == tiles_along(60, 4, tile_size=16, tile_margin=40) != [(0, 60)]


@pytest.mark.parametrize("tokens", [1, 5, 7, 8, 29, 64, 101])
@pytest.mark.parametrize(("core", "margin"), [(1, 0), (4, 0), (5, 2), (1, 3), (16, 8)])
def test_tiles_cover_an_axis(tokens, core, margin):
    stride = 4
    tiles = decoding_tiles(tokens, stride, core * stride, margin * stride)
    total = np.zeros(tokens * stride)
    for tile in tiles:
        assert 0 <= tile.source.start < tile.source.stop <= tokens
        assert tile.source.stop - tile.source.start == tiles[0].source.stop <= core + 2 * margin
        # Half of the margin is seen and not used.
        used = np.nonzero(tile.weights)[0]
        assert tile.source.start == 0 or used[0] >= margin * stride // 2
        assert tile.source.stop == tokens or used[-1] < len(tile.weights) - margin * stride // 2
        assert tile.weights.min() >= 0
        total[tile.target] += tile.weights
    for before, after in itertools.pairwise(tiles):
        assert before.source.stop - after.source.start >= 2 * margin
    np.testing.assert_allclose(total, 1.0, atol=1e-6)


def test_a_little_over_one_tile_makes_two_of_half_the_size():
    assert tiles_along(21, 1, 16, 2) == [(0, 13), (8, 21)]
    assert tiles_along(20, 1, 16, 2) == [(0, 20)]


@pytest.mark.parametrize("stride", [2, 4, 8, 16])
def test_tokens_and_pixels_are_those_of_the_whole_picture(stride):
    tokenizer = make(stride, channels=1)
    x = images(2, 45 * stride + 1, 53 * stride - 1, 1)
    tokens = tokenizer.encode(x)
    assert len(np.unique(tokens)) > 10
    np.testing.assert_array_equal(tokenizer.encode(x, batch_size=5, tile_size=12 * stride), tokens)
    decoded = tokenizer.decode(tokens, size=x.shape[1:3])
    tiled = tokenizer.decode(tokens, size=x.shape[1:3], batch_size=5, tile_size=12 * stride)
    assert type(tiled) is type(decoded) and tiled.dtype == "float32"
    assert np.std(decoded) > 1e-3
    np.testing.assert_allclose(tiled, decoded, atol=1e-5 * np.std(decoded))


def test_without_a_margin_the_borders_of_tiles_differ():
    tokenizer = make()
    x = images(1, 160, 150, 3)
    tokens = tokenizer.encode(x)
    wrong = np.any(tokenizer.encode(x, tile_size=60, tile_margin=0) != tokens, axis=(0, 3))  # tiles of 14, 13 tokens
    assert wrong[:, 11:15].mean() > 0.2  # the second tile of a row begins at 13
    assert not wrong[:9, :8].any()
    decoded = tokenizer.decode(tokens, tile_size=60, tile_margin=0) - tokenizer.decode(tokens)
    assert np.abs(decoded[0, :, 48:56]).max() > 100 * np.abs(decoded[0, :32, :30]).max()


def test_tokens_of_a_tile_are_those_of_the_same_crop():
    tokenizer = make()
    x = images(1, 200, 180, 3)
    tokens = tokenizer.encode(x, tile_size=32)
    crop = tokenizer.encode(x[:, 40:160, 24:144])
    np.testing.assert_array_equal(tokens[:, 14:36, 10:32], crop[:, 4:-4, 4:-4])


def test_odd_sizes_keep_their_phase():
    """A strided 3x3 "same" convolution begins one pixel earlier in a picture of odd size."""
    encoder = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(8, 3, 2, "same", activation="relu"),
            keras.layers.Conv2D(4, 3, 2, "same"),
        ]
    )
    decoder = keras.Sequential([keras.Input((None, None, 4)), keras.layers.Conv2DTranspose(3, 4, 4, "same")])
    tokenizer = vqzoo.ImageTokenizer(encoder, codes(), decoder)
    tokenizer.build((None, None, None, 3))
    for size in ((101, 100), (102, 99), (103, 101)):
        x = images(1, *size, 3)
        tokens = tokenizer.encode(x)
        assert len(np.unique(tokens)) > 10
        np.testing.assert_array_equal(tokenizer.encode(x, tile_size=24, tile_margin=12), tokens)


def test_several_codebooks_and_unequal_strides():
    encoder = keras.Sequential([keras.Input((None, None, 1)), keras.layers.Conv2D(4, (4, 6), (2, 3), "same")])
    decoder = keras.Sequential([keras.Input((None, None, 4)), keras.layers.Conv2DTranspose(1, (4, 6), (2, 3), "same")])
    residual = vqzoo.quantizers.ResidualQuantizer([codes(16, 1), codes(32, 2)])
    tokenizer = vqzoo.ImageTokenizer(encoder, residual, decoder)
    tokenizer.build((None, None, None, 1))
    assert grid_of(tokenizer) == ((2, 3), 4)
    x = images(2, 61, 70, 1)
    tokens = tokenizer.encode(x)
    assert tokens.shape == (2, 31, 24, 2)
    np.testing.assert_array_equal(tokenizer.encode(x, tile_size=12, tile_margin=6), tokens)
    tiled = tokenizer.decode(np.asarray(tokens, "uint8"), (61, 70), tile_size=12, tile_margin=6)
    np.testing.assert_allclose(tiled, tokenizer.decode(tokens, (61, 70)), atol=1e-6)


def test_the_networks_see_batches_of_equal_tiles(monkeypatch):
    tokenizer = make()
    x = images(2, 150, 100, 3)  # 38 x 25 tokens
    tokens = tokenizer.encode(x)
    encoded = spy(monkeypatch, tokenizer, "_compiled_latents")
    decoded = spy(monkeypatch, tokenizer, "_compiled_decode")
    tokenizer.encode(x, batch_size=4, tile_size=40, tile_margin=16)
    # 3 x 2 tiles of 18 x 17 tokens, short of whole strides as the picture is.
    assert encoded == [(4, 70, 68, 3)] * 3
    tokenizer.decode(tokens, batch_size=3, tile_size=40, tile_margin=16)
    assert decoded == [(3, 18, 17, 1), (1, 18, 17, 1)] * 3
    encoded.clear()
    tokenizer.encode(x, tile_size=40, tile_margin=16)
    assert encoded == [(1, 70, 68, 3)] * 12  # one tile at once unless told otherwise


def test_small_pictures_run_whole(monkeypatch):
    tokenizer = make()
    x = images(1, 30, 50, 3)
    encoded = spy(monkeypatch, tokenizer, "_compiled_latents")
    decoded = spy(monkeypatch, tokenizer, "_compiled_decode")
    tokens = tokenizer.encode(x, tile_size=64)
    again = tokenizer.decode(tokens, size=(30, 50), tile_size=64)
    assert (encoded, decoded) == ([(1, 30, 50, 3)], [(1, 8, 13, 1)])
    np.testing.assert_array_equal(tokens, tokenizer.encode(x))
    np.testing.assert_array_equal(again, tokenizer.decode(tokens, size=(30, 50)))


def test_tiles_that_disagree_fade_into_each_other():
    """Normalisation and attention give each tile another brightness: no step may be left."""
    rows, columns = decoding_tiles(40, 4, 40, 32), decoding_tiles(64, 4, 48, 32)
    brightness = itertools.cycle([-1.0, 1.0, 0.5])
    seen = []

    def decode(tokens):
        seen.append(next(brightness))
        return keras.ops.full((1, tokens.shape[1] * 4, tokens.shape[2] * 4, 1), seen[-1])

    bands = list(bands_of_tiles(decode, np.zeros((1, 40, 64, 1), "int32"), rows, columns, 1, 1))
    assert [place for place, _ in bands] == [slice(0, 32), slice(32, 64), slice(64, 160)]
    decoded = np.concatenate([band for _, band in bands], axis=1)[0, ..., 0]
    assert len(seen) == len(rows) * len(columns) >= 6
    assert (decoded[0, 0], decoded[-1, -1]) == (seen[0], seen[-1])
    # From -1 to 1 within half of an overlap of 64 pixels.
    assert np.abs(np.diff(decoded, axis=0)).max() <= 2 / 32 + 1e-6
    assert np.abs(np.diff(decoded, axis=1)).max() <= 2 / 32 + 1e-6


def test_networks_that_normalise_run_in_tiles():
    network = {"filters": 8, "multipliers": (1, 2), "blocks": 1, "attention": (1,), "latent_dim": 4}
    tokenizer = vqzoo.image_vqgan(**network, quantizer=codes())
    x = images(1, 65, 80, 3)
    tokens = tokenizer.encode(x)
    tiled = tokenizer.encode(x, tile_size=32)
    assert tiled.shape == tokens.shape == (1, 33, 40, 1)
    assert np.mean(tiled == tokens) > 0.5
    whole = tokenizer.decode(tokens, size=(65, 80))
    decoded = tokenizer.decode(tokens, size=(65, 80), tile_size=32)
    assert np.corrcoef(np.ravel(decoded), np.ravel(whole))[0, 1] > 0.9


def test_empty_batches_and_other_float_types():
    tokenizer = make()
    assert tokenizer.encode(images(0, 50, 50, 3), tile_size=16).shape == (0, 13, 13, 1)
    assert tokenizer.decode(np.zeros((0, 13, 13, 1), "int32"), tile_size=16).shape == (0, 52, 52, 3)
    x = images(1, 50, 50, 3)
    tokens = tokenizer.encode(x)
    for same in (x.astype("float64"), tf.constant(x), x.tolist()):
        np.testing.assert_array_equal(tokenizer.encode(same, tile_size=np.int64(16)), tokens)


def test_what_is_no_tile_size_is_told():
    tokenizer = make()
    x = images(1, 16, 16, 3)
    tokens = tokenizer.encode(x)
    for size in (0, -4, 2.5, (8, 8)):
        with pytest.raises(ValueError, match=r"`tile_size` must be a number of pixels, an integer of at least 1."):
            tokenizer.encode(x, tile_size=size)
    with pytest.raises(ValueError, match=r"`tile_margin` must be a number of pixels, an integer of at least 0."):
        tokenizer.decode(tokens, tile_size=8, tile_margin=-1)
    with pytest.raises(ValueError, match="`batch_size` is a positive integer"):
        tokenizer.encode(x, batch_size=0, tile_size=8)
    with pytest.raises(ValueError, match="`batch_size` is a positive integer"):
        tokenizer.decode(tokens, batch_size=0, tile_size=8)


def test_values_are_checked_as_without_tiles(monkeypatch):
    tokenizer = make()
    shapes = spy(monkeypatch, tokenizer, "_compiled_decode")
    with pytest.raises(ValueError, match=r"Received: values up to 255 in magnitude"):
        tokenizer.encode(np.full((1, 8, 8, 3), -255.0), tile_size=8)
    with pytest.raises(ValueError, match=r"must be in \[0, 64\). Received: values from 64 to 64"):
        tokenizer.decode(np.full((1, 2, 2, 1), 64), tile_size=8)
    tokens = np.zeros((1, 4, 4, 1), "int32")
    with pytest.raises(ValueError, match=r"at most \(16, 16\) for these tokens. Received: size=\(17, 16\)"):
        tokenizer.decode(tokens, size=(17, 16), tile_size=8)
    with pytest.raises(ValueError, match=r"`size` must be \(height, width\) in pixels. Received: size=16"):
        tokenizer.decode(tokens, size=16, tile_size=8)
    with pytest.raises(ValueError, match=r"with a grid of \('any', 'any'\) .*Received: shape=\(1, 16, 1\)"):
        tokenizer.decode(tokens.reshape(1, 16, 1), tile_size=8)
    assert not shapes  # all of them before minutes of decoding


def test_tiles_in_a_graph_are_refused():
    tokenizer = make()
    data = tf.data.Dataset.from_tensors(images(1, 16, 16, 3))
    with pytest.raises(ValueError, match=r"works only in eager calls. Received: tile_size=8 inside a graph.*loop over"):
        data.map(lambda x: tokenizer.encode(x, tile_size=8))
    with pytest.raises(ValueError, match=r"works only in eager calls. Received: tile_size=8 inside a graph"):
        tf.function(lambda x: tokenizer.decode(x, tile_size=8))(np.zeros((1, 4, 4, 1), "int32"))


def test_what_has_no_stride_is_refused():
    dense = vqzoo.tokenizers.image_vqvae_dense((6, 6, 1), 4, (16,), 4, codes())
    with pytest.raises(ValueError, match=r"images of any size.*shape \(None, 6, 6, 1\) with VectorQuantizer. Leave"):
        dense.encode(images(1, 6, 6, 1), tile_size=4)

    good = make()
    scales = vqzoo.quantizers.MultiScaleResidualQuantizer(codes(), scales=(1, 2, 4))
    fixed = vqzoo.ImageTokenizer(good.encoder, scales, good.decoder)
    fixed.build((None, 16, 16, 3))
    for call in (
        lambda: fixed.encode(images(1, 16, 16, 3), tile_size=8),
        lambda: fixed.decode(np.zeros((1, 21, 1), "int32"), tile_size=8),
    ):
        with pytest.raises(ValueError, match=r"images of any size.*with MultiScaleResidualQuantizer. Leave `tile_si"):
            call()

    unbuilt = vqzoo.ImageTokenizer(good.encoder, codes(), good.decoder)
    with pytest.raises(ValueError, match=r"stride is known only after.*`tokenizer.build\(\(None, None, None, chan"):
        unbuilt.encode(images(1, 16, 16, 3), tile_size=8)


def test_networks_of_half_strides_are_refused():
    valid = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, 4, 2)])
    enlarge = keras.Sequential([keras.Input((None, None, 4)), keras.layers.Conv2DTranspose(3, 4, 2)])
    tokenizer = vqzoo.ImageTokenizer(valid, codes(), enlarge)
    tokenizer.build((None, None, None, 3))
    with pytest.raises(ValueError, match=r"ceil\(size / stride\).*and \(2047, 2047\) tokens of 4096x4096 pixels"):
        tokenizer.encode(images(1, 16, 16, 3), tile_size=8)

    same = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, 4, 2, "same")])
    tokenizer = vqzoo.ImageTokenizer(same, codes(), enlarge)
    tokenizer.build((None, None, None, 3))
    with pytest.raises(ValueError, match=r"\(8, 8, 1\) must have the shape \(16, 16, 3\).*Received: \(18, 18, 3\)"):
        tokenizer.decode(np.zeros((1, 8, 8, 1), "int32"), tile_size=16)
