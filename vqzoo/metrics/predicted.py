"""Bits per token and perplexity of a prior."""

import math

import keras
from keras import ops

from vqzoo.ops import replica_sum


@keras.saving.register_keras_serializable(package="vqzoo")
class TokenEntropy(keras.metrics.Metric):
    r"""Averages the negative log-likelihood of tokens under a prior, over all tokens since the last reset.

    $$\text{bits per token} = \frac{-\sum \log_2 p}{n}, \quad \text{perplexity} = 2^{\text{bits per token}}$$

    The perplexity is the number of equally likely tokens that would be as hard to predict.

    Args:
        name: str, the metric's name.

    Call arguments:
        nats: float tensor, -log p of each token, 0 where no token is counted.
        counted: bool tensor of the same shape.

    Returns:
        A dict of float32 scalars, `bits_per_token` and `perplexity`. Before the first token: 0 and 1.

    Example:
    >>> metric = TokenEntropy()
    >>> metric.update_state([math.log(4), math.log(2), 0.0], [True, True, False])
    >>> {name: round(float(value), 4) for name, value in metric.result().items()}
    {'bits_per_token': 1.5, 'perplexity': 2.8284}
    """

    def __init__(self, name="tokens"):
        super().__init__(name=name)
        # The sum of a step loses precision when it is added to the float32 sum of a million steps. The state is
        # therefore a mean. Every replica holds the mean over all replicas.
        self.mean = self._variable("float32", "mean")
        self.count = self._variable("int64", "count")

    def update_state(self, nats, counted):
        """Adds tokens.

        Args:
            nats: float tensor, -log p of each token.
            counted: bool tensor of the same shape.
        """
        counted = ops.cast(counted, "bool")
        total = ops.sum(ops.where(counted, ops.cast(nats, "float32"), 0.0))
        number = ops.sum(ops.cast(counted, "float32"))
        total, number = replica_sum(total, number)
        count = self.count + ops.cast(number, "int64")
        share = number / ops.maximum(ops.cast(count, "float32"), 1.0)
        self.mean.assign_add(share * (total / ops.maximum(number, 1.0) - self.mean))
        self.count.assign(count)

    def result(self):
        return {"bits_per_token": self.mean / math.log(2.0), "perplexity": ops.exp(self.mean)}

    def _variable(self, dtype, name):
        return self.add_variable(
            shape=(), initializer="zeros", dtype=dtype, aggregation="only_first_replica", name=name
        )
