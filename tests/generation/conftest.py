import keras
import numpy as np
import pytest

import vqzoo
from vqzoo.data import Pieces
from vqzoo.generation import Generator
from vqzoo.networks import Transformer
from vqzoo.networks.audio import spectrogram_decoder
from vqzoo.networks.audio import spectrogram_encoder
from vqzoo.priors import TokenSpace

SENTENCES = ["the old house by the sea", "a cat and a dog", "the sea is old", "Open the file.", "a house and a sea"]


def stirred(model, scale=0.4):
    """The model, built, with weights of which no two are alike."""
    model.build_now()
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(np.asarray(weight) + scale * rng.normal(size=weight.shape))
    return model


def random_quantizer(codes=8):
    return vqzoo.VectorQuantizer(codes, keras.initializers.RandomNormal(stddev=0.3, seed=1))


@pytest.fixture(scope="session")
def make_prior():
    """A function of a space's parts, the target and options: a prior of random weights."""

    def make(parts, target, grid=None, kind=vqzoo.AutoregressivePrior, context=False, owners=None, **options):
        keras.utils.set_random_seed(0)
        transformer = Transformer(1, 2, causal=kind is vqzoo.AutoregressivePrior, cross_attention=context)
        return stirred(kind(TokenSpace(parts, owners), transformer, target, 8, grid, **options))

    return make


@pytest.fixture(scope="session")
def make_generator(make_prior):
    """A function of a kind of prior and options: a generator of random weights, whose pictures have 8x12 pixels."""

    def make(
        kind=vqzoo.AutoregressivePrior, labels=("T-shirt", "Ankle boot", "bag"), grid=(2, 3), parts=None, **options
    ):
        keras.utils.set_random_seed(0)
        tokenizer = vqzoo.image_vqvae(filters=4, blocks=1, latent_dim=4, quantizer=random_quantizer())
        tokenizer.build((None, None, None, 3))
        parts = parts or ({"label": len(labels)} if labels else {})
        return Generator(make_prior({**parts, "image": 8}, "image", grid, kind), tokenizer, labels, **options)

    return make


@pytest.fixture(scope="session")
def pieces():
    return Pieces.train(SENTENCES, 300, exact=False)


@pytest.fixture(scope="session")
def audio_preset(tmp_path_factory):
    """The folder of a tokenizer of audio, of random weights."""
    keras.utils.set_random_seed(0)
    encoder, decoder = spectrogram_encoder(4, 8000, filters=16), spectrogram_decoder(4, filters=16)
    tokenizer = vqzoo.AudioTokenizer(encoder, random_quantizer(), decoder, sample_rate=8000)
    tokenizer.build((None, None, 1))
    folder = tmp_path_factory.mktemp("audio") / "audio-tiny"
    tokenizer.save_to_preset(folder)
    return folder


@pytest.fixture(scope="session")
def text_tokenizer(pieces):
    keras.utils.set_random_seed(0)
    encoder = vqzoo.networks.text.text_encoder(pieces.size, 8, end=pieces.end, filters=16)
    decoder = vqzoo.networks.text.text_decoder(pieces.size, 8, filters=16)
    tokenizer = vqzoo.TextTokenizer(pieces, encoder, random_quantizer(32), decoder)
    tokenizer.build((None, None))
    return tokenizer
