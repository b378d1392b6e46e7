"""Priors learn an exact rule: a label c, 16 tokens of 16 codes, each 1 + c or 3 + c after the one before, modulo 16.

The first one is one of the 8 even codes, so that a row has 3 + 15 bits, 1.125 a token.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqzoo
from vqzoo.networks import Transformer
from vqzoo.priors import TokenSpace

SPACE = TokenSpace({"label": 4, "row": 16})


def rows(count, seed):
    rng = np.random.default_rng(seed)
    labels, tokens = rng.integers(0, 4, count), np.zeros((count, 16), "int32")
    tokens[:, 0] = 2 * rng.integers(0, 8, count)
    for step in range(15):
        tokens[:, step + 1] = (tokens[:, step] + 1 + labels + 2 * rng.integers(0, 2, count)) % 16
    return tokens[..., None], labels


def obeys(tokens, labels):
    """For each row whether all of its steps are as the rule says."""
    steps = np.diff(np.asarray(tokens)[..., 0], axis=1) % 16 - 1 - labels[:, None]
    return (np.isin(steps, (0, 2))).all(axis=1) & (np.asarray(tokens)[:, 0, 0] % 2 == 0)


def trained(kind, steps):
    keras.utils.set_random_seed(0)
    transformer = Transformer(2, 4, causal=kind is vqzoo.AutoregressivePrior)
    prior = kind(SPACE, transformer, "row", 64, (16,), condition_dropout=0.1, learnt_positions=16, seed=0)
    trainer = vqzoo.PriorTrainer(prior, average_decay=0.99)
    trainer.build((None, 16, 1))
    schedule = vqzoo.trainers.warmup_cosine(3e-3, steps)
    trainer.compile(keras.optimizers.AdamW(schedule, global_clipnorm=1.0))

    def pairs(count, seed):
        tokens, labels = rows(count, seed)
        return tf.data.Dataset.from_tensor_slices((tokens, {"prefix": np.asarray(SPACE.prefix(label=labels))}))

    data = pairs(20000, 0).shuffle(20000, seed=0).repeat().batch(64)
    held_out = pairs(1000, 1).batch(250)
    history = trainer.fit(data, steps_per_epoch=steps, verbose=0, shuffle=False, validation_data=held_out).history
    trainer._swap()  # the average stays
    return prior, history["val_bits_per_token"][-1]


@pytest.mark.slow
def test_an_autoregressive_prior_reaches_the_entropy_of_the_rule():
    prior, bits = trained(vqzoo.AutoregressivePrior, 1200)
    assert 1.12 < bits < 1.14
    labels = np.repeat(np.arange(4), 100)
    made = prior.generate(prefix=SPACE.prefix(label=labels), seed=1)
    assert obeys(made, labels).mean() > 0.94
    assert len(np.unique(made, axis=0)) > 390
    made = prior.generate(prefix=SPACE.prefix(label=labels), seed=1, top_p=0.95)
    assert obeys(made, labels).mean() > 0.99
    beginning, labels = rows(100, 2)
    beginning[:, 5:] = -1
    made = prior.generate(prefix=SPACE.prefix(label=labels), known=beginning, seed=1, top_p=0.95)
    assert obeys(made, labels).mean() > 0.99 and (np.asarray(made)[:, :5] == beginning[:, :5]).all()


@pytest.mark.slow
def test_a_masked_prior_fills_holes_right():
    prior, _ = trained(vqzoo.MaskedPrior, 2400)
    tokens, labels = rows(300, 2)
    prefix = SPACE.prefix(label=labels)
    for hole, steps, right in (([5, 10], 2, 0.99), ([6, 7, 8, 9], 4, 0.97)):
        mask = np.zeros((300, 16), bool)
        mask[:, hole] = True
        made = prior.repair(tokens, mask, prefix=prefix, steps=steps, noise=0.0, temperature=0)
        assert obeys(made, labels).mean() > right
    made = prior.generate(prefix=prefix, steps=16, noise=1.0, seed=1)
    assert obeys(made, labels).mean() > 0.9
