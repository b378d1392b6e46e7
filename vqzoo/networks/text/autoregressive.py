"""An autoregressive decoder of text: parallel in training, piece by piece in generation."""

import keras

from vqzoo.networks.sequence.convolution import UpsampleConv1D
from vqzoo.networks.text.masks import WordDropout
from vqzoo.networks.transformer import Transformer
from vqzoo.ops import largest


@keras.saving.register_keras_serializable(package="vqzoo")
class AutoregressiveTextDecoder(keras.layers.Layer):
    r"""Predicts each piece from the chunks up to its own and from the preceding pieces.

    $$\ell_t = f(u_{\le t}, E_{y_{<t}}), \qquad u_t = W_{t \bmod s}\, z_{\lfloor t / s \rfloor}$$

    with z the latents, s the stride, y the pieces, E their vectors and f a causal `Transformer`. In training, y is the
    sentence itself. `generate` is greedy and uses a key/value cache. The preceding pieces carry much of the information
    that the latents should carry, so that a strong decoder may ignore the latents. Hide some of them by `word_dropout`.

    Args:
        pieces: int, number of pieces.
        end: int, id of the end-of-sequence token, which also precedes the first piece.
        stride: int, pieces per chunk. Defaults to 4.
        filters: int, width of the transformer. Defaults to 128.
        depth: int, its blocks. Defaults to 4.
        heads: int, a divisor of `filters`. Defaults to 2.
        embedding_dim: int, width of the vector of a piece. Defaults to 96.
        tied: bool, whether the output weights are tied to the vectors of the pieces. Defaults to True.
        word_dropout: float, fraction of the preceding pieces that are hidden in training. Defaults to 0.
        dropout: float, see `Transformer`. Defaults to 0.
        max_length: int, the largest number of pieces that `generate` returns. Defaults to 512.

    Call arguments:
        latents: float tensor (batch, chunks, latent_dim).
        ids: int32 tensor (batch, length), at most `chunks * stride` long: the sentences.
        training: bool. Defaults to False.

    Returns:
        float32 logits (batch, length, pieces).

    Raises:
        ValueError: if `filters` is not a multiple of `heads`, or `max_length` not of `stride`.

    Example:
    >>> decoder = AutoregressiveTextDecoder(50, end=2, filters=16, depth=1, heads=2, max_length=8)
    >>> latents = keras.random.normal((1, 2, 6), seed=0)
    >>> ids = decoder.generate(latents)
    >>> logits = decoder(latents, ids)
    >>> ids.shape, bool(keras.ops.argmax(logits[0, 0]) == ids[0, 0])
    (TensorShape([1, 8]), True)

    Reference:
        Bowman et al. 2015, https://arxiv.org/abs/1511.06349, section 3.1, for the word dropout
    """

    def __init__(
        self,
        pieces,
        *,
        end,
        stride=4,
        filters=128,
        depth=4,
        heads=2,
        embedding_dim=96,
        tied=True,
        word_dropout=0.0,
        dropout=0.0,
        max_length=512,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if filters % heads or max_length % stride:
            raise ValueError(
                "`heads` must divide `filters`, and `stride` must divide `max_length`. Received: "
                f"heads={heads}, filters={filters}, stride={stride}, max_length={max_length}"
            )
        self.pieces = pieces
        self.end = end
        self.stride = stride
        self.filters = filters
        self.depth = depth
        self.heads = heads
        self.embedding_dim = embedding_dim
        self.tied = tied
        self.word_dropout = word_dropout
        self.dropout = dropout
        self.max_length = max_length

    # === Layers ===
    def build(self, latents_shape, ids_shape=None):
        policy = {"dtype": self.dtype_policy}
        self.up = UpsampleConv1D(self.filters, self.stride, kernel_size=1, name="up", **policy)
        self.embedding = keras.layers.Embedding(self.pieces, self.embedding_dim, name="embedding", **policy)
        self.hide = WordDropout(self.word_dropout, name="word_dropout", **policy)
        self.from_embedding = keras.layers.Dense(self.filters, name="from_embedding", **policy)
        self.transformer = Transformer(
            self.depth, self.heads, causal=True, dropout=self.dropout, name="transformer", **policy
        )
        self.to_embedding = keras.layers.Dense(self.embedding_dim, name="to_embedding", **policy)
        self.up.build(tuple(latents_shape))
        self.embedding.build((None, None))
        self.from_embedding.build((None, None, self.embedding_dim))
        self.transformer.build((None, None, self.filters))
        self.to_embedding.build((None, None, self.filters))
        if not self.tied:
            self.table = self.add_weight((self.pieces, self.embedding_dim), "glorot_uniform", name="table")
        self.bias = self.add_weight((self.pieces,), "zeros", name="bias")

    def call(self, latents, ids, training=False):
        before = keras.ops.pad(ids[:, :-1], [[0, 0], [1, 0]], constant_values=self.end)
        known = self.up(latents)[:, : keras.ops.shape(ids)[1]]
        x = known + self.from_embedding(self.hide(self.embedding(before), training=training))
        return self._logits(self.transformer(x, training=training))

    @property
    def last_kernel(self):
        """The kernel before the products with the pieces' vectors, which the input shares where they are tied."""
        return self.to_embedding.kernel

    def generate(self, latents):
        """Greedy decoding until every sentence has ended.

        Args:
            latents: float tensor (batch, chunks, latent_dim), at most `max_length / stride` chunks.

        Returns:
            int32 tensor (batch, chunks * stride), filled with the end-of-sequence token after the first one.
        """
        if not self.built:
            self.build(latents.shape)
        known = self.up(latents)
        batch, length = keras.ops.shape(known)[:2]
        # The length is static when the graph is built, even if that of the sentences is not.
        cache = self.transformer.empty_cache(batch, known.shape[1] or self.max_length)

        def unfinished(t, ids, last, cache):
            return keras.ops.logical_and(t < length, keras.ops.logical_not(self._have_ended(t, last)))

        def step(t, ids, last, cache):
            here = keras.ops.slice(known, (0, t, 0), (batch, 1, self.filters))
            x = here + self.from_embedding(self.embedding(keras.ops.expand_dims(last, 1)))
            x, cache = self.transformer.step(x, cache, t)
            found = largest(keras.ops.reshape(self._logits(x), (-1, self.pieces)))
            found = keras.ops.where(keras.ops.logical_and(t > 0, last == self.end), self.end, found)
            ids = keras.ops.slice_update(ids, (0, t), keras.ops.expand_dims(found, 1))
            return t + 1, ids, found, cache

        ends = keras.ops.full((batch, length), self.end, dtype="int32")
        first = keras.ops.full((batch,), self.end, dtype="int32")
        start = (keras.ops.zeros((), "int32"), ends, first, cache)
        return keras.ops.while_loop(unfinished, step, start)[1]

    def compute_output_shape(self, latents_shape, ids_shape=None):
        length = None if latents_shape[1] is None else latents_shape[1] * self.stride
        return latents_shape[0], length if ids_shape is None else ids_shape[1], self.pieces

    def _have_ended(self, t, last):
        """Whether all sentences have ended. The token before the first piece does not count."""
        return keras.ops.logical_and(t > 0, keras.ops.all(last == self.end))

    def _logits(self, x):
        # Always in float32, because of the maximum of thousands of logits and the softmax of the loss.
        x = keras.ops.cast(self.to_embedding(x), "float32")
        table = self.embedding.embeddings if self.tied else self.table
        table = keras.ops.transpose(keras.ops.cast(table, "float32"))
        return keras.ops.matmul(x, table) + keras.ops.cast(self.bias, "float32")

    # === Config ===
    def get_config(self):
        names = ("pieces", "end", "stride", "filters", "depth", "heads", "embedding_dim", "tied", "word_dropout")
        names += ("dropout", "max_length")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
