"""`repr` of tokenizers, priors and generators: one line, whatever state they are in."""

import numpy as np
import pytest

import vqzoo
from vqzoo.networks import Transformer
from vqzoo.priors import AutoregressivePrior
from vqzoo.priors import MaskedPrior
from vqzoo.priors import TokenSpace

SHIPPED = {
    "image-vqgan-photos-f4": "ImageTokenizer('image-vqgan-photos-f4': 4x4 pixels a token, 1 codebook of 4096, "
    "993.3 k parameters)",
    "image-vqvae-fashion-28": "ImageTokenizer('image-vqvae-fashion-28': 28x28 pixels in 16 tokens, 1 codebook of 512, "
    "1.7 M parameters)",
    "audio-speech-16k": "AudioTokenizer('audio-speech-16k': 256 samples at 16000 Hz for 4 tokens, 4 codebooks of 1024, "
    "2.0 M parameters)",
    "text-english": "TextTokenizer('text-english': 2 pieces for 2 tokens, 2 codebooks of 4000, 2.3 M parameters)",
}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_presets(name):
    assert repr(vqzoo.Tokenizer.from_preset(name)) == str(vqzoo.Tokenizer.from_preset(name)) == SHIPPED[name]


def image_tokenizer():
    return vqzoo.image_vqvae(filters=4, blocks=1, latent_dim=2, quantizer=vqzoo.VectorQuantizer(8))


def test_the_name_is_of_the_preset_that_it_was_loaded_from(tmp_path):
    tokenizer = image_tokenizer()
    tokenizer.build((None, None, None, 3))
    assert repr(tokenizer).startswith("ImageTokenizer(4x4 pixels a token, 1 codebook of 8, ")
    tokenizer.save_to_preset(tmp_path / "mine")
    loaded = vqzoo.Tokenizer.from_preset(tmp_path / "mine")
    assert repr(loaded).startswith("ImageTokenizer('mine': 4x4 pixels a token") and loaded.preset_name == "mine"
    half = vqzoo.Tokenizer.from_preset(str(tmp_path / "mine"), precision="mixed_bfloat16")
    assert repr(half) == repr(loaded) == repr(half.in_float32())
    assert "preset_name" not in loaded.get_config()


def test_an_unbuilt_tokenizer_says_so():
    parts = image_tokenizer()
    unbuilt = vqzoo.ImageTokenizer(parts.encoder, parts.quantizer, parts.decoder)
    assert repr(unbuilt) == "ImageTokenizer(1 codebook of 8, not built)"


def test_a_network_that_tells_no_sizes_is_no_error(monkeypatch):
    tokenizer = image_tokenizer()
    tokenizer.build((None, None, None, 3))
    monkeypatch.setattr(tokenizer.encoder, "compute_output_spec", lambda signal: 1 / 0)
    assert repr(tokenizer).startswith("ImageTokenizer(1 codebook of 8, ")


def test_a_line_about_a_tokenizer_changes_nothing():
    tokenizer = image_tokenizer()
    tokenizer.build((None, None, None, 3))
    image = np.linspace(-1, 1, 16 * 16 * 3, dtype="float32").reshape(1, 16, 16, 3)
    before = np.asarray(tokenizer.encode(image))
    repr(tokenizer)
    np.testing.assert_array_equal(tokenizer.encode(image), before)


def test_priors_and_generators():
    tokenizer = image_tokenizer()
    tokenizer.build((None, 8, 8, 3))
    space = TokenSpace({"label": 2, "image": tokenizer.codebook_sizes})
    prior = AutoregressivePrior(space, Transformer(1, 2, causal=True), "image", width=8, grid=(2, 2))
    line = "AutoregressivePrior(image of 2x2 positions, 1 codebook of 8, condition label of 2, "
    assert repr(prior) == line + "not built)"
    generator = vqzoo.generation.Generator(prior, tokenizer, ["cat", "dog"])
    shown = repr(generator)
    assert shown.startswith(f"Generator({line}") and "not built" not in shown
    assert "ImageTokenizer(4x4 pixels a token, " in shown and shown.endswith(", 2 labels)") and "\n" not in shown
    free = MaskedPrior(TokenSpace({"text": (8, 8)}), Transformer(1, 2), "text", 8)
    assert repr(free) == "MaskedPrior(text of any length, 2 codebooks of 8, not built)"


def test_shipped_generators():
    fashion = repr(vqzoo.generation.Generator.from_preset("image-prior-fashion"))
    assert fashion.startswith("Generator(") and "('image-prior-fashion': image of" in fashion
    assert fashion.endswith(", 10 labels)")
    assert repr(vqzoo.generation.Generator.from_preset("image-prior-emoji")).endswith(", any text)")
