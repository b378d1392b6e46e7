"""The export of a prior's preset: what makes images, audio and text, of any conditions."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqzoo
from vqzoo.data import Pieces
from vqzoo.export import export_prior_preset
from vqzoo.generation import Generator
from vqzoo.generation import LabelPart
from vqzoo.generation import SignalPart
from vqzoo.generation import TextPart
from vqzoo.networks import Transformer
from vqzoo.networks.audio import spectrogram_decoder
from vqzoo.networks.audio import spectrogram_encoder
from vqzoo.priors import TokenSpace


@pytest.fixture(scope="module")
def pieces():
    return Pieces.train(["the old house by the sea", "a cat and a dog"], 290, exact=False)


def prior_of(parts, target, grid=None, context=False, **options):
    keras.utils.set_random_seed(0)
    transformer = Transformer(1, 2, causal=True, cross_attention=context)
    prior = vqzoo.AutoregressivePrior(TokenSpace(parts), transformer, target, 8, grid, **options)
    prior.build_now()
    rng = np.random.default_rng(0)
    for weight in prior.weights:
        weight.assign(np.asarray(weight) + 0.4 * rng.normal(size=weight.shape))
    return prior


def quantizer_of(codes):
    return vqzoo.VectorQuantizer(codes, keras.initializers.RandomNormal(stddev=0.3, seed=1))


def exported(generator, folder, **inputs):
    """What the export makes of inputs and seed 3."""
    generator.save_to_preset(folder)
    assert "100.00% of tokens equal" in export_prior_preset(generator, folder)
    vqzoo.presets.verify_preset(folder)
    generate = tf.saved_model.load(str(folder / "generator")).signatures["generate"]
    tensors = {name: tf.constant(value, tf.int32) for name, value in inputs.items()}
    return {name: value.numpy() for name, value in generate(**tensors, seed=tf.constant(3)).items()}


def test_a_translation_is_exported_by_its_ids(pieces, tmp_path):
    prior = prior_of({"en": pieces.size, "es": pieces.size}, "es", context=True, learnt_positions=7)
    en = TextPart("en", pieces, length=9, examples=["a cat"])
    generator = Generator(prior, TextPart("es", pieces), en)
    made = exported(generator, tmp_path / "it", en=en.tokens(["the dog"])[..., 0])
    assert set(made) == {"tokens"} and made["tokens"].shape == (1, 6, 1)
    np.testing.assert_array_equal(made["tokens"], generator.tokens(1, "the dog", seed=3))
    generator = Generator(prior, TextPart("es", pieces), TextPart("en", pieces))
    with pytest.raises(ValueError, match="An export takes texts of a fixed number of pieces. Received: length=None of"):
        export_prior_preset(generator, tmp_path / "it")
    vqzoo.presets.verify_preset(tmp_path / "it")  # with the export it had


@pytest.mark.slow
def test_audio_is_exported_with_its_signal(tmp_path):
    keras.utils.set_random_seed(0)
    encoder, decoder = spectrogram_encoder(4, 8000, filters=16), spectrogram_decoder(4, filters=16)
    tokenizer = vqzoo.AudioTokenizer(encoder, quantizer_of(8), decoder, sample_rate=8000)
    tokenizer.build((None, None, 1))
    parts = [LabelPart("label", ["low", "high"]), SignalPart("before", tokenizer, length=3)]
    prior = prior_of({"label": 2, "before": 8, "audio": 8}, "audio", learnt_positions=6)
    generator = Generator(prior, tokenizer, parts)
    before = np.array([[[1], [2], [7]]])
    made = exported(generator, tmp_path / "it", label=[1], before=before)
    assert made["tokens"].shape == (1, 5, 1) and made["signal"].shape == (1, 5 * tokenizer.stride, 1)
    prefix = prior.space.prefix(label=[1], before=before)
    np.testing.assert_array_equal(made["tokens"], prior.generate(prefix=prefix, seed=3, length=5))
    with pytest.raises(ValueError, match="Audio has any number of positions. Received: length=None. Give the part its"):
        export_prior_preset(Generator(prior, tokenizer, [parts[0], SignalPart("before", tokenizer)]), tmp_path / "it")


@pytest.mark.slow
def test_images_in_a_style_are_exported(tmp_path):
    tokenizer = vqzoo.image_vqvae(filters=4, blocks=1, latent_dim=4, quantizer=quantizer_of(8))
    tokenizer.build((None, None, None, 3))
    prior = prior_of({"style": 8, "image": 8}, "image", grid=(2, 3))
    made = exported(Generator(prior, tokenizer, size=(8, 12)), tmp_path / "it", style=np.full((2, 2, 3, 1), 5))
    assert made["signal"].shape == (2, 8, 12, 3)
    with pytest.raises(ValueError, match="have a grid only where `size` says theirs. Received: size=None"):
        export_prior_preset(Generator(prior, tokenizer), tmp_path / "it")
