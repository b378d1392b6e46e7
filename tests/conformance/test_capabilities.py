"""What quantizers and tokenizers say that they can do is what they do."""

import pathlib
import sys

import keras
import numpy as np
import pytest

import vqzoo
from vqzoo import quantizers

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import zoo  # noqa: E402


def codes(size, seed):
    return vqzoo.VectorQuantizer(size, keras.initializers.RandomNormal(seed=seed))


def residual():
    return quantizers.ResidualQuantizer([codes(7, 1), codes(6, 2), codes(5, 3)])


def grouped():
    return quantizers.GroupedQuantizer([codes(7, 1), codes(6, 2)])


# Composites of composites, and the numbers of first codebooks that they can do with.
NESTED = {
    "projected residual": (lambda: quantizers.ProjectedQuantizer(residual(), 4), (1, 2, 3)),
    "gaussian residual": (lambda: quantizers.GaussianQuantizer(residual(), 4), (1, 2, 3)),
    "startup of a projected residual": (
        lambda: quantizers.StartupQuantizer(quantizers.ProjectedQuantizer(residual(), 4)),
        (1, 2, 3),
    ),
    "latent prior of a residual": (lambda: quantizers.LatentPriorQuantizer(residual(), width=8, depth=1), (1, 2, 3)),
    "grouped residual": (lambda: quantizers.GroupedQuantizer([residual(), residual()]), (6,)),
    "grouped projected residual": (
        lambda: quantizers.GroupedQuantizer([quantizers.ProjectedQuantizer(residual(), 2), codes(4, 4)]),
        (4,),
    ),
    "residual of groups": (lambda: quantizers.ResidualQuantizer([grouped(), codes(5, 3), grouped()]), (2, 3, 5)),
    "residual of a projected residual": (
        lambda: quantizers.ResidualQuantizer([codes(4, 4), quantizers.ProjectedQuantizer(residual(), 4), grouped()]),
        (1, 2, 3, 4, 6),
    ),
    "scales of a residual": (lambda: quantizers.MultiScaleResidualQuantizer(residual(), [1, (2, 3), (4, 5)]), (3,)),
}
PREFIXES = {
    **{name: (1,) for name in ("CosineVectorQuantizer", "MultiScaleResidualQuantizer", "ProjectedQuantizer")},
    "GroupedQuantizer": (3,),
    "ResidualQuantizer": (1, 2, 3),
    "StartupQuantizer": (1, 2),
    "LatentPriorQuantizer": (1, 2),
}
# A name, a constructor, and the prefixes; None where the table above leaves them to the other checks.
CASES = [(entry.name, entry.make, PREFIXES.get(entry.name)) for entry in zoo.QUANTIZERS]
CASES += [(name, *case) for name, case in NESTED.items()]


def built(make):
    quantizer = make()
    quantizer.build(zoo.ANY_LATENTS)
    return quantizer


@pytest.mark.parametrize(("make", "prefixes"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_first_codebooks_are_those_that_are_declared(make, prefixes):
    quantizer = built(make)
    declared, count = quantizer.codebook_prefixes, quantizer.num_codebooks
    assert declared == tuple(sorted(set(declared))) and declared[-1] == count
    assert prefixes is None or declared == prefixes
    latents = np.random.default_rng(0).normal(size=zoo.LATENTS).astype("float32")
    tokens = quantizer.encode(latents)
    for n in range(count + 2):
        if n in declared:
            first = tokens[..., :n]
            np.testing.assert_array_equal(quantizer.encode(latents, num_codebooks=n), first)
            decoded = quantizer.decode(first)
            np.testing.assert_array_equal(quantizer.decode(tokens, num_codebooks=n), decoded)
            assert n == count or np.any(quantizer.decode(tokens) != decoded)
            continue
        message = rf"{count} codebooks, of which the first .*\b{count}\] can be used without the others.*: {n} codebook"
        for ask in (
            lambda n=n: quantizer.encode(latents, num_codebooks=n),
            lambda n=n: quantizer.decode(tokens, num_codebooks=n),
        ):
            with pytest.raises(ValueError, match=message):
                ask()
        if n < count:
            with pytest.raises(ValueError, match=f"without the others|with num_codebooks={count}"):
                quantizer.decode(tokens[..., :n])


def test_the_first_codebooks_of_masked_latents():
    quantizer = built(NESTED["residual of a projected residual"][0])
    latents = np.random.default_rng(0).normal(size=zoo.LATENTS).astype("float32")
    mask = np.random.default_rng(1).random(zoo.LATENTS[:-1]) < 0.5
    tokens = quantizer.encode(latents, mask)
    for n in quantizer.codebook_prefixes:
        np.testing.assert_array_equal(quantizer.encode(latents, mask, num_codebooks=n), tokens[..., :n])


class Subclass(quantizers.VectorQuantizer):
    """A quantizer of somebody else's, written when `encode` and `decode` took no number of codebooks."""

    def encode(self, latents, mask=None):
        return super().encode(latents, mask)

    def decode(self, tokens):
        return super().decode(tokens)


def test_a_part_that_needs_all_its_codebooks_does_not_have_to_take_a_number():
    parts = [quantizers.ProjectedQuantizer(Subclass(4), 4), Subclass(4)]
    quantizer = built(lambda: quantizers.ResidualQuantizer(parts))
    latents = np.random.default_rng(0).normal(size=zoo.LATENTS).astype("float32")
    tokens = quantizer.encode(latents)
    np.testing.assert_array_equal(quantizer.encode(latents, num_codebooks=1), tokens[..., :1])
    assert quantizer.decode(tokens[..., :1]).shape == zoo.LATENTS


def test_audio_has_the_bit_rates_of_the_quantizer_inside():
    network = {"bands": 8, "latent_dim": 8, **zoo.SPECTROGRAM}
    quantizer = quantizers.ProjectedQuantizer(residual(), 4)
    tokenizer = vqzoo.spectrogram_vqvae(8000, quantizer=quantizer, **network)
    signal = np.random.default_rng(0).uniform(-1.0, 1.0, zoo.SOUNDS).astype("float32")
    tokens = tokenizer.encode(signal)
    whole = tokenizer.decode(tokens)
    for n in (1, 2):
        first = tokenizer.encode(signal, num_codebooks=n)
        np.testing.assert_array_equal(first, tokens[..., :n])
        np.testing.assert_array_equal(tokenizer.encode(signal, num_codebooks=n, window=200), first)
        assert np.any(tokenizer.decode(first) != whole)


@pytest.mark.parametrize("entry", zoo.TOKENIZERS, ids=lambda entry: entry.name)
def test_a_tokenizer_declares_what_exports_and_tiles_ask(entry):
    tokenizer = entry.built()
    expected = tokenizer.expected_shape
    assert expected[1:] == entry.dynamic[1:] and len(expected) == len(entry.shape)
    tokens = tokenizer.encode(entry.inputs())
    made = keras.ops.convert_to_numpy(tokenizer.decode_signal(tokens))
    if tokenizer.modality == "text":
        np.testing.assert_array_equal(made, tokenizer.decode_ids(tokens))
    else:
        np.testing.assert_array_equal(made, tokenizer.decode(tokens))
    network = type(tokenizer.decoder).__name__
    assert tokenizer.is_autoregressive == (network == "AutoregressiveTextDecoder")
