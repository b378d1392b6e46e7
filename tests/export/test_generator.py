import subprocess
import sys

import keras
import numpy as np
import pytest

import vqzoo
from vqzoo.export import export_generator
from vqzoo.networks import Transformer
from vqzoo.priors import TokenSpace

SPACE = TokenSpace({"label": 10, "text": 50, "image": 16})
EMPTY = {"parts": {"text": (0,)}}
CHILD = """
import sys
import numpy as np
import tensorflow as tf
for folder in sys.argv[1:]:
    with np.load(folder + "/inputs.npz") as inputs:
        inputs = {name: tf.constant(inputs[name]) for name in inputs.files}
    model = tf.saved_model.load(folder + "/model")
    outputs = model.signatures["generate"](**inputs)
    np.savez(folder + "/outputs.npz", **{name: value.numpy() for name, value in outputs.items()})
    try:
        model.signatures["generate"](**{**inputs, "seed": tf.constant(-1)})
    except tf.errors.InvalidArgumentError as error:
        assert "`seed` is 0 or more. Received:" in str(error), error
    else:
        raise SystemExit("a negative seed is the same as another one")
assert "vqzoo" not in sys.modules
"""


def prior_of(kind, grid=(2, 3), context=False, **options):
    keras.utils.set_random_seed(0)
    transformer = Transformer(1, 2, causal=kind is vqzoo.AutoregressivePrior, cross_attention=context)
    prior = kind(SPACE, transformer, "image", 8, grid, **options)
    prior.build()
    rng = np.random.default_rng(0)
    for weight in prior.weights:
        weight.assign(np.asarray(weight) + 0.4 * rng.normal(size=weight.shape))
    return prior


def tokenizer_of(codes=16):
    quantizer = vqzoo.VectorQuantizer(codes, keras.initializers.RandomNormal(stddev=0.3, seed=1))
    tokenizer = vqzoo.image_vqvae(filters=4, blocks=1, latent_dim=4, quantizer=quantizer)
    tokenizer.build((None, None, None, 3))
    return tokenizer


@pytest.mark.slow
def test_a_process_without_vqzoo_makes_the_same(tmp_path):
    labels, tokenizer = np.array([1, 2, -1], "int32"), tokenizer_of()
    texts, ids = np.array([[7, 3, 0], [9, 0, -1]], "int32"), np.asarray(SPACE.prefix(label=[1, 2, 3]))
    guided = {"top_k": 8, "guidance": 2.0}
    masked = {"steps": 3, "noise": 1.0, "top_p": 0.9}
    cases = {
        "guided": (prior_of(vqzoo.AutoregressivePrior), {"label": labels}, guided, tokenizer),
        "masked": (prior_of(vqzoo.MaskedPrior), {"text": texts, "prefix": ids[:2]}, masked, None),
        "context": (
            prior_of(vqzoo.AutoregressivePrior, None, context=True),
            {"context": ids},
            {"length": 4, "xla": False},
            None,
        ),
        "beams": (
            prior_of(vqzoo.AutoregressivePrior, None, context=True),
            {"context": ids},
            {"length": 4, "beams": 3, "no_repeat": 2},
            None,
        ),
    }
    expected = {}
    for name, (prior, inputs, options, decoder) in cases.items():
        parts = {key: inputs[key] for key in inputs if key in SPACE.names}
        lengths = {f"{key}_length": value.shape[1] for key, value in inputs.items() if key not in parts}
        shapes = {key: value.shape[1:] for key, value in parts.items()}
        export_generator(prior, tmp_path / name / "model", decoder, parts=shapes, **lengths, **options)
        seed = 2**31 - 1 if name == "guided" else 7
        np.savez(tmp_path / name / "inputs.npz", seed=np.int32(seed), **inputs)
        options.pop("xla", None)
        own = [SPACE.prefix(**{key: value[..., None] if value.ndim > 1 else value}) for key, value in parts.items()]
        own += [inputs["prefix"]] if "prefix" in inputs else []
        asked = {"prefix": np.concatenate(own, axis=1)} if own else {"context": ids}
        expected[name] = np.asarray(prior.generate(**asked, seed=seed, **options))
    folders = [str(tmp_path / name) for name in cases]
    child = subprocess.run([sys.executable, "-P", "-c", CHILD, *folders], capture_output=True, text=True)
    assert child.returncode == 0, child.stderr[-3000:]
    for name, tokens in expected.items():
        with np.load(tmp_path / name / "outputs.npz") as outputs:
            np.testing.assert_array_equal(outputs["tokens"], tokens, err_msg=name)
            assert ("signal" in outputs) == (name == "guided")
            if name == "guided":
                np.testing.assert_allclose(outputs["signal"], tokenizer.decode(tokens), atol=1e-5)
    assert len(np.unique(expected["guided"])) > 3


def test_what_does_not_fit_is_refused(tmp_path):
    prior = prior_of(vqzoo.AutoregressivePrior)
    unbuilt = vqzoo.AutoregressivePrior(SPACE, Transformer(1, 2, causal=True), "image", 8)
    for message, arguments, options in (
        ("A prior must be built before its export", (unbuilt,), {}),
        ("The tokens of `tokenizer` come from a tokenizer with codebooks of .8,. codes", (prior, tokenizer_of(8)), {}),
        ("Guidance needs a condition. Received: guidance=2.0", (prior,), {"guidance": 2.0}),
        ("cross_attention=False: it takes no context", (prior,), {"context_length": 3}),
        ("no setting `steps` here. Only a `MaskedPrior` has it", (prior,), {"steps": 3}),
        ("This space has the parts label, text, image. Received: 'style'", (prior,), {"parts": {"style": ()}}),
        (
            "Tokens of 'text' must be labels, or have 1 tokens per position. Received: parts={'text': .0,.}",
            (prior,),
            EMPTY,
        ),
    ):
        with pytest.raises(ValueError, match=message):
            export_generator(arguments[0], tmp_path / "it", *arguments[1:], **options)
    assert not (tmp_path / "it").exists()
