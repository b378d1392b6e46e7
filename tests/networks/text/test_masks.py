import numpy as np
import pytest

from vqzoo.networks.text import RealPieces
from vqzoo.networks.text import WordDropout

IDS = np.array([[7, 8, 9, 2, 2, 2, 2], [2, 9, 9, 2, 9, 9, 9], [3, 3, 3, 3, 3, 3, 3]], "int32")


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 8])
def test_a_chunk_is_real_where_one_of_its_pieces_is(stride):
    lengths = [4, 1, 7]
    layer = RealPieces(2, stride)
    marks = layer(IDS).numpy()
    for row, length in zip(marks, lengths, strict=True):
        expected = np.arange(0, 7, stride) < length
        np.testing.assert_array_equal(row[:, 0], expected)
    assert marks.shape == layer.compute_output_shape(IDS.shape)
    assert layer.compute_output_shape((None, None)) == (None, None, 1)
    np.testing.assert_array_equal(layer.portable()(IDS), marks)


def test_word_dropout_hides_whole_pieces_in_training_alone():
    x = np.random.default_rng(0).normal(size=(50, 40, 3)).astype("float32")
    layer = WordDropout(0.3, seed=1)
    np.testing.assert_array_equal(layer(x), x)
    hidden = layer(x, training=True).numpy()
    kept = (hidden == x).all(-1)
    assert (kept | (hidden == 0).all(-1)).all()
    assert kept.mean() == pytest.approx(0.7, abs=0.03)
    assert (kept[0] != kept[1]).any() and (kept[:, 0] != kept[:, 1]).any()
    assert ((layer(x, training=True).numpy() == x).all(-1) != kept).any()
    np.testing.assert_array_equal(WordDropout(0.3, seed=1)(x, training=True), hidden)
    np.testing.assert_array_equal(WordDropout(0.0)(x, training=True), x)
    assert not WordDropout(1.0)(x, training=True).numpy().any()
    np.testing.assert_array_equal(layer.portable()(x), x)


def test_a_rate_out_of_range():
    with pytest.raises(ValueError, match=r"`rate` must be in \[0, 1\]. Received: rate=1.5"):
        WordDropout(1.5)
