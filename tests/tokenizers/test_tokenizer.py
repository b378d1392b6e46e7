import keras
import numpy as np
import pytest
import tensorflow as tf

import vqzoo


def make(**kwargs):
    quantizer = vqzoo.VectorQuantizer(8, keras.initializers.RandomNormal(seed=1), name="quantizer")
    return vqzoo.image_vqvae(filters=8, blocks=1, latent_dim=4, quantizer=quantizer, **kwargs)


def images(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


def test_it_is_encoder_quantizer_decoder():
    tokenizer = make()
    x = images(2, 8, 12, 3)
    latents = tokenizer.encoder(x)
    distances = np.square(np.asarray(latents)[..., None, :] - tokenizer.quantizer.codebook.numpy()).sum(-1)
    np.testing.assert_array_equal(tokenizer.encode(x)[..., 0], distances.argmin(-1))
    codes = tokenizer.quantizer.codebook.numpy()[distances.argmin(-1)]
    np.testing.assert_allclose(tokenizer.decode(tokenizer.encode(x)), tokenizer.decoder(codes), atol=1e-6)


def test_decode_does_not_clip():
    tokenizer = make()
    bias = tokenizer.decoder.get_layer("images").bias
    bias.assign(bias + 5.0)
    assert np.min(tokenizer.decode(np.zeros((1, 2, 2, 1), "int32"))) > 2.0


def test_the_size_crops_to_the_input():
    tokenizer = make()
    x = images(1, 9, 14, 3)
    tokens = tokenizer.encode(x)
    assert tokens.shape == (1, 3, 4, 1)
    whole = tokenizer.decode(tokens)
    assert whole.shape == (1, 12, 16, 3)
    np.testing.assert_array_equal(tokenizer.decode(tokens, size=(9, 14)), whole[:, :9, :14])


def test_batches_bound_memory_and_change_nothing(monkeypatch):
    tokenizer = make()
    x = images(5, 8, 8, 3)
    tokens = tokenizer.encode(x)
    seen = []
    compiled = tokenizer._compiled_encode
    monkeypatch.setattr(tokenizer, "_compiled_encode", lambda part: seen.append(part.shape[0]) or compiled(part))
    np.testing.assert_array_equal(tokenizer.encode(x, batch_size=2), tokens)
    assert seen == [2, 2, 1]
    np.testing.assert_allclose(tokenizer.decode(tokens, batch_size=2), tokenizer.decode(tokens), atol=1e-6)
    with pytest.raises(ValueError, match=r"`batch_size` is a positive integer. Received: batch_size=0"):
        tokenizer.encode(x, batch_size=0)


def test_an_empty_batch_is_an_empty_batch():
    tokenizer = make()
    assert tokenizer.encode(images(0, 8, 8, 3)).shape == (0, 2, 2, 1)
    assert tokenizer.decode(np.zeros((0, 2, 2, 1), "int32")).shape == (0, 8, 8, 3)


def test_it_tells_about_itself():
    tokenizer = make()
    assert (tokenizer.modality, tokenizer.codebook_sizes, tokenizer.num_codebooks) == ("image", (8,), 1)


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        (np.zeros((1, 8, 8, 3), "uint8"), r"floating point in \[-1, 1\]. Received: dtype=uint8"),
        (np.full((1, 8, 8, 3), 255.0), r"Received: values up to 255 in magnitude"),
        (np.full((1, 8, 8, 3), np.nan), r"Received: values up to nan"),
        (np.zeros((8, 8, 3)), r"Received: shape=\(8, 8, 3\). Pass `x.None.`"),
        (np.zeros((1, 3, 8, 8)), r"channels last.*Received: shape=\(1, 3, 8, 8\)"),
    ],
)
def test_a_wrong_signal_is_told(signal, message):
    with pytest.raises(ValueError, match=message):
        make().encode(signal)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (np.zeros((1, 2, 2, 1)), r"Tokens must be integers. Received: dtype=float"),
        (np.zeros((1, 2, 2), "int32"), r"num_codebooks=1. Received: shape=\(1, 2, 2\)"),
        (np.full((1, 2, 2, 1), -1), r"must be in \[0, 8\). Received: values from -1 to -1"),
        (np.full((1, 2, 2, 1), 8), r"must be in \[0, 8\). Received: values from 8 to 8"),
    ],
)
def test_wrong_tokens_are_told(tokens, message):
    with pytest.raises(ValueError, match=message):
        make().decode(tokens)


