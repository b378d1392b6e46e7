import keras
import numpy as np
import pytest
import tensorflow as tf

import vqzoo
from vqzoo.data import TokenBatches
from vqzoo.networks import Transformer
from vqzoo.priors import AutoregressivePrior
from vqzoo.priors import MaskedPrior
from vqzoo.priors import TokenSpace
from vqzoo.trainers import Checkpoints
from vqzoo.trainers import PriorTrainer

SPACE = TokenSpace({"label": 3, "image": 5})
RNG = np.random.default_rng(0)
TOKENS = RNG.integers(0, 5, (12, 2, 3, 1)).astype("int32")
CONDITION = {"prefix": np.asarray(SPACE.prefix(label=RNG.integers(0, 3, 12)))}


def prior_of(kind=AutoregressivePrior, width=8, **options):
    causal = kind is AutoregressivePrior
    return kind(SPACE, Transformer(1, 2, causal=causal), "image", width, (2, 3), seed=1, **options)


def trainer_of(prior=None, optimizer=None, **options):
    keras.utils.set_random_seed(0)
    trainer = PriorTrainer(prior or prior_of(), **options)
    trainer.build((None, 2, 3, 1))
    trainer.compile(optimizer or keras.optimizers.SGD(0.1))
    return trainer


def values(variables):
    return [np.asarray(v).copy() for v in variables]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_a_step_descends_the_cross_entropy(smoothing):
    trainer = trainer_of(label_smoothing=smoothing)
    variables = trainer.prior.trainable_variables
    before = values(variables)
    with tf.GradientTape() as tape:
        logits = trainer.prior(TOKENS, **CONDITION)
        right = tf.one_hot(TOKENS.reshape(12, 6, 1), 5) * (1 - smoothing) + smoothing / 5
        total = tf.reduce_mean(-tf.reduce_sum(right * tf.nn.log_softmax(logits), axis=-1))
    gradients = tape.gradient(total, [v.value for v in variables])
    history = trainer.fit(TOKENS, CONDITION, batch_size=12, verbose=0).history
    for variable, old, gradient in zip(variables, before, gradients, strict=True):
        expected = old - 0.1 * tf.convert_to_tensor(gradient).numpy()
        np.testing.assert_allclose(np.asarray(variable), expected, atol=1e-5)
    assert history["loss"][0] == pytest.approx(float(total), rel=1e-4)
    assert history["bits_per_token"][0] == pytest.approx(history["cross_entropy"][0] / np.log(2), rel=1e-5)
    assert history["perplexity"][0] == pytest.approx(np.exp(history["cross_entropy"][0]), rel=1e-5)


def test_tokens_alone_and_a_live_tokenizer_are_the_same():
    quantizer = vqzoo.VectorQuantizer(5, keras.initializers.RandomNormal(stddev=0.3, seed=1))
    tokenizer = vqzoo.image_vqvae(filters=4, blocks=1, latent_dim=4, quantizer=quantizer)
    tokenizer.build((None, 8, 12, 3))
    images = RNG.uniform(-1, 1, (8, 8, 12, 3)).astype("float32")
    kept = values(tokenizer.variables)
    live, stored = trainer_of(tokenizer=tokenizer), trainer_of()
    assert live.call(images).shape == (8, 6, 1, 5)
    one = live.fit(images, batch_size=4, epochs=2, verbose=0, shuffle=False).history
    other = stored.fit(np.asarray(tokenizer.encode(images)), batch_size=4, epochs=2, verbose=0, shuffle=False).history
    assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)
    for a, b in zip(kept, tokenizer.variables, strict=True):
        np.testing.assert_array_equal(a, np.asarray(b))
    again = PriorTrainer.from_config(live.get_config())
    assert again.tokenizer.codebook_sizes == (5,)


