import keras
import numpy as np
import pytest

import vqzoo
from vqzoo.generation import Generator


@pytest.fixture(scope="module")
def generator(make_generator):
    return make_generator(size=(7, 11), sampling={"guidance": 2.0, "top_k": 6})


def test_labels_are_taken_in_turn_by_name_and_by_number(generator):
    shirt, boot, bag = names = ["T-shirt", "Ankle boot", "bag"]
    assert generator.conditions_of(["ankle_boot", 2, "t-shirt"], 5) == [boot, bag, shirt, boot, bag]
    assert generator.conditions_of("BAG") == [bag]
    assert generator.conditions_of(1, 3) == [boot] * 3
    assert generator.conditions_of(None, 4) == [*names, shirt]
    assert generator.conditions_of(None) == names  # all of them
    with pytest.raises(ValueError, match="There is no label 'ankel boot'. Did you mean 'Ankle boot'. There are: T-sh"):
        generator.conditions_of("ankel boot")
    with pytest.raises(ValueError, match="There is no label 3. Numbers go from 0 to 2, and a name is a str"):
        generator.conditions_of(3)
    with pytest.raises(ValueError, match="`condition` is one or several. Received: none"):
        generator.conditions_of([])


def test_pictures_are_those_of_the_priors_tokens(generator):
    pictures = vqzoo.generate(generator, 4, ["bag", "t-shirt"], seed=5)
    prefix = generator.prior.space.prefix(label=[2, 0, 2, 0])
    tokens = generator.prior.generate(prefix=prefix, seed=5, guidance=2.0, top_k=6)
    expected = np.clip(generator.tokenizer.decode(tokens, size=(7, 11)), -1, 1)
    np.testing.assert_array_equal(pictures, expected)
    assert pictures.dtype == "float32" and pictures.shape == (4, 7, 11, 3)
    again = vqzoo.generate(generator, condition=["bag", "t-shirt"], seed=5, batch_size=1)
    np.testing.assert_allclose(again, pictures[:2], atol=1e-6)
    other = generator.tokens(4, ["bag", "t-shirt"], seed=5, temperature=0, guidance=None)
    greedy = generator.prior.generate(prefix=prefix, seed=5, temperature=0, top_k=6)
    np.testing.assert_array_equal(other, greedy)


def test_without_labels_there_are_no_conditions(make_generator):
    generator = make_generator(vqzoo.MaskedPrior, labels=(), sampling={"guidance": 2.0, "steps": 2})
    assert generator.generate(2).shape == (2, 8, 12, 3)
    assert generator.conditions_of(None, 2) is None
    with pytest.raises(ValueError, match="This prior knows no conditions. Received: condition='bag'"):
        generator.generate(1, "bag")


def test_missing_tokens_are_made_without_and_with_a_condition(generator):
    known = np.full((2, 2, 3, 1), -1)
    known[0, 1] = 5
    made = generator.complete(known, seed=1)
    assert (made[0, 1] == 5).all() and (made >= 0).all()
    np.testing.assert_array_equal(made, generator.prior.generate(known=known, seed=1, top_k=6))
    assert not (generator.complete(known, "bag", seed=1) == made).all()


def test_what_does_not_fit_is_told(generator, make_generator, tmp_path):
    with pytest.raises(ValueError, match="Each label of the prior's space has a name. Received: 2 names of 3 labels"):
        Generator(generator.prior, generator.tokenizer, ["a", "b"])
    for options in ({}, {"known": np.full((1, 2, 3, 1), -1)}):
        plain = generator if options else make_generator(labels=())
        with pytest.raises(ValueError, match="Guidance needs a condition. Received: guidance=7.0 without one"):
            (plain.complete if options else plain.generate)(**options, guidance=7.0)
    with pytest.raises(ValueError, match="A prior makes tokens, not signals. Received: a AutoregressivePrior"):
        vqzoo.generate(generator.prior)
    other = vqzoo.image_vqvae(filters=4, blocks=1, latent_dim=4, quantizer=vqzoo.VectorQuantizer(16))
    other.build((None, 8, 8, 3))
    with pytest.raises(ValueError, match="The tokens of `tokenizer` come from a tokenizer with codebooks of"):
        Generator(generator.prior, other)
    generator.prior.save_to_preset(tmp_path / "prior")
    with pytest.raises(ValueError, match="'.*prior' has no tokenizer.keras"):
        vqzoo.generate(str(tmp_path / "prior"))


def test_a_preset_holds_its_tokenizer_and_stays_loaded(make_generator, tmp_path):
    made = make_generator(sampling={"top_k": 3})
    made.tokenizer.save_to_preset(tmp_path / "tokenizer")
    sha256 = vqzoo.presets.describe_tokens(tmp_path / "tokenizer")["sha256"]
    space = vqzoo.priors.TokenSpace(made.prior.space.sizes, owners={"image": sha256})
    config = {**made.prior.get_config(), "space": keras.saving.serialize_keras_object(space)}
    prior = vqzoo.AutoregressivePrior.from_config(config)
    prior.build_now()
    prior.set_weights(made.prior.get_weights())
    folder = tmp_path / "prior"
    told = {"modality": "image", "labels": list(made.conditions.known), "sampling": {"top_k": 3}, "codebook_sizes": [8]}
    prior.save_to_preset(folder, metadata={**told, "example": {"signal": [7, 11, 3]}}, seal=False)
    (folder / "tokenizer.keras").write_bytes((tmp_path / "tokenizer" / "tokenizer.keras").read_bytes())
    vqzoo.presets.seal_preset(folder)
    pictures = vqzoo.generate(folder, 2, "bag", seed=1)
    np.testing.assert_allclose(pictures, made.generate(2, "bag", seed=1)[:, :7, :11], atol=1e-6)
    assert vqzoo.generation.by_preset.generator_of(folder) is vqzoo.generation.by_preset.generator_of(folder)
    assert 'vqzoo.generate("prior", count=16, condition="T-shirt", seed=0)' in (folder / "README.md").read_text()
    # Another tokenizer in its place is noticed.
    made.tokenizer.quantizer.set_weights([w + 1 for w in made.tokenizer.quantizer.get_weights()])
    made.tokenizer.save_to_preset(tmp_path / "other")
    (folder / "tokenizer.keras").write_bytes((tmp_path / "other" / "tokenizer.keras").read_bytes())
    vqzoo.presets.seal_preset(folder)
    with pytest.raises(ValueError, match="come from a tokenizer with codebooks of .8,. codes .sha256"):
        vqzoo.generate(folder, 1)


@pytest.mark.parametrize("prior", [None, 3, 1.5, b"image-prior-fashion", [], object(), Generator])
def test_what_is_no_prior_is_refused_in_one_line(prior):
    with pytest.raises(
        ValueError, match="A prior is the name or the folder of its preset, or a vqzoo.generation.Generator"
    ):
        vqzoo.generate(prior)


@pytest.mark.parametrize("known", [None, 3, [], "x", np.zeros((0, 2, 3, 1), int)])
def test_what_is_known_is_of_one_signal_or_more(generator, known):
    with pytest.raises(ValueError, match="`known` is an int array .* of one signal or more"):
        generator.complete(known)
