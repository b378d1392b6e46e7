import types

import keras
import numpy as np
import pytest

import vqzoo
from vqzoo.networks import Transformer
from vqzoo.priors import AutoregressivePrior
from vqzoo.priors import DelayPattern
from vqzoo.priors import MaskedPrior
from vqzoo.priors import Prior
from vqzoo.priors import TokenSpace

SPACE = TokenSpace({"label": 4, "image": 6}, {"image": "a" * 64})


def autoregressive(**options):
    return AutoregressivePrior(SPACE, Transformer(1, 2, causal=True), "image", 8, **{"grid": (2, 3), **options})


def test_at_the_start_all_tokens_are_about_as_likely():
    prior = autoregressive()
    nats = np.asarray(prior.cross_entropy(np.arange(6).reshape(1, 2, 3, 1)).nats)
    np.testing.assert_allclose(nats, np.log(6), atol=0.05)


@pytest.mark.parametrize("kind", [AutoregressivePrior, MaskedPrior])
def test_a_preset_comes_back(kind, tmp_path):
    causal = kind is AutoregressivePrior
    options = {"context_encoder": Transformer(1, 2), "condition_dropout": 0.1, "learnt_positions": 6, "grid": (2, 3)}
    prior = kind(SPACE, Transformer(1, 2, causal=causal, cross_attention=True), "image", 8, **options)
    prior.build()
    for weight in prior.weights:
        weight.assign(np.asarray(weight) + np.random.default_rng(0).normal(size=weight.shape))
    prior.save_to_preset(tmp_path / "it", {"modality": "image"}, {"steps": 3})
    vqzoo.presets.verify_preset(tmp_path / "it")
    assert (tmp_path / "it" / "prior.keras").exists()
    again = Prior.from_preset(tmp_path / "it")
    assert type(again) is kind and again.space == SPACE
    names = ("target", "width", "grid", "condition_dropout", "learnt_positions", "pattern")
    assert all(getattr(again, name) == getattr(prior, name) for name in names)
    tokens = np.arange(6).reshape(1, 2, 3, 1)
    condition = {"prefix": np.array([[5, 0]]), "context": np.array([[6, 7]])}
    np.testing.assert_array_equal(again(tokens, **condition), prior(tokens, **condition))
    told = vqzoo.presets.read_metadata(tmp_path / "it")
    assert told["target"] == "image" and told["space"]["parts"] == [["label", [4]], ["image", [6]]]
    other = MaskedPrior if causal else AutoregressivePrior
    with pytest.raises(ValueError, match=f"holds a {kind.__name__}, not a {other.__name__}. Load it with"):
        other.from_preset(tmp_path / "it")


