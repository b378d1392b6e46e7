import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.networks.text import embedding_of
from vqzoo.networks.text import text_decoder
from vqzoo.networks.text import text_encoder

LENGTHS = (23, 9, 4, 1)
# Attention of a sentence of one chunk looks at itself alone.
pytestmark = pytest.mark.filterwarnings("ignore:(?s).*You are using a softmax:UserWarning")


def pair(stride=4, attention=0, **options):
    keras.utils.set_random_seed(0)
    network = {"stride": stride, "filters": 16, "blocks": 3, "attention": attention, "embedding_dim": 6}
    return text_encoder(20, 5, end=2, **network, **options), text_decoder(20, 5, **network)


def sentences(seed=0):
    ids = np.random.default_rng(seed).integers(3, 20, (len(LENGTHS), max(LENGTHS))).astype("int32")
    for row, length in zip(ids, LENGTHS, strict=True):
        row[length - 1] = 2
    return ids  # with other pieces behind the end piece


@pytest.mark.parametrize("attention", [0, 1])
@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_a_padded_sentence_has_what_it_has_alone(stride, attention):
    encoder, decoder = pair(stride, attention)
    ids = sentences()
    latents = encoder(ids).numpy()
    logits = decoder(latents).numpy()
    for i, length in enumerate(LENGTHS):
        alone = encoder(ids[i : i + 1, :length]).numpy()
        chunks = -(-length // stride)
        assert alone.shape == (1, chunks, 5)
        np.testing.assert_allclose(latents[i, :chunks], alone[0], atol=1e-5)
        made = decoder(alone).numpy()
        assert made.shape == (1, chunks * stride, 20)
        np.testing.assert_allclose(logits[i, : chunks * stride], made[0], atol=1e-5)
    assert np.std(latents) > 0.1 and np.std(logits) > 0.1


@pytest.mark.parametrize("attention", [0, 1])
def test_the_encoder_looks_both_ways_and_the_decoder_back_alone(attention):
    encoder, decoder = pair(2, attention)
    ids = sentences()[:1]
    for other in (3, 18):
        changed = ids.copy()
        changed[0, other] = 3 + (changed[0, other] - 2) % 17
        moved = np.abs(encoder(changed) - encoder(ids)).max(-1)[0]
        assert moved[other // 2 - 1] > 1e-4 and moved[other // 2 + 1] > 1e-4
    latents = encoder(ids).numpy()
    changed = latents.copy()
    changed[:, 6] += 1.0
    moved = np.abs(decoder(changed) - decoder(latents)).max(-1)[0]
    assert not moved[:12].any()
    assert (moved[12:16] > 1e-3).all()  # its own pieces and the next chunk's
    # As it comes: the chunks so far give what they give in the whole.
    np.testing.assert_allclose(decoder(latents[:, :7]), decoder(latents)[:, :14], atol=1e-5)


def test_pieces_of_a_chunk_are_told_apart():
    _, decoder = pair(4)
    logits = decoder(np.ones((1, 1, 5), "float32")).numpy()[0]
    assert min(np.abs(logits[i] - logits[j]).max() for i in range(4) for j in range(i)) > 1e-2


def test_parameters_of_the_defaults():
    block = 7 * 128 + 128 + 2 * 128 + (128 + 1) * 384 + (384 + 1) * 128 + 128
    assert text_encoder(4000, 64, end=0).count_params() == (
        4000 * 96 + (5 * 96 + 1) * 128 + 2 * 128 + 4 * block + (8 * 128 + 1) * 128 + 2 * 128 + (128 + 1) * 64
    )
    assert text_decoder(4000, 64).count_params() == (
        (3 * 64 + 1) * 128 + 2 * 128 + 4 * block + (128 + 1) * 512 + 2 * 128 + (128 + 1) * 96 + (96 + 1) * 4000
    )


@pytest.mark.parametrize("tune", [True, False])
def test_vectors_to_start_from(tune):
    vectors = np.random.default_rng(0).normal(size=(20, 9)).astype("float32")
    encoder, _ = pair(embeddings=vectors, tune_embeddings=tune)
    layer = embedding_of(encoder)
    np.testing.assert_array_equal(layer.embeddings, vectors)
    assert layer.trainable == tune
    assert any(v is layer.embeddings for v in encoder.trainable_variables) == tune


def test_words_are_hidden_in_training_alone():
    encoder, _ = pair(word_dropout=0.5)
    ids = sentences()
    np.testing.assert_array_equal(encoder(ids), encoder(ids))
    assert np.abs(encoder(ids, training=True) - encoder(ids)).max() > 0.01


def test_padding_gives_no_gradient():
    encoder, _ = pair()
    ids = sentences()[1:2]
    with tf.GradientTape() as tape:
        latents = encoder(ids)[:, :3]  # the chunks of nine pieces
        total = tf.reduce_sum(tf.sin(latents))
    gradient = tape.gradient(total, embedding_of(encoder).embeddings.value)
    gradient = tf.convert_to_tensor(gradient).numpy()
    seen = set(ids[0, :9])
    assert {i for i in range(20) if gradient[i].any()} == seen != set(ids[0])


def test_errors():
    with pytest.raises(ValueError, match="`stride` must be a number of pieces, at least 1. Received: stride=0"):
        text_encoder(20, 5, end=2, stride=0)
    with pytest.raises(ValueError, match="`stride` must be a number of pieces, at least 1. Received: stride=1.5"):
        text_decoder(20, 5, stride=1.5)
    for wrong in (np.zeros((19, 4)), np.zeros(20), np.zeros((20, 4), int)):
        with pytest.raises(ValueError, match="a row of floats for each of the 20 pieces. Received: "):
            text_encoder(20, 5, end=2, embeddings=wrong)
    with pytest.raises(ValueError, match="one keras.layers.Embedding. Received: 'dense.*' with 0"):
        embedding_of(keras.layers.Dense(3))
