"""Every layer and model under XLA, mixed precision, in batches, and from tokens back."""

import pathlib
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import zoo  # noqa: E402

RUNNABLE = [*zoo.QUANTIZERS, *zoo.NETWORKS, *zoo.TOKENIZERS, *zoo.PRIORS]
each = pytest.mark.parametrize("entry", RUNNABLE, ids=lambda entry: entry.name)
each_tokenizer = pytest.mark.parametrize("entry", zoo.TOKENIZERS, ids=lambda entry: entry.name)
each_quantizer = pytest.mark.parametrize("entry", zoo.QUANTIZERS, ids=lambda entry: entry.name)
each_trainer = pytest.mark.parametrize("entry", zoo.TRAINERS, ids=lambda entry: entry.name)


@pytest.mark.slow
@each
def test_xla_gives_the_same(entry):
    thing = entry.built()
    compiled = tf.function(lambda x: thing(x), jit_compile=True)
    for one, other in zip(zoo.flat(thing(entry.inputs())), zoo.flat(compiled(entry.inputs())), strict=True):
        np.testing.assert_allclose(other, one, atol=2e-5)


@each
def test_one_example_alone_equals_itself_in_a_batch(entry):
    thing = entry.built()
    batch = zoo.flat(thing(entry.inputs()))
    alone = zoo.flat(thing(entry.inputs()[1:2]))
    for one, other in zip(batch, alone, strict=True):
        if one.ndim:  # losses are means over the batch
            np.testing.assert_allclose(other[0], one[1], atol=2e-6)


@each
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(entry, policy):
    keras.config.set_dtype_policy(policy)
    try:
        thing = entry.built()
        outputs = zoo.flat(thing(entry.inputs()))
    finally:
        keras.config.set_dtype_policy("float32")
    assert all(np.isfinite(x.astype("float32")).all() for x in outputs)
    assert all(v.dtype in ("float32", "int32", "uint32", "int64") for v in thing.variables)
    if entry in zoo.QUANTIZERS + zoo.TOKENIZERS:
        assert all(x.dtype in (np.float32, np.int32) for x in outputs)


@each_quantizer
def test_a_quantizer_is_its_encode_and_decode(entry):
    quantizer = entry.built()
    quantized = quantizer(entry.inputs())
    tokens = quantizer.encode(entry.inputs())
    np.testing.assert_array_equal(tokens, quantized.tokens)
    np.testing.assert_array_equal(quantizer.decode(tokens), quantized.latents)
    assert tuple(quantized.losses) == quantizer.loss_names
    assert all(loss.dtype == "float32" and loss.shape == () for loss in quantized.losses.values())
    assert tokens.dtype == "int32" and tokens.shape == (*entry.grid, quantizer.num_codebooks)
    assert len(np.unique(tokens)) > 3
    for level, size in enumerate(quantizer.codebook_sizes):
        assert 0 <= np.min(tokens[..., level]) and np.max(tokens[..., level]) < size


@each_quantizer
def test_inference_changes_nothing_and_training_reaches_the_latents(entry):
    quantizer = entry.built()
    before = [v.numpy().copy() for v in quantizer.variables]
    quantizer(entry.inputs())
    quantizer(entry.inputs(), training=False)
    for one, variable in zip(before, quantizer.variables, strict=True):
        np.testing.assert_array_equal(one, variable.numpy())
    latents = tf.Variable(entry.inputs())
    for name in (*quantizer.loss_names, "latents"):
        with tf.GradientTape() as tape:
            quantized = quantizer(latents, training=True)
            target = tf.reduce_sum(quantized.latents) if name == "latents" else quantized.losses[name]
        gradient = tape.gradient(target, latents)
        if name != "codebook":  # which moves the codes alone
            assert gradient is not None and np.abs(gradient).max() > 0, name


