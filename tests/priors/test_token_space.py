import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.priors import TokenSpace
from vqzoo.priors.token_space import MASK
from vqzoo.priors.token_space import PADDING
from vqzoo.priors.token_space import STOP

SPACE = TokenSpace({"label": 3, "image": (5, 4), "text": 7}, {"image": "a" * 64})


def test_every_id_stands_for_one_thing():
    # 0 1 2 | 3 4 labels 5 6 7 | 8 9 first codebook 10..14, second 15..18 | 19 20 pieces 21..27
    assert SPACE.size == 28 and SPACE.names == ("label", "image", "text")
    assert [SPACE.start(name) for name in SPACE.names] == [3, 8, 19]
    assert [SPACE.end(name) for name in SPACE.names] == [4, 9, 20]
    assert [SPACE.first("image", k) for k in (0, 1)] == [10, 15]
    assert SPACE.codes("image").tolist() == list(range(10, 19))
    assert SPACE.codes("image", 1).tolist() == [15, 16, 17, 18]
    told = [SPACE.meaning(i) for i in range(28)]
    assert len(set(told)) == 28
    assert told[PADDING] == "padding" and told[MASK] == "a masked token" and told[STOP] == "the end of the sequence"
    assert told[8] == "the start of image" and told[9] == "the end of image"
    assert told[16] == "code 1 of codebook 1 of image" and told[27] == "code 6 of codebook 0 of text"
    assert SPACE.meaning(28) == "not an id of this space, which has 28"


def test_there_and_back():
    rng = np.random.default_rng(0)
    tokens = np.stack([rng.integers(-1, k, (3, 2, 4)) for k in (5, 4)], axis=-1)
    ids = np.asarray(SPACE.to_ids("image", tokens))
    assert ids.dtype == np.int32
    expected = np.where(tokens < 0, 0, tokens + [10, 15])
    np.testing.assert_array_equal(ids, expected)
    np.testing.assert_array_equal(SPACE.to_tokens("image", ids), tokens)


def test_inside_a_graph_what_is_no_code_becomes_none():
    @tf.function
    def tokens_of(ids):
        return SPACE.to_tokens("image", ids)

    ids = tf.constant([[10, 18], [9, 14], [15, 15], [0, 27]])
    np.testing.assert_array_equal(tokens_of(ids), [[0, 3], [-1, -1], [-1, 0], [-1, -1]])


def test_a_prefix_is_its_parts_in_a_row():
    prefix = SPACE.prefix(label=np.array([2, 0]), image=np.array([[[[1, 2]]], [[[3, -1]]]]))
    np.testing.assert_array_equal(prefix, [[7, 11, 17], [5, 13, 0]])
    with pytest.raises(ValueError, match="A prefix needs a part or more. Received: none. This space has label, image"):
        SPACE.prefix()


def test_it_is_saved_with_its_order():
    config = keras.saving.serialize_keras_object(SPACE)
    again = keras.saving.deserialize_keras_object(config)
    assert again == SPACE and again.names == SPACE.names and again.owners == SPACE.owners
    assert hash(again) == hash(SPACE)
    assert TokenSpace({"image": (5, 4), "label": 3}) != TokenSpace({"label": 3, "image": (5, 4)})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TokenSpace({}), "A space needs at least one part"),
        (lambda: TokenSpace({"image": (5, 0)}), "each codebook at least one code. Received: {'image': .5, 0.}"),
        (lambda: TokenSpace({"image": 5}, {"sound": ""}), "This space has the parts image. Received: 'sound'"),
        (lambda: SPACE.start("sound"), "This space has the parts label, image, text. Received: 'sound'"),
        (lambda: SPACE.first("image", 2), "'image' has the codebooks 0 to 1. Received: codebook=2"),
        (lambda: SPACE.to_ids("image", [[5, 0]]), "be in .0, 5 and 4., or -1 for none. Received: values from 0 to 5"),
        (lambda: SPACE.to_ids("image", [[0.5, 0]]), "Tokens are integers. Received: dtype=float64"),
        (lambda: SPACE.to_ids("image", [[0, 0, 0]]), "have a last axis of 2, .* Received: shape=.1, 3."),
        (lambda: SPACE.to_tokens("text", [[21], [9]]), "Received: 9 at .1, 0., which is the end of image"),
    ],
)
def test_wrong_things_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_another_tokenizers_tokens_are_refused():
    SPACE.check_owner("image", "a" * 64, (5, 4), "These")
    SPACE.check_owner("image", "", (5, 4), "Of an unknown model")
    SPACE.check_owner("text", "b" * 64, (7,), "Of a part without an owner")
    with pytest.raises(
        ValueError, match="These come from a tokenizer with codebooks of .5, 4. codes .sha256 bbbbbbbbbbbb."
    ):
        SPACE.check_owner("image", "b" * 64, (5, 4), "These")
    with pytest.raises(ValueError, match="codebooks of .5, 5. codes"):
        SPACE.check_owner("image", "a" * 64, (5, 5), "These")


def test_the_former_name_of_a_meaning_warns():
    with pytest.warns(DeprecationWarning, match="`TokenSpace.told` is `TokenSpace.meaning`"):
        assert SPACE.told(28) == SPACE.meaning(28)
