import keras
import numpy as np
import pytest

import vqzoo
from vqzoo.generation import Generator
from vqzoo.networks import Transformer
from vqzoo.priors import TokenSpace


@pytest.fixture(scope="session")
def make_generator():
    """A function of a kind of prior and options: a generator of random weights, whose pictures have 8x12 pixels."""

    def make(
        kind=vqzoo.AutoregressivePrior, labels=("T-shirt", "Ankle boot", "bag"), grid=(2, 3), parts=None, **options
    ):
        keras.utils.set_random_seed(0)
        quantizer = vqzoo.VectorQuantizer(8, keras.initializers.RandomNormal(stddev=0.3, seed=1))
        tokenizer = vqzoo.image_vqvae(filters=4, blocks=1, latent_dim=4, quantizer=quantizer)
        tokenizer.build((None, None, None, 3))
        parts = parts or ({"label": len(labels)} if labels else {})
        space = TokenSpace({**parts, "image": 8})
        prior = kind(space, Transformer(1, 2, causal=kind is vqzoo.AutoregressivePrior), "image", 8, grid)
        prior.build_now()
        rng = np.random.default_rng(0)
        for weight in prior.weights:
            weight.assign(np.asarray(weight) + 0.4 * rng.normal(size=weight.shape))
        return Generator(prior, tokenizer, labels, **options)

    return make