@each_tokenizer
def test_a_tokenizer_is_its_encode_and_decode(entry):
    tokenizer = entry.built()
    signal = entry.inputs()
    result = tokenizer(signal)
    tokens = tokenizer.encode(signal)
    np.testing.assert_array_equal(tokens, result.tokens)
    np.testing.assert_allclose(*zoo.decoded(tokenizer, tokens, result.signal), atol=1e-5)
    assert result.signal.shape[: signal.ndim] == signal.shape
    assert len(np.unique(tokens)) > 2
    # One at a time, and inside a tf.data pipeline, the tokens stay.
    np.testing.assert_array_equal(tokenizer.encode(signal, batch_size=1), tokens)
    mapped = tf.data.Dataset.from_tensor_slices(signal).batch(2).map(tokenizer.encode)
    np.testing.assert_array_equal(next(iter(mapped)), tokens)
    # Any token decodes.
    rng = np.random.default_rng(0)
    random = np.stack([rng.integers(0, k, tokens.shape[:-1]) for k in tokenizer.codebook_sizes], axis=-1)
    made = tokenizer.decode(random)
    if tokenizer.modality == "text":
        assert len(made) == len(random) and all(isinstance(text, str) for text in made)
    else:
        assert np.isfinite(made).all()


@each_tokenizer
def test_a_call_on_an_empty_batch_is_empty_and_teaches_nothing(entry):
    tokenizer, signal = entry.built(), entry.inputs()
    whole = tokenizer(signal)
    before = [np.array(weight) for weight in tokenizer.get_weights()]
    for training in (False, True):
        none = tokenizer(signal[:0], training=training)
        assert none.signal.shape == (0, *whole.signal.shape[1:]) and none.signal.dtype == whole.signal.dtype
        assert none.tokens.shape == (0, *whole.tokens.shape[1:]) == tokenizer.encode(signal[:0]).shape
        assert none.tokens.dtype == "int32"
        assert {name: float(loss) for name, loss in none.losses.items()} == dict.fromkeys(whole.losses, 0.0)
    for weight, earlier in zip(tokenizer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, earlier)


@each_trainer
@pytest.mark.parametrize(
    "policy", ["mixed_bfloat16", *(pytest.param(it, marks=pytest.mark.slow) for it in ("mixed_float16", "float32"))]
)
def test_a_trainer_fits_in_every_precision(entry, policy):
    keras.config.set_dtype_policy(policy)
    try:
        trainer = zoo.compiled(entry.built())
        before = [v.numpy().copy() for v in trainer.trainable_variables]
        history = trainer.fit(entry.inputs(), batch_size=2, epochs=4, verbose=0, validation_data=(entry.inputs(),))
    finally:
        keras.config.set_dtype_policy("float32")
    names = {*trainer.loss_names, "loss", "perplexity"}
    names |= {"bits_per_token"} if entry.name == "PriorTrainer" else {"usage", "dead_codes"}
    assert names | {f"val_{name}" for name in names} == set(history.history) - {"adaptive_weight"}
    assert all(np.isfinite(values).all() for values in history.history.values())
    moved = [np.abs(v.numpy() - old).max() > 0 for v, old in zip(trainer.trainable_variables, before, strict=True)]
    assert np.mean(moved) > 0.9
    if policy == "mixed_float16":
        for name in ("optimizer", "discriminator_optimizer"):
            assert isinstance(getattr(trainer, name, trainer.optimizer), keras.optimizers.LossScaleOptimizer)


@pytest.mark.slow
@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(e, marks=[pytest.mark.slow] if e.name == "AdversarialTrainer" else [], id=e.name)
        for e in zoo.TRAINERS
    ],
)
def test_a_trainer_compiles_with_xla_and_several_steps_at_once(entry):
    results = []
    for settings in ({}, {"jit_compile": True}, {"steps_per_execution": 2}):
        keras.utils.set_random_seed(0)
        trainer = zoo.compiled(entry.built())
        optimizers = [trainer.optimizer, getattr(trainer, "discriminator_optimizer", None)]
        trainer.compile(*filter(None, optimizers), **settings)
        results.append(trainer.fit(entry.inputs(), batch_size=1, verbose=0, shuffle=False).history)
    for other in results[1:]:
        for name, values in results[0].items():
            np.testing.assert_allclose(other[name], values, rtol=2e-3, atol=1e-4, err_msg=name)