def test_a_live_tokenizer_teaches_where_a_sentence_ends():
    texts = ["the cat sat on the mat and ran", "a"]
    pieces = vqzoo.data.Pieces.train([*texts, "the cat and the dog", "a mat"], size=300, exact=False)
    quantizer = vqzoo.VectorQuantizer(8, keras.initializers.RandomNormal(stddev=0.3, seed=1))
    tokenizer = vqzoo.text_vqvae(pieces, 2, filters=16, blocks=1, latent_dim=4, embedding_dim=8, quantizer=quantizer)
    tokenizer.build((None, None))
    prior = AutoregressivePrior(TokenSpace({"text": 8}), Transformer(1, 2, causal=True), "text", 8)
    trainer = PriorTrainer(prior, tokenizer)
    ids, chunks = pieces.pad(pieces.encode(texts), 2), tokenizer.chunks(texts)
    tokens = np.asarray(trainer.tokens_of(ids))
    real = np.arange(max(chunks)) < np.array(chunks)[:, None]
    assert 0 < chunks[1] < chunks[0]
    np.testing.assert_array_equal(tokens[..., 0], np.where(real, np.asarray(tokenizer.encode(texts))[..., 0], -1))
    _, told = trainer.losses_on(tokens, None, training=False)
    np.testing.assert_array_equal(np.sum(told.counted, axis=(1, 2)), np.array(chunks) + 1)  # and the end of each


def test_shards_are_trained_on(tmp_path):
    rows = [vqzoo.data.TokenRow(TOKENS[i], (8, 12), f"{i}.png") for i in range(12)]
    about = {"preset": "mine", "sha256": "a" * 64, "modality": "image", "codebook_sizes": [5]}
    files = [(row.name, row.name) for row in rows]
    vqzoo.data.write_token_shards(files, tmp_path, about, lambda files, failed: rows)
    shards = vqzoo.data.TokenShards(tmp_path)
    trainer = trainer_of(optimizer=keras.optimizers.Adam(1e-2))
    trainer.prior.check_tokens_of(shards)
    history = trainer.fit(shards.dataset(6, steps=20), verbose=0, shuffle=False).history
    assert int(trainer.steps) == 20 and history["loss"][0] < np.log(5)


def test_held_out_is_judged_with_the_average():
    trainer = trainer_of(prior_of(MaskedPrior), keras.optimizers.Adam(1e-2), average_decay=0.9)
    history = trainer.fit(TOKENS, batch_size=12, epochs=6, verbose=0, validation_data=(TOKENS,)).history
    with trainer.averaged() as prior:
        told = prior.cross_entropy(TOKENS)
    nats = np.sum(told.nats) / np.sum(told.counted)
    assert history["val_bits_per_token"][-1] == pytest.approx(nats / np.log(2), rel=1e-4)
    raw = trainer.prior.cross_entropy(TOKENS)
    assert abs(np.sum(raw.nats) / np.sum(raw.counted) - nats) > 1e-4


@pytest.mark.parametrize("kind", [AutoregressivePrior, MaskedPrior])
def test_a_run_goes_on_where_it_was(kind, tmp_path):
    def data(start=0):
        batches = [(TOKENS[i : i + 4], {"prefix": CONDITION["prefix"][i : i + 4]}) for i in (0, 4, 8)] * 2
        return tf.data.Dataset.from_generator(
            lambda: iter(batches[start:]),
            output_signature=(
                tf.TensorSpec((4, 2, 3, 1), tf.int32),
                {"prefix": tf.TensorSpec((4, 1), tf.int32)},
            ),
        )

    def made():
        prior = prior_of(kind, condition_dropout=0.3)
        return trainer_of(prior, keras.optimizers.Adam(vqzoo.trainers.warmup_cosine(1e-2, 6)))

    whole = made()
    whole.fit(data(), steps_per_epoch=6, epochs=1, verbose=0, shuffle=False)
    first = made()
    checkpoints = Checkpoints(tmp_path, every_steps=2)

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.fit(data(), steps_per_epoch=6, epochs=1, verbose=0, shuffle=False, callbacks=[checkpoints, Stop()])
    second = made()
    second.prior.embedding.embeddings.assign(np.zeros((15, 8)))
    checkpoints = Checkpoints(tmp_path)
    position = checkpoints.restore(second)
    assert position.step == 4
    second.fit(data(position.step), steps_per_epoch=6, epochs=1, verbose=0, shuffle=False, callbacks=[checkpoints])
    for one, other in zip(whole.variables, second.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other), err_msg=one.path)


