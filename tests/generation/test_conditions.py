import keras
import numpy as np
import pytest
import tensorflow as tf

import vqzoo
from vqzoo.data import Pieces
from vqzoo.generation import Captions
from vqzoo.generation import Generator
from vqzoo.generation import Labels
from vqzoo.networks import Transformer
from vqzoo.priors import TokenSpace

TEXTS = ["red heart", "blue heart", "a cat with a red heart", "a blue cat"]


@pytest.fixture(scope="module")
def captions():
    return Captions(Pieces.train(TEXTS, 300, exact=False), 12, ["blue heart", "Red cat"])


@pytest.fixture(scope="module")
def generator(captions, make_generator):
    plain = make_generator(labels=())
    space = TokenSpace({"text": captions.size, "image": 8}, {"text": captions.sha256})
    prior = vqzoo.AutoregressivePrior(space, Transformer(1, 2, causal=True), "image", 8, (2, 3))
    prior.build_now()
    rng = np.random.default_rng(0)
    for weight in prior.weights:
        weight.assign(np.asarray(weight) + 0.4 * rng.normal(size=weight.shape))
    return Generator(prior, plain.tokenizer, captions, sampling={"guidance": 2.0})


def test_a_text_is_its_pieces_and_padding(captions):
    red, again, nothing = captions.tokens(["red heart", "  Red  HEART", ""])
    (ids,) = captions.pieces.encode(["red heart"])
    assert red[: len(ids), 0].tolist() == ids.tolist() and (red[len(ids) :] == -1).all()
    np.testing.assert_array_equal(red, again)
    assert (nothing == -1).all() and red.shape == (12, 1)
    long = captions.tokens(["red heart " * 9])[0]
    assert (long >= 0).all() and long[0] == red[0]


def test_what_is_asked_comes_in_turn(captions):
    assert captions.asked(["a", "b"], 3) == ["a", "b", "a"] and captions.asked("x") == ["x"]
    assert captions.asked(count=3) == ["blue heart", "Red cat", "blue heart"]
    assert Captions(captions.pieces, 5).asked() == [""]
    with pytest.raises(ValueError, match="A text for this prior has 11 pieces at most.*Received: .*'red heart red"):
        captions.asked("red heart " * 9)
    with pytest.raises(ValueError, match="This prior takes a text. Received: 3. Give a str"):
        captions.asked(3)
    with pytest.raises(ValueError, match="A text has a piece and its end. Received: length=1"):
        Captions(captions.pieces, 1)


def test_a_number_is_never_a_name():
    digits = Labels(["0", "1", "10"])
    assert digits.asked([2, "1", "10"]) == ["10", "1", "10"]
    for text in ("2", "02"):
        with pytest.raises(ValueError, match=f"label '{text}'. Labels are asked for by name, and number 2 is '10'"):
            digits.asked(text)
    with pytest.raises(ValueError, match="There is no label 10. Numbers go from 0 to 2, and a name is a str"):
        digits.asked(10)


def test_pictures_follow_any_text(generator, captions):
    made = vqzoo.generate(generator, 3, ["a red cat \u2665", ""], seed=3)
    texts = ["a red cat \u2665", "", "a red cat \u2665"]
    prefix = generator.prior.space.prefix(text=captions.tokens(texts))
    tokens = generator.prior.generate(prefix=prefix, seed=3, guidance=2.0)
    np.testing.assert_array_equal(made, np.clip(generator.tokenizer.decode(tokens), -1, 1))
    assert prefix[0, : captions.count(texts[0])].numpy().tolist() == [
        5 + i for i in captions.pieces.encode(texts[:1])[0]
    ]
    # Padding behind a text changes nothing, and nothing asked for is the same as no prefix.
    alone = generator.prior.generate(prefix=prefix[:1, : captions.count(texts[0])], seed=3, guidance=2.0)
    np.testing.assert_array_equal(alone[0], tokens[0])
    np.testing.assert_array_equal(generator.prior.generate(3, seed=3)[1], tokens[1])


def test_other_pieces_are_refused(generator):
    others = Captions(Pieces.train([*TEXTS, "a green dog"], 300, exact=False), 12)
    with pytest.raises(ValueError, match="The ids of these pieces of text come from a tokenizer with codebooks of"):
        Generator(generator.prior, generator.tokenizer, others)


def test_a_preset_takes_texts_as_long_as_its_pieces_are_whole(generator, captions, tmp_path):
    folder = tmp_path / "prior"
    told = {"captions": {"length": 12, "examples": ["blue heart"]}, "modality": "image", "codebook_sizes": [8]}
    generator.tokenizer.save_to_preset(tmp_path / "tokenizer")
    generator.prior.save_to_preset(folder, metadata=told, seal=False)
    (folder / "tokenizer.keras").write_bytes((tmp_path / "tokenizer" / "tokenizer.keras").read_bytes())
    vqzoo.presets.seal_preset(folder)
    with pytest.raises(ValueError, match="pieces.model"):
        Generator.from_preset(folder)
    (folder / "pieces.model").write_bytes(captions.pieces.model)
    vqzoo.presets.seal_preset(folder)
    again = Generator.from_preset(folder)
    assert again.conditions_of() == ["blue heart"] and again.conditions.length == 12
    np.testing.assert_array_equal(again.prefix_of(["A cat"]), generator.prefix_of(["a cat"]))
    assert 'condition="blue heart"' in (folder / "README.md").read_text()
    vqzoo.presets.storage.remove_exports(folder)
    assert (folder / "pieces.model").exists()
    (folder / "pieces.model").write_bytes(Pieces.train(["others"], 300, exact=False).model)
    with pytest.raises(ValueError, match="pieces.model"):
        Generator.from_preset(folder)


def test_conditions_of_arrays_and_tensors_are_plain_ones():
    labels = Labels(["cat", "dog"])
    for condition in (np.array(1), np.array("dog"), tf.constant(1), tf.constant("dog"), b"dog", np.array(["dog"])):
        assert labels.asked(condition, 2) == ["dog", "dog"]
    assert labels.asked(tf.constant(["cat", "dog"])) == ["cat", "dog"]
    with pytest.raises(ValueError, match="`condition` is a str, an int, or a sequence of them. Received: <KerasTensor"):
        labels.asked(keras.KerasTensor((2,)))
