import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.losses import PieceCrossEntropy

END = 3


def random(batch=4, length=6, pieces=7):
    rng = np.random.default_rng(0)
    ids = rng.integers(0, pieces, (batch, length))
    ids[ids == END] = 1
    ids[0, 2:] = END  # two pieces and the end piece
    ids[1, 0] = END  # an empty sentence, with something behind it
    ids[2, 5] = END
    return ids, rng.normal(size=(batch, length, pieces)).astype("float32") * 3


def oracle(ids, logits, smoothing):
    losses = []
    for row, scores in zip(ids, logits.astype("float64"), strict=True):
        count = list(row).index(END) + 1 if END in row else len(row)
        logs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
        target = np.eye(scores.shape[-1])[row] * (1 - smoothing) + smoothing / scores.shape[-1]
        losses.append(-(target * logs).sum(-1)[:count].mean())
    return losses


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_equals_numpy(smoothing):
    ids, logits = random()
    value = PieceCrossEntropy(END, smoothing)(ids, logits)
    assert value.dtype == "float32"
    np.testing.assert_allclose(value, oracle(ids, logits, smoothing), rtol=1e-5)


def test_typed_out_answers():
    ids = np.array([[0, END]])
    assert float(PieceCrossEntropy(END)(ids, np.zeros((1, 2, 8)))[0]) == pytest.approx(np.log(8))
    assert float(PieceCrossEntropy(END, 0.5)(ids, np.zeros((1, 2, 8)))[0]) == pytest.approx(np.log(8))
    sure = 50 * np.eye(8)[ids]
    assert float(PieceCrossEntropy(END)(ids, sure)[0]) == pytest.approx(0.0, abs=1e-6)
    assert float(PieceCrossEntropy(END, 0.4)(ids, sure)[0]) == pytest.approx(0.4 * 50 * 7 / 8, rel=1e-5)


def test_what_stands_behind_the_end_changes_nothing():
    ids, logits = random()
    expected = PieceCrossEntropy(END, 0.1)(ids, logits)
    other, garbage = ids.copy(), logits.copy()
    other[0, 3:], other[1, 1:] = 5, END
    garbage[0, 3:], garbage[1, 1:] = 1e30, np.nan
    np.testing.assert_array_equal(PieceCrossEntropy(END, 0.1)(other, garbage), expected)
    shorter = PieceCrossEntropy(END, 0.1)(ids[:1, :3], logits[:1, :3])
    np.testing.assert_allclose(shorter, expected[:1], rtol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_gradients(smoothing):
    ids, logits = random()
    logits = tf.Variable(logits)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(PieceCrossEntropy(END, smoothing)(ids, logits))
    target = np.eye(7)[ids] * (1 - smoothing) + smoothing / 7
    counts = np.array([3, 1, 6, 6])
    real = np.arange(6) < counts[:, None]
    expected = (tf.nn.softmax(logits) - target) * (real / counts[:, None])[..., None]
    np.testing.assert_allclose(tape.gradient(value, logits), expected, atol=1e-6)


def test_half_precision_is_computed_in_float32():
    ids, logits = random()
    half = tf.cast(logits, "float16")
    value = PieceCrossEntropy(END, 0.1)(ids, half)
    np.testing.assert_array_equal(value, PieceCrossEntropy(END, 0.1)(ids, tf.cast(half, "float32")))


def test_it_is_serialised():
    loss = PieceCrossEntropy(END, 0.1)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert isinstance(again, PieceCrossEntropy)
    assert again.get_config() == loss.get_config() == {"end": END, "label_smoothing": 0.1}


def test_it_is_compiled():
    ids, logits = random()
    loss = PieceCrossEntropy(END, 0.1)
    np.testing.assert_allclose(tf.function(loss, jit_compile=True)(ids, logits), loss(ids, logits), rtol=1e-5)


def test_what_it_refuses():
    with pytest.raises(
        ValueError, match="`end` must be the id of the end-of-sequence token, `pieces.end`. Received: end=-1"
    ):
        PieceCrossEntropy(-1)
    for smoothing in (-0.1, 1.0):
        with pytest.raises(ValueError, match=r"`label_smoothing` must be in \[0, 1\). Received: label_smoothing="):
            PieceCrossEntropy(END, smoothing)
    ids, logits = random()
    for wrong in ((ids, logits[0]), (ids[0], logits), (logits, ids)):
        with pytest.raises(ValueError, match=r"logits \(batch, length, pieces\). Received: ids"):
            PieceCrossEntropy(END)(*wrong)
