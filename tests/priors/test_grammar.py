import numpy as np
import pytest
import tensorflow as tf

from vqzoo.priors import Grammar
from vqzoo.priors import TokenSpace
from vqzoo.priors.grammar import BETWEEN
from vqzoo.priors.grammar import STOPPED
from vqzoo.priors.token_space import PADDING
from vqzoo.priors.token_space import STOP

SPACE = TokenSpace({"label": 3, "image": (5, 4), "text": 7})
LENGTHS = {"image": 6, "text": None}
GRAMMAR = Grammar(SPACE, LENGTHS)


def test_what_may_come_is_typed_out():
    def due(*ids):
        state = np.array([GRAMMAR.after(ids)])
        return np.flatnonzero(GRAMMAR.allowed(state)[0]).tolist()

    grammar = Grammar(SPACE, {"image": 1, "text": None})
    assert due() == [STOP, 8, 19]
    assert due(8) == [10, 11, 12, 13, 14]
    assert due(8, 10) == [15, 16, 17, 18]
    one = np.array([grammar.after([8, 10, 15])])
    assert np.flatnonzero(grammar.allowed(one)[0]).tolist() == [9]
    assert due(19) == [20, *range(21, 28)] == due(19, 25)
    assert due(19, 25, 20) == [STOP, 8, 19]
    assert due(STOP) == [PADDING] == due(STOP, PADDING, PADDING)


@pytest.mark.parametrize("lengths", [LENGTHS, {"image": None, "text": 2}, {"image": 3}])
def test_random_logits_make_whole_spans_alone(lengths):
    grammar = Grammar(SPACE, lengths)

    @tf.function(jit_compile=True)
    def run(logits):
        def body(step, states, ids):
            allowed = tf.where(grammar.allowed(states), logits[:, step], -1e9)
            made = tf.argmax(allowed, axis=1, output_type=tf.int32)
            return step + 1, grammar.step(states, made), tf.concat([ids[:, 1:], made[:, None]], axis=1)

        rows, steps, _ = logits.shape
        start = (tf.constant(0), tf.fill((rows,), BETWEEN), tf.zeros((rows, steps), tf.int32))
        _, states, ids = tf.while_loop(lambda step, *_: step < steps, body, start)
        return ids, states

    logits = np.random.default_rng(0).normal(size=(40, 60, SPACE.size)).astype("float32")
    ids, states = (x.numpy() for x in run(logits))
    stopped, spans = 0, {}
    for row, state in zip(ids, states, strict=True):
        assert grammar.after(row) == state
        assert (state == STOPPED) == (STOP in row)
        stopped += STOP in row
        for span in grammar.read(row)[: None if STOP in row else -1]:
            spans.setdefault(span.name, []).append(len(span.tokens))
            assert (span.tokens >= 0).all() and (span.tokens < SPACE.sizes[span.name]).all()
        if STOP in row:
            assert (row[np.argmax(row == STOP) + 1 :] == PADDING).all()
    assert 3 < stopped and set(spans) == set(lengths)
    for name, found in spans.items():
        assert set(found) == {lengths[name]} if lengths[name] else len(set(found)) > 3


def test_spans_are_read():
    ids = [8, *[10, 15] * 6, 9, 19, 22, 23, 20, 8, 11, 16, 12]
    image, text, unfinished = GRAMMAR.read(ids)
    assert (image.name, text.name, unfinished.name) == ("image", "text", "image")
    np.testing.assert_array_equal(image.tokens, np.zeros((6, 2)))
    np.testing.assert_array_equal(text.tokens, [[1], [2]])
    np.testing.assert_array_equal(unfinished.tokens, [[1, 1]])


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([8, 15], "Id 15 at 1 is code 0 of codebook 1 of image. Expected: code 0 of codebook 0 of image to code 4"),
        ([8, *[10, 15] * 6, 10], "Id 10 at 13 is code 0 .* Expected: the end of image"),
        ([8, 10, 15, 9], "Id 9 at 3 is the end of image. Expected: code 0"),
        (
            [3],
            "Id 3 at 0 is the start of label. Expected: the end of the sequence or the start of image or the start of",
        ),
        ([STOP, 8], "Id 8 at 1 is the start of image. Expected: padding"),
        ([99], "Id 99 at 0 is not an id of this space"),
    ],
)
def test_what_may_not_come_is_refused(ids, message):
    with pytest.raises(ValueError, match=message):
        GRAMMAR.after(ids)


def test_wrong_spans_are_refused():
    with pytest.raises(ValueError, match="This space has the parts"):
        Grammar(SPACE, {"sound": 3})
    with pytest.raises(ValueError, match="A span must have at least one position. Received: 'image' with 0"):
        Grammar(SPACE, {"image": 0})
    with pytest.raises(ValueError, match="This grammar has spans of image, text. Received: 'label'"):
        GRAMMAR.first("label")
