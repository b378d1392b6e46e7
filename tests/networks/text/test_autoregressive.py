import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.networks.text import AutoregressiveTextDecoder

# A single position looks at itself alone.
pytestmark = pytest.mark.filterwarnings("ignore:(?s).*You are using a softmax:UserWarning")


def made(stride=2, tied=True, **options):
    decoder = AutoregressiveTextDecoder(
        12, end=1, stride=stride, filters=8, depth=2, heads=2, embedding_dim=6, tied=tied, max_length=24, **options
    )
    decoder.build((None, None, 5))
    rng = np.random.default_rng(1)
    for variable in decoder.weights:
        variable.assign(rng.normal(size=variable.shape) * 0.7)
    decoder.up.kernel.assign(decoder.up.kernel * 4.0)  # or all sentences would be much the same
    decoder.bias.assign_add(np.eye(12)[1] * 2.0)  # or few would end
    return decoder


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def upto_end(row):
    row = list(row)
    return row[: row.index(1) + 1] if 1 in row else row


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_step_by_step_it_says_what_it_would_have_been_taught(stride, tied):
    decoder = made(stride, tied)
    latents = noise(40, 24 // stride, 5)
    ids = decoder.generate(latents).numpy()
    assert ids.shape == (40, 24) and ids.dtype == np.int32
    best = np.argmax(decoder(latents, ids), axis=-1)
    lengths = [len(upto_end(row)) for row in ids]
    for row, other, length in zip(ids, best, lengths, strict=True):
        np.testing.assert_array_equal(row[:length], other[:length])
        assert (row[length:] == 1).all()
    assert len(set(lengths)) > 1 and len(np.unique(ids)) > 2
    graph = tf.function(decoder.generate, input_signature=[tf.TensorSpec((None, None, 5))])
    np.testing.assert_array_equal(graph(latents), ids)
    # What stands behind is not seen.
    fewer = decoder.generate(latents[2:3, : 12 // stride]).numpy()
    assert upto_end(fewer[0]) == upto_end(ids[2])[:12]


def test_it_sees_the_pieces_before_and_the_chunks_up_to_its_own():
    decoder = made()
    latents, ids = noise(1, 4, 5), np.array([[3, 4, 5, 6, 7, 8, 9, 10]], "int32")
    other = ids.copy()
    other[0, 4] = 2
    moved = np.abs(decoder(latents, other) - decoder(latents, ids)).max(-1)[0]
    assert not moved[:5].any() and (moved[5:] > 1e-4).all()
    changed = latents.copy()
    changed[:, 2] += 1.0
    moved = np.abs(decoder(changed, ids) - decoder(latents, ids)).max(-1)[0]
    assert not moved[:4].any() and (moved[4:] > 1e-4).all()
    np.testing.assert_allclose(decoder(latents, ids[:, :5]), decoder(latents, ids)[:, :5], atol=1e-5)


def test_a_sentence_is_taught_from_the_end_piece_on():
    decoder = made()
    latents = noise(1, 1, 5)
    first = decoder(latents, np.array([[7, 7]], "int32")).numpy()[0, 0]
    known = decoder.up(latents)[:, :1]
    x = known + decoder.from_embedding(decoder.embedding(np.array([[1]])))
    x = decoder.to_embedding(decoder.transformer(x)).numpy()[0, 0]
    np.testing.assert_allclose(first, x @ decoder.embedding.embeddings.numpy().T + decoder.bias.numpy(), atol=1e-4)


def test_tied_logits_have_no_weights_of_their_own():
    assert made(tied=False).count_params() - made().count_params() == 12 * 6


def test_pieces_before_are_hidden_in_training_alone():
    decoder = made(word_dropout=1.0)
    latents, ids = noise(1, 2, 5), np.array([[3, 4, 5, 6]], "int32")
    other = np.array([[8, 9, 10, 11]], "int32")
    np.testing.assert_array_equal(decoder(latents, ids, training=True), decoder(latents, other, training=True))
    assert np.abs(decoder(latents, ids) - decoder(latents, other)).max() > 1e-3


def test_errors():
    for wrong in ({"heads": 3}, {"max_length": 25}):
        with pytest.raises(ValueError, match="`heads` must divide `filters`, and `stride` must divide `max_length`"):
            AutoregressiveTextDecoder(12, end=1, **{"stride": 2, "filters": 8, "heads": 2, **wrong})


def test_its_config_is_its_constructor():
    decoder = AutoregressiveTextDecoder(12, end=1, stride=2, filters=8, heads=2, tied=False, max_length=8)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(decoder))
    assert copy.get_config() == decoder.get_config()