def test_checks_stay_out_of_graphs():
    tokenizer = make()
    encoded = tf.function(lambda x: tokenizer.encode(x))(np.full((1, 8, 8, 3), 9.0, "float32"))
    assert encoded.shape == (1, 2, 2, 1)
    decoded = tf.function(lambda t: tokenizer.decode(t))
    np.testing.assert_array_equal(
        decoded(np.full((1, 2, 2, 1), 99, "int32")), decoded(np.full((1, 2, 2, 1), 7, "int32"))
    )


def test_parts_of_the_wrong_kind_are_told():
    good = make()
    with pytest.raises(ValueError, match=r"`quantizer` is a vqzoo.quantizers.Quantizer"):
        vqzoo.ImageTokenizer(good.encoder, good.decoder, good.decoder)
    with pytest.raises(ValueError, match=r"`decoder` must be a keras.Model or layer. Received: 'decoder'"):
        vqzoo.ImageTokenizer(good.encoder, good.quantizer, "decoder")


def test_parts_that_do_not_fit_are_told():
    good = make()
    other = vqzoo.image_vqvae(filters=8, blocks=1, latent_dim=6)
    tokenizer = vqzoo.ImageTokenizer(good.encoder, vqzoo.VectorQuantizer(8), other.decoder)
    with pytest.raises(ValueError, match=r"The decoder expects inputs of the shape \(None, None, None, 6\). Received"):
        tokenizer.build((None, None, None, 3))
    with pytest.raises(ValueError, match=r"The encoder expects inputs of the shape \(None, None, None, 3\)"):
        make().build((None, 8, 8, 1))


def test_presets_go_round(tmp_path, monkeypatch):
    tokenizer = make()
    tokenizer.save_to_preset(tmp_path / "mine", metadata={"data": "noise"}, recipe={"steps": 1})
    monkeypatch.setenv("VQZOO_PRESETS", str(tmp_path))
    again = vqzoo.Tokenizer.from_preset("mine")
    assert type(again) is vqzoo.ImageTokenizer
    x = images(1, 8, 8, 3)
    np.testing.assert_array_equal(again.encode(x), tokenizer.encode(x))
    metadata = vqzoo.presets.read_metadata(tmp_path / "mine")
    assert (metadata["modality"], metadata["codebook_sizes"], metadata["data"]) == ("image", [8], "noise")


def test_a_preset_of_another_class_is_told(tmp_path):
    make().save_to_preset(tmp_path / "mine")

    class Other(vqzoo.Tokenizer):
        pass

    with pytest.raises(ValueError, match=r"is a ImageTokenizer, not a Other. Load it with `vqzoo.Tokenizer"):
        Other.from_preset(tmp_path / "mine")


def test_the_walk_takes_at_most_seven_of_our_calls(tmp_path):
    """File to tokens to picture: how much of us a reader has to follow."""
    import sys

    tokenizer = make()
    path = vqzoo.data.sample_images()[0]
    image = vqzoo.data.load_image(path)
    tokenizer.decode(tokenizer.encode(image[None]))  # traced
    calls = []

    def profile(frame, event, _):
        name = frame.f_code.co_qualname
        if event == "call" and "vqzoo/" in frame.f_code.co_filename and not name.split(".")[-1].startswith(("_", "<")):
            calls.append(name)

    sys.setprofile(profile)
    try:
        image = vqzoo.data.load_image(path)
        tokens = tokenizer.encode(image[None])
        decoded = tokenizer.decode(tokens, size=image.shape[:2])
        vqzoo.data.save_image(tmp_path / "again.png", decoded[0])
    finally:
        sys.setprofile(None)
    helpers = {"known_value", "in_batches", "dtype_name", "crop", "atomic_path", "as_path", "as_paths"}
    helpers |= {"Tokenizer.checked_signal", "check_batch_size", "is_dense"}
    helpers |= {"Quantizer.check_tokens", "Quantizer.num_codebooks", "LookUpQuantizer.codebook_sizes"}
    helpers |= {"checked_channels", "to_pixels", "to_floats", "user_path", "checked_path"}
    helpers |= {"signal_fault", "token_fault", "as_array", "shape_of", "fits", "has_unit_range"}
    helpers |= {"Tokenizer.expected_shape", "Quantizer.codebook_prefixes", "Quantizer.check_num_codebooks"}
    helpers |= {"Tokenizer.num_codebooks", "target_path", "drafted", "_Holder.close", "sweep_temporaries"}
    helpers |= {"check_regular", "open_deep_tiff", "read_png", "open_bounded", "_Counted.read", "shown_path"}
    helpers |= {"check_not_symbolic", "without_values", "is_count", "check_name", "check_path", "make_folder"}
    steps = [name for name in calls if name not in helpers]
    assert "load_image" in steps and "save_image" in steps
    assert len(set(steps)) <= 7, " ".join(sorted(set(steps)))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.slow)])
