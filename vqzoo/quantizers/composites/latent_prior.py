"""A small prior over the tokens, learnt with them; late in training the encoder is drawn to what it can predict."""

import numbers

import keras

from vqzoo.ops import masked_mean
from vqzoo.quantizers.composites.around import AroundQuantizer


@keras.saving.register_keras_serializable(package="vqzoo")
class LatentPriorQuantizer(AroundQuantizer):
    r"""Adds how badly a small causal network predicts the tokens to the losses; otherwise it is the quantizer inside.

    $$L = -\frac{1}{N} \sum_{i=1}^N \frac{1}{M} \sum_{m=1}^M \log p\,(k_{i,m} \mid \tilde e_{<i}, k_{i,<m}), \qquad
    \tilde e = \operatorname{sg}[e] + w_t\,(e - \operatorname{sg}[e]), \qquad
    w_t = \operatorname{clip}\left(\frac{t - t_0}{t_1 - t_0}, 0, 1\right)$$

    with k the tokens of the N positions in raster order, e the quantized latents, M the number of codebooks, t the
    number of this training call, from 1, and sg the stop-gradient. The network learns from the first call on; the
    encoder feels the loss after t_0 and all of it from t_1 on, so that it first learns to reconstruct, and then to do
    so with tokens that a prior can learn. The loss itself is never faded: on held-out data it tells, over log 2, the
    bits that a token takes.

    Which gradients flow: the network's weights take that of L. The latents take w_t of two others. One comes through
    the latents *before* the predicted position, by whatever estimator the quantizer inside has: write there what tells
    the next tokens. The other comes through the predicted position itself: it is that of the expected loss
    $\sum_k q_k \operatorname{sg}[-\log p_k]$, with q how near each code is (`soft_tokens`), and moves a latent to the
    likelier of the codes around it. Where the quantizer inside has no such distances (`GumbelQuantizer`,
    `IndexPropagationQuantizer`, those without a codebook), the second is missing. The hard tokens themselves pass
    nothing on: straight through them a latent would be pushed on also where its code is predicted already.

    The network stacks dilated causal convolutions, which look back 2^(depth + 1) - 1 positions. Grids of any rank are
    read row after row: on a picture that reaches a few rows at the most. Of several codebooks all are predicted at
    each position, the later ones from the sum of the vectors of the earlier ones too. Padded positions enter as zeros
    and are not predicted. In a preset only the quantizer inside is kept: see `inference_form`.

    Args:
        quantizer: `Quantizer` whose tokens stand on the grid of the latents.
        start: int, training calls up to which the encoder does not feel the loss, t_0. Defaults to 1000.
        stop: int, training calls from which on it feels all of it, t_1. Defaults to 2000.
        width: int, channels of the network. Defaults to 128.
        depth: int, its blocks. Defaults to 3.

    Call arguments:
        latents: float tensor, shape (batch, *grid, latent_dim).
        training: bool, handed to the inner quantizer, and whether to count the call. Defaults to False.
        mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

    Returns:
        `Quantized(latents, tokens, losses)` of the inner quantizer, with the loss `latent_prior` in nats a token.

    Raises:
        ValueError: if `quantizer` is no `Quantizer`, has a loss `latent_prior` itself, or gives tokens on another grid;
            if `stop` does not come after `start`, or a size is no positive integer.

    Example:
    >>> from vqzoo.quantizers import VectorQuantizer
    >>> quantizer = LatentPriorQuantizer(VectorQuantizer(16), start=100, stop=200)
    >>> quantized = quantizer(keras.random.normal((2, 5, 8)))
    >>> sorted(quantized.losses)
    ['codebook', 'commitment', 'latent_prior']

    Reference:
        Kaiser et al. 2018, https://arxiv.org/abs/1803.03382: their code learns a predictor of the latents with the
        tokenizer; the bits of soft tokens: Agustsson et al. 2017, https://arxiv.org/abs/1704.00648, section 3.
    """

    def __init__(self, quantizer, start=1000, stop=2000, width=128, depth=3, **kwargs):
        super().__init__(quantizer, **kwargs)
        _check(quantizer, start, stop, {"width": width, "depth": depth})
        self.start = start
        self.stop = stop
        self.width = width
        self.depth = depth
        options = {"dtype": "float32"}
        # The bias keeps the first position, which nothing stands before, away from 0, where a normalization is steep.
        self.project = keras.layers.Dense(width, bias_initializer="random_normal", name="project", **options)
        self.convolutions = [
            keras.layers.Conv1D(width, 3, padding="causal", dilation_rate=2**i, name=f"convolution_{i}", **options)
            for i in range(depth)
        ]
        self.norms = [keras.layers.LayerNormalization(name=f"norm_{i}", **options) for i in range(depth + 1)]
        self.mixers = [keras.layers.Dense(width, name=f"mixer_{i}", **options) for i in range(depth)]
        sizes = quantizer.codebook_sizes
        self.embeddings = [
            keras.layers.Embedding(size, width, name=f"embedding_{m}", **options) for m, size in enumerate(sizes[:-1])
        ]
        self.heads = [keras.layers.Dense(size, name=f"head_{m}", **options) for m, size in enumerate(sizes)]

    def build(self, input_shape):
        if not self.quantizer.built:  # a loaded one is
            self.quantizer.build(input_shape)
        coded = self.quantizer.compute_output_spec(keras.KerasTensor(input_shape))
        if len(coded.tokens.shape) != len(input_shape):
            raise ValueError(
                "Each token is predicted from the latents of the positions before it, so the tokens stand on the grid "
                f"of the latents. Received: {self.quantizer.name!r}, which gives tokens of the shape "
                f"{tuple(coded.tokens.shape)} for latents of {tuple(input_shape)}. Train it without."
            )
        self.project.build((None, None, coded.latents.shape[-1]))
        for layer in (*self.convolutions, *self.norms, *self.mixers, *self.heads):
            layer.build((None, None, self.width))
        for layer in self.embeddings:
            layer.build((None, None))
        state = {"trainable": False, "autocast": False, "aggregation": "only_first_replica"}
        self.steps = self.add_weight(name="steps", shape=(), initializer="zeros", dtype="int32", **state)
        self.keep_frozen()

    def call(self, latents, training=False, mask=None):
        quantized = self.quantizer(latents, training=training, mask=mask)
        soft = [None] * self.num_codebooks
        if training:
            soft = self.soft_tokens(self.check_latents(latents, mask=mask), quantized.tokens, mask)
        loss = self._cross_entropy(quantized, soft, mask)
        if training and self.trainable:
            self.steps.assign_add(1)
        return quantized._replace(losses={**quantized.losses, "latent_prior": loss})

    @property
    def loss_names(self):
        return (*super().loss_names, "latent_prior")

    def _cross_entropy(self, quantized, soft, mask):
        """The mean over real positions and codebooks, in nats."""
        shape, felt = keras.ops.shape(quantized.tokens), self._share_felt()
        latents = quantized.latents
        if mask is not None:
            mask = keras.ops.cast(mask, "bool")
            latents = keras.ops.where(keras.ops.expand_dims(mask, -1), latents, 0.0)
            mask = keras.ops.reshape(mask, (shape[0], -1))
        latents = keras.ops.reshape(latents, (shape[0], -1, latents.shape[-1]))
        tokens = keras.ops.reshape(quantized.tokens, (shape[0], -1, self.num_codebooks))
        fixed = keras.ops.stop_gradient(latents)
        known = self._before(fixed + felt * (latents - fixed))
        nats = []
        for m, head in enumerate(self.heads):
            token = tokens[..., m]
            surprise = -keras.ops.log_softmax(head(self.norms[-1](known)), axis=-1)
            hard = keras.ops.take_along_axis(surprise, keras.ops.expand_dims(token, -1), axis=-1)
            nats.append(keras.ops.squeeze(hard, -1))
            if soft[m] is not None:
                near = keras.ops.reshape(soft[m], (shape[0], -1, self.codebook_sizes[m]))
                expected = felt * keras.ops.sum(near * keras.ops.stop_gradient(surprise), axis=-1)
                nats[-1] = nats[-1] + (expected - keras.ops.stop_gradient(expected))  # the gradient alone
            if m < len(self.embeddings):
                known = known + self.embeddings[m](token)
        return masked_mean(keras.ops.stack(nats, axis=-1), mask)

    def _before(self, latents):
        """What the latents before each position tell of it: (batch, length, latent_dim) to (batch, length, width)."""
        known = self.project(keras.ops.pad(latents, ((0, 0), (1, 0), (0, 0)))[:, :-1])
        for norm, convolution, mixer in zip(self.norms, self.convolutions, self.mixers, strict=False):
            known = known + mixer(keras.ops.gelu(convolution(norm(known)), approximate=False))
        return known

    def _share_felt(self):
        """How much of the gradient goes on to the latents in this call, w_t."""
        since = keras.ops.cast(keras.ops.convert_to_tensor(self.steps) + 1 - self.start, "float32")
        return keras.ops.clip(since / (self.stop - self.start), 0.0, 1.0)

    def get_config(self):
        return {**super().get_config(), **{name: getattr(self, name) for name in ("start", "stop", "width", "depth")}}


def _check(quantizer, start, stop, sizes):
    """Raises where an argument of the constructor is out of its range."""
    if "latent_prior" in quantizer.loss_names:
        raise ValueError(
            "A latent prior adds the loss `latent_prior`, so the quantizer inside has none of that name. Received: "
            f"{quantizer.name!r} with the losses {tuple(quantizer.loss_names)}. One prior predicts all codebooks."
        )
    whole = isinstance(start, numbers.Integral) and isinstance(stop, numbers.Integral)
    if not whole or not 0 <= start < stop:
        raise ValueError(
            "`start` and `stop` are numbers of training steps, and `stop` is the later one. Received: "
            f"start={start!r}, stop={stop!r}. From the first step on at once is start=0, stop=1."
        )
    for name, size in sizes.items():
        if not isinstance(size, numbers.Integral) or size < 1:
            raise ValueError(f"`{name}` is a positive integer. Received: {name}={size!r}")