def test_a_prior_of_half_precision_is_saved_in_float32(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        prior = autoregressive()
        prior.build()
    finally:
        keras.config.set_dtype_policy("float32")
    assert prior.embedding.compute_dtype == "bfloat16"
    prior.save_to_preset(tmp_path / "it")
    again = Prior.from_preset(tmp_path / "it")
    layers = [layer for layer in again._flatten_layers() if layer.weights]
    assert len(layers) > 4 and {layer.compute_dtype for layer in layers} == {"float32"}
    for one, other in zip(again.weights, prior.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_prior_without_weights_is_no_preset(tmp_path):
    with pytest.raises(ValueError, match="A preset needs weights"):
        autoregressive().save_to_preset(tmp_path / "it")


def test_tokens_of_another_tokenizer_are_refused():
    prior = autoregressive()
    own = types.SimpleNamespace(codebook_sizes=(6,), sha256="a" * 64)
    prior.check_tokens_of(own)
    prior.check_tokens_of(types.SimpleNamespace(codebook_sizes=(6,)))
    own.sha256 = "b" * 64
    with pytest.raises(ValueError, match="The shards come from a tokenizer .*sha256 bbbbbbbbbbbb"):
        prior.check_tokens_of(own, "The shards")
    tokenizer = vqzoo.image_vqvae(filters=4, blocks=1, latent_dim=2, quantizer=vqzoo.VectorQuantizer(16))
    with pytest.raises(ValueError, match=r"codebooks of \(16,\) codes .* expects one with \(6,\)"):
        prior.check_tokens_of(tokenizer)


def test_several_tokens_at_a_place_are_summed_but_for_padding():
    space = TokenSpace({"sound": (5, 7)})
    prior = AutoregressivePrior(space, Transformer(1, 2, causal=True), "sound", 8, pattern=DelayPattern())
    prior.build()
    table = np.asarray(prior.embedding.embeddings)
    vectors = np.asarray(prior.embedded(np.array([[[5, 0], [6, 12]]])))
    np.testing.assert_allclose(vectors, [[table[5], table[6] + table[12]]], atol=1e-6)


def test_learnt_positions_are_added_to_what_is_read():
    prior = autoregressive(learnt_positions=6)
    prior.build()
    moved = np.asarray(prior.placed(np.zeros((1, 2, 8), "float32"), 3))
    np.testing.assert_array_equal(moved[0], np.asarray(prior.places)[3:5])


def test_more_steps_than_it_has_learnt_are_refused():
    with pytest.raises(
        ValueError, match=r"has learned 3 steps. Received: grid=\(2, 3\), which needs 6. Make the prior"
    ):
        autoregressive(learnt_positions=3)
    # The start of a signal that says where it ends is a step too.
    prior = autoregressive(grid=None, learnt_positions=4)
    assert prior(np.zeros((1, 3, 1), "int32")).shape == (1, 4, 1, 7)
    for training in (False, True):
        with pytest.raises(ValueError, match="has learned 4 steps. Received: a signal, which needs 5. .*positions=5`"):
            prior.cross_entropy(np.zeros((1, 4, 1), "int32"), training=training)
    masked = MaskedPrior(SPACE, Transformer(1, 2), "image", 8, learnt_positions=4)
    assert masked(np.zeros((1, 4, 1), "int32")).shape == (1, 4, 1, 6)
    with pytest.raises(ValueError, match="Received: a signal, which needs 5"):
        masked(np.zeros((1, 5, 1), "int32"))


def test_parts_that_do_not_fit_are_refused():
    causal, both = Transformer(1, 2, causal=True), Transformer(1, 2)

    def refused(message, *arguments, kind=AutoregressivePrior, **options):
        with pytest.raises(ValueError, match=message):
            kind(*arguments, **options)

    refused("`space` must be a vqzoo.priors.TokenSpace", {"image": 6}, causal, "image", 8)
    refused("This space has the parts label, image", SPACE, causal, "sound", 8)
    refused("of a AutoregressivePrior is a vqzoo.networks.Transformer with causal=True", SPACE, both, "image", 8)
    refused(
        "of a MaskedPrior is .* with causal=False. .* with causal=True", SPACE, causal, "image", 8, kind=MaskedPrior
    )
    refused("The `context_encoder` .* with causal=False", SPACE, causal, "image", 8, context_encoder=causal)
    refused(
        "A context encoder needs a transformer with cross-attention", SPACE, causal, "image", 8, context_encoder=both
    )
    refused(
        "A grid must have at least one position along each axis. Received: grid=.2, 0.",
        SPACE,
        causal,
        "image",
        8,
        (2, 0),
    )
    refused("Received: condition_dropout=1.0", SPACE, causal, "image", 8, condition_dropout=1.0)


def test_half_precision_gives_float32_logits_near_the_exact_ones():
    tokens = np.arange(6).reshape(1, 2, 3, 1)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = autoregressive()
        half.build()
    finally:
        keras.config.set_dtype_policy("float32")
    exact = autoregressive()
    exact.build()
    weights = [np.random.default_rng(i).normal(scale=0.5, size=w.shape) for i, w in enumerate(half.get_weights())]
    half.set_weights(weights)
    exact.set_weights(weights)
    assert half(tokens).dtype == "float32"
    outputs = keras.random.normal((1, 6, 8), dtype="bfloat16", seed=0)
    product = np.asarray(outputs, "float32") @ np.asarray(half.head.kernel)
    np.testing.assert_allclose(np.asarray(half.logits(outputs))[:, :, 0], product, atol=1e-5)  # not rounded
    np.testing.assert_allclose(half(tokens), exact(tokens), atol=0.3)
    assert half.generate(2, seed=1).shape == (2, 2, 3, 1)