def test_in_float32_has_the_weights_and_no_half_precision(policy):
    keras.config.set_dtype_policy(policy)
    try:
        tokenizer = make()
    finally:
        keras.config.set_dtype_policy("float32")
    single = tokenizer.in_float32()
    assert single is not tokenizer and single.in_float32() is single
    assert {layer.compute_dtype for layer in single.encoder.layers + single.decoder.layers} == {"float32"}
    for one, other in zip(tokenizer.get_weights(), single.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    images = np.random.default_rng(0).uniform(-1, 1, (1, 16, 16, 3)).astype("float32")
    np.testing.assert_allclose(single(images).signal, tokenizer(images).signal, atol=0.1)


NETWORKS = {
    "convolutional": ((16, 16, 3), make),
    "residual": (
        (16, 16, 3),
        lambda: vqzoo.image_vqgan(filters=16, multipliers=(1, 2), attention=(1,), blocks=1, latent_dim=8),
    ),
    "dense": ((8, 8, 1), lambda: vqzoo.tokenizers.image_vqvae_dense((8, 8, 1))),
    "audio": ((2048, 1), lambda: vqzoo.spectrogram_vqvae(filters=16, blocks=1, latent_dim=8)),
}


@pytest.mark.slow
@pytest.mark.parametrize("networks", NETWORKS)
@pytest.mark.parametrize("policy", ["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.slow)])
def test_a_preset_in_half_precision(networks, policy, tmp_path):
    shape, make = NETWORKS[networks]
    tokenizer = make()
    tokenizer.save_to_preset(tmp_path / "preset")
    half = type(tokenizer).from_preset(tmp_path / "preset", policy)
    layers = {layer.name: layer.compute_dtype for part in (half.encoder, half.decoder) for layer in part.layers}
    assert list(layers.values()).count(policy.removeprefix("mixed_")) >= 2
    exact = {"conv_out", "images", "to_images", "log_mel", "waveform"} & set(layers)
    assert exact and {layers[name] for name in exact} == {"float32"}
    assert {weight.dtype for weight in half.trainable_weights} == {"float32"}
    signal = images(2, *shape)
    np.testing.assert_array_equal(half.in_float32().encode(signal), tokenizer.encode(signal))
    decoded = half.decode(tokenizer.encode(signal))
    assert decoded.dtype == "float32"
    np.testing.assert_allclose(decoded, tokenizer.decode(tokenizer.encode(signal)), atol=0.2)


def test_a_precision_that_is_none(tmp_path):
    with pytest.raises(ValueError, match="`precision` is float32, mixed_bfloat16 or mixed_float16. Received.*'half'"):
        vqzoo.Tokenizer.from_preset(tmp_path, "half")


def test_a_size_outside_the_decoded_images_is_refused():
    tokenizer = make()
    tokens = tokenizer.encode(np.zeros((1, 16, 16, 3), "float32"))
    for size in ((17, 16), (0, 16)):
        with pytest.raises(ValueError, match=r"at most \(16, 16\) for these tokens. Received: size="):
            tokenizer.decode(tokens, size=size)


def networks(stride=2, enlarge=2):
    encoder = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, 4, stride, "same")])
    decoder = keras.Sequential([keras.Input((None, None, 4)), keras.layers.Conv2DTranspose(3, 4, enlarge, "same")])
    return encoder, decoder


