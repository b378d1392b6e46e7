import keras
import numpy as np
import pytest
import tensorflow as tf

import vqzoo
from vqzoo.networks import audio
from vqzoo.networks import image
from vqzoo.tokenizers.audio.windows import windows_along

SMALL = {"frame_length": 64, "hop_length": 16, "filters": 8, "blocks": 2}


def noise(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


def codes(seed):
    return vqzoo.EMAVectorQuantizer(32, keras.initializers.RandomNormal(stddev=0.5, seed=seed))


def residual():
    return vqzoo.quantizers.ResidualQuantizer([codes(0), codes(1), codes(2)], 0.5, seed=0)


def make(time_stride=1, channels=1, quantizer=None, attention=0):
    network = {**SMALL, "time_stride": time_stride, "attention": attention}
    return vqzoo.spectrogram_vqvae(8000, channels, bands=8, latent_dim=4, quantizer=quantizer or residual(), **network)


def test_rates():
    tokenizer = make(time_stride=2)
    assert (tokenizer.stride, tokenizer.sample_rate, tokenizer.frame_rate) == (32, 8000, 250.0)
    assert tokenizer.kilobits_per_second() == 250 * 15 / 1000
    assert tokenizer.kilobits_per_second(1) == 250 * 5 / 1000


def test_the_default_fits_in_3_kilobits():
    assert vqzoo.spectrogram_vqvae(filters=8, blocks=1).kilobits_per_second() == 2.5


@pytest.mark.parametrize("time_stride", [1, 3])
def test_any_length_comes_back_exactly(time_stride):
    tokenizer = make(time_stride)
    for length in np.random.default_rng(0).integers(1, 3000, 200):
        tokens = tokenizer.encode(noise(1, length, 1))
        assert tokens.shape == (1, -(-length // (16 * time_stride)), 3)
        decoded = tokenizer.decode(tokens, length=int(length))
        assert decoded.shape == (1, length, 1)
    np.testing.assert_array_equal(decoded, tokenizer.decode(tokens)[:, :length])


@pytest.mark.parametrize(
    ("make_quantizer", "time_stride", "attention"), [(residual, 2, 1), (lambda: codes(3), 1, 0)], ids=["2-1", "1-0"]
)
def test_a_padded_batch_gives_each_item_what_it_has_alone(make_quantizer, time_stride, attention):
    tokenizer = make(time_stride, quantizer=make_quantizer(), attention=attention)
    lengths = np.array([700, 333, 48, 1])
    x = noise(4, 700, 1)
    x[np.arange(700) >= lengths[:, None]] = 1.2
    tokens = tokenizer.encode(x, lengths=lengths).numpy()
    decoded = tokenizer.decode(tokens, lengths=lengths).numpy()
    assert decoded.shape == (4, 700, 1)
    for i, length in enumerate(lengths):
        alone = tokenizer.encode(x[i : i + 1, :length]).numpy()
        np.testing.assert_array_equal(tokens[i, : alone.shape[1]], alone[0])
        assert not tokens[i, alone.shape[1] :].any()
        again = tokenizer.decode(alone, length=int(length))
        np.testing.assert_allclose(decoded[i, :length], again[0], atol=1e-5)
        assert not decoded[i, length:].any()
    assert len(np.unique(tokens)) > 3 and np.std(decoded) > 0.01
    np.testing.assert_array_equal(tokenizer.encode(x, lengths=lengths, batch_size=3), tokens)
    np.testing.assert_allclose(tokenizer.decode(tokens, lengths=lengths, batch_size=3), decoded, atol=1e-6)
    assert np.any(tokenizer.encode(x).numpy()[1] != tokens[1])
    result = tokenizer(x, mask=np.arange(700) < lengths[:, None])
    np.testing.assert_array_equal(result.tokens, tokens)
    np.testing.assert_allclose(result.signal, decoded, atol=1e-5)


def test_lengths_inside_a_pipeline():
    tokenizer = make()
    x, lengths = noise(3, 200, 1), np.array([200, 90, 33])
    pairs = tf.data.Dataset.from_tensor_slices((x, lengths)).batch(3)
    tokens = next(iter(pairs.map(tokenizer.encode)))
    np.testing.assert_array_equal(tokens, tokenizer.encode(x, lengths=lengths))
    again = pairs.map(lambda x, n: tokenizer.decode(tokenizer.encode(x, n), lengths=n, length=150))
    np.testing.assert_allclose(next(iter(again)), tokenizer.decode(tokens, lengths=lengths, length=150), atol=1e-6)


def test_windows_of_an_axis():
    # As few tokens of context as there are at the ends.
    windows = windows_along(tokens=10, size=4, overlap=3)
    assert [(w.source.start, w.source.stop) for w in windows] == [(0, 7), (1, 10), (5, 10)]
    assert [(w.target.start, w.target.stop) for w in windows] == [(0, 4), (4, 8), (8, 10)]
    assert [(w.inner.start, w.inner.stop) for w in windows] == [(0, 4), (3, 7), (3, 5)]


@pytest.mark.parametrize(("time_stride", "channels"), [(1, 1), (2, 2), pytest.param(3, 1, marks=pytest.mark.slow)])
def test_windows_give_what_the_whole_gives(time_stride, channels):
    tokenizer = make(time_stride, channels)
    x, lengths = noise(2, 4001, channels), [4001, 900]
    tokens, of_lengths = tokenizer.encode(x), tokenizer.encode(x, lengths=lengths)
    for window in (1, 500, 3000, 10_000):
        if window > 1 or time_stride == 3:
            np.testing.assert_array_equal(tokenizer.encode(x, window=window, batch_size=1), tokens)
            np.testing.assert_array_equal(tokenizer.encode(x, lengths=lengths, window=window), of_lengths)
            first = tokenizer.encode(x, num_codebooks=1, window=window)
            np.testing.assert_array_equal(first, tokens[..., :1])
            for options in ({}, {"length": 1234}, {"length": 4001, "lengths": lengths}, {"lengths": [70, 900]}):
                whole = tokenizer.decode(tokens, **options).numpy()
                in_windows = tokenizer.decode(tokens, window=window, **options)
                assert whole.std() > 0.01 and whole.shape[1] == options.get("length", whole.shape[1])
                np.testing.assert_allclose(in_windows, whole, atol=1e-5)
    assert len(np.unique(tokens)) > 10


def test_without_overlap_tokens_at_the_borders_differ():
    tokenizer = make()
    x = noise(1, 8000, 1)
    tokens, cut = tokenizer.encode(x).numpy(), tokenizer.encode(x, window=800, overlap=0).numpy()
    wrong = np.any(cut != tokens, axis=(0, 2)).reshape(10, 50)
    assert wrong[:, 20:30].sum() == 0 < wrong[1:, 0].sum()


def test_windows_bound_what_the_networks_see(monkeypatch):
    tokenizer = make()
    seen, encode = [], tokenizer._encode
    monkeypatch.setattr(tokenizer, "_encoding", lambda n: lambda x, real: seen.append(x.shape[1]) or encode(x, real, n))
    tokenizer.encode(noise(1, 20_000, 1), window=1000)
    reach = audio.network_reach(tokenizer.encoder)
    assert len(seen) == 20 and max(seen) <= 1008 + 2 * (reach + 16)


def test_the_first_codebooks():
    tokenizer = make()
    x = noise(2, 500, 1)
    tokens = tokenizer.encode(x)
    for count in (1, 2, 3):
        np.testing.assert_array_equal(tokenizer.encode(x, num_codebooks=count), tokens[..., :count])
        latents = tokenizer.quantizer.decode(tokens, num_codebooks=count)
        expected = tokenizer.decoder(latents)
        np.testing.assert_allclose(tokenizer.decode(tokens[..., :count]), expected, atol=1e-5)
    # Grids of many lengths do not relax the number of codebooks.
    for length in (100, 200, 300, 400):
        assert tokenizer.encode(noise(1, length, 1), num_codebooks=2).shape[2] == 2
        few = tokenizer.decode(tokens[:, : length // 16, :2])
        np.testing.assert_allclose(few.shape, (2, length // 16 * 16, 1))
    assert np.abs(tokenizer.decode(tokens) - tokenizer.decode(tokens[..., :1])).max() > 0.01


def test_a_single_codebook_is_all_of_them():
    tokenizer = make(quantizer=codes(0))
    x = noise(1, 100, 1)
    np.testing.assert_array_equal(tokenizer.encode(x, num_codebooks=1), tokenizer.encode(x))
    with pytest.raises(
        ValueError, match=r"EMAVectorQuantizer has 1 codebooks, of which the first \[1\] can.*Received: 2 codebooks"
    ):
        tokenizer.encode(x, num_codebooks=2)
    with pytest.raises(ValueError, match="without the others. Received: 4 codebooks"):
        make().encode(x, num_codebooks=4)


def test_saved_and_loaded(tmp_path):
    tokenizer = make(time_stride=2, channels=2)
    tokenizer.save_to_preset(tmp_path / "preset")
    again = vqzoo.AudioTokenizer.from_preset(tmp_path / "preset")
    x = noise(2, 500, 2)
    lengths = [500, 77]
    np.testing.assert_array_equal(again.encode(x, lengths=lengths), tokenizer.encode(x, lengths=lengths))
    assert (again.sample_rate, again.stride, again.frame_rate) == (8000, 32, 250.0)
    metadata = (tmp_path / "preset" / "metadata.json").read_text()
    assert '"sample_rate": 8000' in metadata and '"kilobits_per_second": 3.75' in metadata


def test_an_empty_batch():
    tokenizer = make()
    assert tokenizer.encode(noise(0, 100, 1)).shape == (0, 7, 3)
    assert tokenizer.decode(np.zeros((0, 7, 3), "int32"), length=100).shape == (0, 100, 1)


def test_wrong_lengths():
    tokenizer = make()
    x = noise(2, 100, 1)
    tokens = tokenizer.encode(x)
    for lengths in ([100], [[100, 50]], [1.0, 2.0]):
        with pytest.raises(ValueError, match=r"`lengths` must be integers of the shape \(2,\)"):
            tokenizer.encode(x, lengths=lengths)
    for lengths in ([100, 0], [101, 5]):
        with pytest.raises(ValueError, match=r"must be from 1 to 100, the length of the batch.*Leave empty items out"):
            tokenizer.encode(x, lengths=lengths)
    with pytest.raises(ValueError, match="must be from 1 to 112"):
        tokenizer.decode(tokens, lengths=[113, 5])
    for length in (0, 113, 5.0, (5,)):
        with pytest.raises(ValueError, match=r"`length` must be from 1 to 112, the number of samples"):
            tokenizer.decode(tokens, length=length)


def test_wrong_windows():
    tokenizer, attentive = make(), make(attention=1)
    x = noise(1, 100, 1)
    for window in (0, 1.5, "all"):
        with pytest.raises(ValueError, match="`window` must be a number of samples, an integer of at least 1"):
            tokenizer.encode(x, window=window)
    with pytest.raises(ValueError, match="`overlap` must be a number of samples, an integer of at least 0.*overlap=-1"):
        tokenizer.encode(x, window=50, overlap=-1)
    with pytest.raises(ValueError, match="uses all positions or does not declare it. Give `overlap`"):
        attentive.encode(x, window=50)
    assert attentive.encode(x, window=50, overlap=50).shape == (1, 7, 3)
    with pytest.raises(ValueError, match="`window` works only in eager calls. Received: window=50 inside a graph"):
        tf.data.Dataset.from_tensors(x).map(lambda x: tokenizer.encode(x, window=50))


def test_wrong_parts():
    encoder = audio.spectrogram_encoder(4, 8000, bands=8, **SMALL)
    decoder = audio.spectrogram_decoder(4, **SMALL)
    for rate in (0, 8000.0, "8k"):
        with pytest.raises(ValueError, match="`sample_rate` is a positive integer, in Hz"):
            vqzoo.AudioTokenizer(encoder, codes(0), decoder, sample_rate=rate)
    unbuilt = vqzoo.AudioTokenizer(encoder, codes(0), decoder, sample_rate=8000)
    with pytest.raises(ValueError, match="The stride is known only after `build`"):
        _ = unbuilt.stride
    clip, grid = keras.Input((64, 1)), keras.Input((2, 2, 4))
    to_grid = keras.Model(clip, keras.layers.Reshape((2, 2, 4))(encoder(clip)))
    from_grid = keras.Model(grid, decoder(keras.layers.Reshape((4, 4))(grid)))
    with pytest.raises(
        ValueError, match=r"must be sequences .* Received: latents \(1, 2, 2, 4\) and tokens \(1, 2, 2, 1\)"
    ):
        vqzoo.AudioTokenizer(to_grid, codes(0), from_grid, 8000).build((None, 64, 1))
    pictures = image.convolutional_encoder(4, filters=4), image.convolutional_decoder(4, filters=4)
    with pytest.raises(ValueError, match=r"Waveforms must have shape \(batch, samples, channels\)"):
        vqzoo.AudioTokenizer(pictures[0], codes(0), pictures[1], 8000).build((None, None, None, 3))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.slow)])
def test_half_precision_leaves_the_waveform_as_it_is(policy, monkeypatch):
    keras.config.set_dtype_policy(policy)
    try:
        tokenizer = make()
    finally:
        keras.config.set_dtype_policy("float32")
    tokenizer.build((None, None, 1))
    seen = []
    call = audio.LogMel.call
    monkeypatch.setattr(audio.LogMel, "call", lambda self, x, mask=None: seen.append(x) or call(self, x, mask))
    x = noise(2, 1000, 1)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(tokenizer))
    again.build((None, None, 1))
    for one in (tokenizer, again):
        assert one.encoder.get_layer("conv_in").compute_dtype == policy.removeprefix("mixed_")
        one(x)
        one(x, mask=np.ones((2, 1000), bool))
    single = tokenizer.in_float32()
    assert single.encoder.get_layer("conv_in").compute_dtype == "float32"
    single(x)
    assert len(seen) == 5
    for waveform in seen:
        np.testing.assert_array_equal(waveform, x)
