import numpy as np

import vqzoo
from vqzoo.data import Pieces
from vqzoo.networks.text import AutoregressiveTextDecoder
from vqzoo.networks.text import embedding_of

SENTENCES = ["the cat sat on the mat", "a dog and a cat"]


def pieces():
    return Pieces.train(SENTENCES, size=300, exact=False)


def size_of_4000(tokenizer, embedding_dim):
    """Bytes of the weights, had there been 4,000 pieces."""
    missing = 4000 - tokenizer.pieces.size
    return 4 * (tokenizer.count_params() + missing * (2 * embedding_dim + 1))


def test_the_default_of_4000_pieces_is_a_small_preset_of_fewer_bits_than_they_take():
    tokenizer = vqzoo.text_vqvae(pieces())
    assert 8e6 < size_of_4000(tokenizer, 96) < 9.8e6
    assert (tokenizer.stride, tokenizer.codebook_sizes) == (4, 4 * (1024,))
    assert sum(np.log2(tokenizer.codebook_sizes)) / tokenizer.stride == 10 < np.log2(4000)
    assert vqzoo.text_vqgan(pieces()).codebook_sizes == 4 * (1024,)
    assert size_of_4000(vqzoo.text_vqgan(pieces()), 96) < 9.8e6


def test_its_arguments_reach_the_networks():
    of = pieces()
    vectors = np.random.default_rng(0).normal(size=(of.size, 7)).astype("float32")
    for build in (vqzoo.text_vqvae, vqzoo.text_vqgan):
        tokenizer = build(
            of, 2, 16, 3, 1, latent_dim=5, word_dropout=0.5, embeddings=vectors, quantizer=vqzoo.VectorQuantizer(9)
        )
        assert (tokenizer.stride, tokenizer.codebook_sizes) == (2, (9,))
        np.testing.assert_array_equal(embedding_of(tokenizer.encoder).embeddings, vectors)
        for network in (tokenizer.encoder, tokenizer.decoder):
            names = [layer.name for layer in network.layers]
            assert {"block_0", "block_1", "block_2", "transformer"} <= set(names) and "block_3" not in names
            assert network.get_layer("block_0").parts[0].kernel.shape[1] == 16
        assert tokenizer.encoder.get_layer("word_dropout").rate == 0.5
        assert tokenizer.encoder.output_shape[-1] == tokenizer.decoder.input_shape[-1] == 5


def test_another_decoder():
    of = pieces()
    decoder = AutoregressiveTextDecoder(of.size, end=of.end, filters=16, depth=1, heads=2)
    for build in (vqzoo.text_vqvae, vqzoo.text_vqgan):
        tokenizer = build(of, filters=16, decoder=decoder)
        assert tokenizer.decoder is decoder and tokenizer.is_autoregressive
