import keras
import numpy as np
import pytest
import tensorflow as tf

import vqzoo
from vqzoo.losses import PieceCrossEntropy
from vqzoo.losses import R1Penalty
from vqzoo.networks.discriminators import text_discriminator
from vqzoo.networks.text import AutoregressiveTextDecoder

SENTENCES = ["the cat sat on the mat", "a dog and a cat", "the end", "", "and the dog sat", "a mat"]
WEIGHTS = {"pieces": 1.0, "commitment": 0.1}
OPPOSED = {**WEIGHTS, "feature_matching": 0.3, "adversarial": 0.3, "discriminator": 1.0, "r1": 1.0}


@pytest.fixture(scope="module")
def pieces():
    return vqzoo.data.Pieces.train(SENTENCES, size=290, exact=False)


def tokenizer(pieces, decoder=None):
    keras.utils.set_random_seed(0)
    codes = [vqzoo.EMAVectorQuantizer(16, decay=0.8) for _ in range(2)]
    quantizer = vqzoo.quantizers.StartupQuantizer(vqzoo.quantizers.ResidualQuantizer(codes), 0, 10, seed=0)
    return vqzoo.text_vqvae(
        pieces, 2, 24, 2, embedding_dim=16, latent_dim=8, word_dropout=0.1, quantizer=quantizer, decoder=decoder
    )


def trainer(made, adversarial, **options):
    losses = {"pieces": PieceCrossEntropy(made.pieces.end)}
    if adversarial:
        discriminator = text_discriminator(16, filters=8, depth=2)
        options = {"regularizers": {"r1": R1Penalty()}, **options}
        it = vqzoo.AdversarialTrainer(made, discriminator, losses, OPPOSED, **options)
    else:
        it = vqzoo.ReconstructionTrainer(made, losses, WEIGHTS, average_decay=0.0)
    it.build((None, None))
    it.compile(*(keras.optimizers.Adam(0.01) for _ in range(1 + adversarial)))
    return it


def accuracy(made, ids):
    again = made.decode_ids(made.encode_ids(ids)).numpy()[:, : ids.shape[1]]
    real = np.asarray(vqzoo.ops.mask_until(ids, made.pieces.end))
    return np.mean((again == ids)[real])


@pytest.mark.slow
@pytest.mark.parametrize("autoregressive", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_sentences_are_learnt_by_heart(pieces, autoregressive):
    decoder = None
    if autoregressive:
        size = {"stride": 2, "filters": 24, "depth": 1, "heads": 2, "embedding_dim": 16, "word_dropout": 0.5}
        decoder = AutoregressiveTextDecoder(pieces.size, end=pieces.end, **size)
    made = tokenizer(pieces, decoder)
    it = trainer(made, adversarial=False)
    ids = pieces.pad(pieces.encode(SENTENCES), 2)
    assert accuracy(made, ids) < 0.3
    history = it.fit(np.tile(ids, (40, 1)), batch_size=6, epochs=3, verbose=0).history
    assert history["pieces"][-1] < 0.3 < 1.2 < history["pieces"][0]
    assert accuracy(made, ids) > 0.95
    assert made.decode(made.encode(["the end", ""])) == ["the end", ""]


def test_padding_is_no_use_of_codes(pieces):
    made = tokenizer(pieces)
    it = trainer(made, adversarial=False)
    ids = pieces.pad(pieces.encode(SENTENCES), 2)
    it.evaluate(ids, batch_size=6, verbose=0)
    real = np.asarray(vqzoo.ops.mask_until(ids, pieces.end))[:, ::2]
    tokens = made.encode(ids).numpy()[real]
    for counts, column in zip(it.usage.counts_per_codebook(), tokens.T, strict=True):
        np.testing.assert_array_equal(counts, np.bincount(column, minlength=16))
    assert counts.sum() == real.sum() < real.size


@pytest.mark.slow
def test_a_discriminator_of_soft_pieces(pieces):
    made = tokenizer(pieces)
    it = trainer(made, adversarial=True, discriminator_start=2, discriminator_warmup=0)
    before = [v.numpy().copy() for v in it.discriminator.variables]
    ids = np.tile(pieces.pad(pieces.encode(SENTENCES), 2), (10, 1))
    history = it.fit(ids, batch_size=6, epochs=2, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    assert history["discriminator"][1] < history["discriminator"][0]
    assert history["pieces"][1] < history["pieces"][0] and history["adaptive_weight"][1] > 0
    for old, variable in zip(before, it.discriminator.variables, strict=True):
        assert np.abs(variable.numpy() - old).max() > 0
    # As the docstring says, on what `judged` makes.
    batch = tf.constant(ids[:6])
    losses, result = it.losses_on(batch, training=False)
    real, fake = (it.discriminator(x)[-1].numpy() for x in made.judged(batch, result.signal))
    assert float(losses["adversarial"]) == pytest.approx(-fake.mean(), abs=1e-5)
    expected = 0.5 * (np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean())
    assert float(losses["discriminator"]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
def test_batches_of_any_length(pieces):
    it = trainer(tokenizer(pieces), adversarial=False)
    rows = [pieces.pad(pieces.encode(SENTENCES[i : i + 2]), 2) for i in (0, 2, 4)]
    assert len({row.shape for row in rows}) == 3
    spec = tf.TensorSpec((None, None), tf.int32)
    batches = tf.data.Dataset.from_generator(lambda: iter(rows), output_signature=spec).repeat()
    history = it.fit(batches, steps_per_epoch=3, verbose=0, shuffle=False).history
    assert np.isfinite(history["pieces"]).all() and int(it.steps.numpy()) == 3