@pytest.mark.parametrize("enlarge", [1, 4])
def test_a_decoder_of_another_stride_is_refused(enlarge):
    encoder, decoder = networks(2, enlarge)
    tokenizer = vqzoo.ImageTokenizer(encoder, vqzoo.VectorQuantizer(8), decoder)
    tokenizer.build((None, None, None, 3))
    large = 32 * enlarge
    with pytest.raises(ValueError, match=rf"of the size \(64, 64\), with .* decoded to \({large}, {large}\). Set"):
        tokenizer(images(1, 64, 64, 3))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (63, 64), (7, 33)])
def test_odd_sizes_are_no_other_stride(size):
    assert make()(images(1, *size, 3)).signal.shape == (1, *size, 3)


def test_a_list_of_latents_is_refused():
    encoder, decoder = networks()
    encoder = keras.Model(encoder.inputs, encoder.outputs)
    tokenizer = vqzoo.ImageTokenizer(encoder, vqzoo.VectorQuantizer(8), decoder)
    with pytest.raises(ValueError, match="The encoder must return one tensor. Received: a list of 1"):
        tokenizer.build((None, None, None, 3))


def test_what_is_not_built_says_so(tmp_path):
    tokenizer = vqzoo.ImageTokenizer(networks()[0], vqzoo.EMAVectorQuantizer(8, name="codes"), networks()[1])
    with pytest.raises(ValueError, match="The quantizer 'codes' has no codebook yet"):
        tokenizer.encode(images(1, 8, 8, 3))
    with pytest.raises(ValueError, match="The quantizer 'codes' has no codebook yet"):
        tokenizer.decode(np.zeros((1, 4, 4, 1), "int32"))
    with pytest.raises(ValueError, match="A tokenizer must be built before it is saved"):
        tokenizer.save_to_preset(tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_pairs_in_a_data_set_are_told_from_a_batch_size():
    tokenizer = make()
    pairs = tf.data.Dataset.from_tensors((images(1, 8, 8, 3), np.zeros(1, "int32")))
    with pytest.raises(
        ValueError, match=r"A data set of pairs passes two arguments to `map`: `dataset.map\(lambda image"
    ):
        pairs.map(tokenizer.encode)


@pytest.mark.parametrize("size", [16, (16,), (8, 8, 3)])
def test_a_size_has_two_numbers(size):
    tokenizer = make()
    tokens = tokenizer.encode(images(1, 16, 16, 3))
    with pytest.raises(ValueError, match=r"`size` must be \(height, width\) in pixels. Received: size="):
        tokenizer.decode(tokens, size=size)


def test_wrong_channels_are_not_told_as_a_missing_batch_axis():
    with pytest.raises(ValueError, match=r"Received: shape=\(1, 8, 8, 4\)\. Pass `x\[..., :3\]`"):
        make().encode(images(1, 8, 8, 4))
    with pytest.raises(ValueError, match=r"Received: shape=\(8, 8, 3\)\. Pass `x.None.`"):
        make().encode(images(8, 8, 3))
    with pytest.raises(ValueError, match=r"A signal must not be empty. Received: shape=\(1, 0, 0, 3\)"):
        make().encode(images(1, 0, 0, 3))
    with pytest.raises(ValueError, match="A signal must be an array.*Received: 'photo.jpg'"):
        make().encode("photo.jpg")


def test_a_size_may_be_an_array_or_a_tensor_of_a_graph():
    tokenizer = make()
    x = images(1, 9, 14, 3)
    tokens = tokenizer.encode(x)
    expected = tokenizer.decode(tokens, size=(9, 14))
    decode = tf.function(lambda x, tokens: tokenizer.decode(tokens, size=tf.shape(x)[1:3]))
    for decoded in (tokenizer.decode(tokens, size=np.array([9, 14])), decode(x, tokens)):
        assert decoded.shape == expected.shape
        np.testing.assert_allclose(decoded, expected, atol=1e-6)
    assert tokenizer.encode(x, batch_size=np.int64(1)).shape == tokens.shape
