"""A small prior over the tokens, trained with them. Late in training it makes the encoder more predictable."""

import numbers

import keras

from vqzoo.ops import masked_mean
from vqzoo.quantizers.composites.around import AroundQuantizer


@keras.saving.register_keras_serializable(package="vqzoo")
class LatentPriorQuantizer(AroundQuantizer):
    r"""Adds the loss of a small causal network that predicts the tokens; otherwise it equals the inner quantizer.

    $$L = -\frac{1}{N} \sum_{i=1}^N \frac{1}{M} \sum_{m=1}^M \log p\,(k_{i,m} \mid \tilde e_{<i}, k_{i,<m}), \qquad
    \tilde e = \operatorname{sg}[e] + w_t\,(e - \operatorname{sg}[e]), \qquad
    w_t = \operatorname{clip}\left(\frac{t - t_0}{t_1 - t_0}, 0, 1\right)$$

    with k the tokens of the N positions in raster order, e the quantized latents, M the number of codebooks, t the
    number of this training call, from 1, and sg the stop-gradient. The network is trained from the first call on. The
    loss reaches the encoder after t_0, with full weight from t_1 on, so that the encoder first learns to reconstruct,
    and then to do so with tokens that a prior can learn. The value of the loss is never scaled. Divided by log 2, it is
    the number of bits per token on held-out data.

    The weights of the network receive the gradient of L. The latents receive two gradients, both scaled by w_t. The
    first passes through the latents *before* the predicted position, by the estimator of the inner quantizer. It makes
    them informative about the next tokens. The second passes through the predicted position itself. It is the gradient
    of the expected loss $\sum_k q_k \operatorname{sg}[-\log p_k]$, with q the probabilities of the codes by distance
    (`soft_tokens`), and moves a latent to the likelier of the codes around it. If the inner quantizer has no such
    distances (`GumbelQuantizer`, `IndexPropagationQuantizer`, those without a codebook), there is no second gradient.
    The hard tokens have no gradient: a straight-through estimator would move a latent even if its code is already
    predicted.

    The network is a stack of dilated causal convolutions with a receptive field of 2^(depth + 1) - 1 earlier positions.
    Grids of any rank are read in raster order, so that on an image the receptive field covers a few rows at most. With
    several codebooks, all tokens of a position are predicted, the later ones also from the sum of the embeddings of the
    earlier ones. Padded positions are zeros in the input and are not predicted. A preset keeps only the inner
    quantizer, see `inference_form`.

    Args:
        quantizer: `Quantizer` whose tokens have the grid of the latents.
        start: int, number of training calls before the loss reaches the encoder, t_0. Defaults to 1000.
        stop: int, number of training calls from which the loss has its full weight, t_1. Defaults to 2000.
        width: int, channels of the network. Defaults to 128.
        depth: int, blocks of the network. Defaults to 3.

    Call arguments:
        latents: float tensor, shape (batch, *grid, latent_dim).
        training: bool, passed to the inner quantizer, and whether to count the call. Defaults to False.
        mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

    Returns:
        `Quantized(latents, tokens, losses)` of the inner quantizer, with the loss `latent_prior` in nats per token.

    Raises:
        ValueError: if `quantizer` is not a `Quantizer`, already has a loss `latent_prior`, or has tokens on another
            grid; if `stop` is not greater than `start`, or a size is not a positive integer.

    Example:
    >>> from vqzoo.quantizers import VectorQuantizer
    >>> quantizer = LatentPriorQuantizer(VectorQuantizer(16), start=100, stop=200)
    >>> quantized = quantizer(keras.random.normal((2, 5, 8)))
    >>> sorted(quantized.losses)
    ['codebook', 'commitment', 'latent_prior']

    Reference:
        Kaiser et al. 2018, https://arxiv.org/abs/1803.03382: their code trains a predictor of the latents with the
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
        # The first position has no earlier ones. The bias keeps it away from 0, where a normalization is steep.
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
        if not self.quantizer.built:  # a loaded one is built
            self.quantizer.build(input_shape)
        coded = self.quantizer.compute_output_spec(keras.KerasTensor(input_shape))
        if len(coded.tokens.shape) != len(input_shape):
            raise ValueError(
                "Each token is predicted from the latents of earlier positions, so the tokens must have the grid "
                f"of the latents. Received: {self.quantizer.name!r}, which gives tokens of the shape "
                f"{tuple(coded.tokens.shape)} for latents of {tuple(input_shape)}. Train it without a latent prior."
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
                nats[-1] = nats[-1] + (expected - keras.ops.stop_gradient(expected))  # only the gradient
            if m < len(self.embeddings):
                known = known + self.embeddings[m](token)
        return masked_mean(keras.ops.stack(nats, axis=-1), mask)

    def _before(self, latents):
        """Features of the positions before each one: (batch, length, latent_dim) to (batch, length, width)."""
        known = self.project(keras.ops.pad(latents, ((0, 0), (1, 0), (0, 0)))[:, :-1])
        for norm, convolution, mixer in zip(self.norms, self.convolutions, self.mixers, strict=False):
            known = known + mixer(keras.ops.gelu(convolution(norm(known)), approximate=False))
        return known

    def _share_felt(self):
        """The factor of the gradient of the latents in this call, w_t."""
        since = keras.ops.cast(keras.ops.convert_to_tensor(self.steps) + 1 - self.start, "float32")
        return keras.ops.clip(since / (self.stop - self.start), 0.0, 1.0)

    def get_config(self):
        return {**super().get_config(), **{name: getattr(self, name) for name in ("start", "stop", "width", "depth")}}


def _check(quantizer, start, stop, sizes):
    """Raises if an argument of the constructor is out of its range."""
    if "latent_prior" in quantizer.loss_names:
        raise ValueError(
            "A latent prior adds the loss `latent_prior`, so the inner quantizer must not have a loss of that name. "
            f"Received: {quantizer.name!r} with the losses {tuple(quantizer.loss_names)}. Use one latent prior, which "
            "predicts all codebooks."
        )
    whole = isinstance(start, numbers.Integral) and isinstance(stop, numbers.Integral)
    if not whole or not 0 <= start < stop:
        raise ValueError(
            "`start` and `stop` must be numbers of training steps, and `stop` must be greater than `start`. Received: "
            f"start={start!r}, stop={stop!r}. For the full weight from the first step on, use start=0, stop=1."
        )
    for name, size in sizes.items():
        if not isinstance(size, numbers.Integral) or size < 1:
            raise ValueError(f"`{name}` is a positive integer. Received: {name}={size!r}")