TWO_DEVICES = """
import sys
import keras, numpy as np, tensorflow as tf
import vqzoo

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, 2 * [tf.config.LogicalDeviceConfiguration()])
rng = np.random.default_rng(0)
tokens = rng.integers(0, 5, (8, 6, 1)).astype("int32")
for i, length in enumerate((6, 5, 6, 4, 1, 2, 1, 3)):  # the second device has half as many tokens
    tokens[i, length:] = -1

def trained(strategy):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        space = vqzoo.priors.TokenSpace({"text": 5})
        prior = vqzoo.AutoregressivePrior(space, vqzoo.networks.Transformer(1, 2, causal=True), "text", 8)
        trainer = vqzoo.PriorTrainer(prior, label_smoothing=0.1)
        trainer.build((None, 6, 1))
        trainer.compile(keras.optimizers.SGD(0.5, momentum=0.9, global_clipnorm=0.1))
    data = tf.data.Dataset.from_tensors(tokens).repeat(4)
    history = trainer.fit(data, verbose=0, shuffle=False, validation_data=data.take(1)).history
    return history, [np.asarray(v) for v in prior.weights]

one, alone = trained(tf.distribute.get_strategy())
two, together = trained(vqzoo.trainers.strategy_named("mirrored"))
for name, values in one.items():
    np.testing.assert_allclose(two[name], values, rtol=1e-5, err_msg=name)
for a, b in zip(alone, together, strict=True):
    np.testing.assert_allclose(a, b, atol=1e-4)  # a mean over each device by itself is 1e-2 away
print("good")
"""


@pytest.mark.slow
def test_two_devices_train_as_one(fresh_python):
    child = fresh_python("-c", TWO_DEVICES)
    assert child.stdout.endswith("good\n"), child.stderr[-3000:]


def test_batches_of_several_lengths_teach_what_padded_ones_teach():
    space = TokenSpace({"source": 5, "text": 5})
    rng = np.random.default_rng(0)
    lengths = np.where(np.arange(24) % 8 < 4, 3, 9)
    tokens = np.where(np.arange(9) < lengths[:, None], rng.integers(0, 5, (24, 9)), -1)[..., None].astype("int32")
    context = np.asarray(space.prefix(source=tokens))

    def weights(lengths):
        transformer = Transformer(1, 2, causal=True, cross_attention=True)
        prior = AutoregressivePrior(space, transformer, "text", 8, seed=1)
        keras.utils.set_random_seed(0)
        trainer = PriorTrainer(prior)
        trainer.build((None, 9, 1))
        trainer.compile(keras.optimizers.SGD(0.1))
        batches = TokenBatches(tokens, 4, context=context, lengths=(3,))
        assert {batches.batch(step)[0].shape[1] for step in range(6)} == {3, 9}
        if lengths is None:
            batches._cuts = None  # the same rows, padded
        trainer.fit(batches.dataset(), steps_per_epoch=6, epochs=2, verbose=0, shuffle=False)
        return values(prior.trainable_variables)

    for cut, padded in zip(weights((3,)), weights(None), strict=True):
        np.testing.assert_allclose(cut, padded, atol=1e-6)


def test_wrong_things_are_refused():
    with pytest.raises(ValueError, match="`label_smoothing` must be in .0, 1.. Received: label_smoothing=1.0"):
        PriorTrainer(prior_of(), label_smoothing=1.0)
    tokenizer = vqzoo.image_vqvae(filters=4, blocks=1, latent_dim=4, quantizer=vqzoo.VectorQuantizer(6))
    with pytest.raises(
        ValueError, match="The tokens of `tokenizer` come from a tokenizer with codebooks of .6,. codes"
    ):
        PriorTrainer(prior_of(), tokenizer)
    with pytest.raises(ValueError, match="A condition is a dict with `prefix` or `context`. Received: label"):
        trainer_of().fit(TOKENS, {"label": np.zeros(12)}, verbose=0)
    with pytest.raises(ValueError, match="The loss of a prior is the cross-entropy of its tokens"):
        trainer_of().compile(keras.optimizers.SGD(), loss="mse")
    with pytest.raises(ValueError, match=r"Tokens of 'image' must be in \[0, 5\)"):
        trainer_of().fit(TOKENS + 1, verbose=0)
