"""Distance between unit-normalised features of a network, as in LPIPS."""

import keras
import numpy as np

# Inside the root, so that the gradient stays below 1e5 where all features are zero. LPIPS adds 1e-10 outside the root,
# which gives NaN there.
EPSILON = 1e-10


@keras.saving.register_keras_serializable(package="vqzoo")
class PerceptualLoss(keras.layers.Layer):
    r"""Squared distance of unit-normalised features, summed over layers.

    $$d(x, y) = \sum_l \operatorname{mean}_{h,w} \sum_c w_{lc}
    \left(\frac{f_l(x)_c}{\lVert f_l(x) \rVert} - \frac{f_l(y)_c}{\lVert f_l(y) \rVert}\right)^2$$

    with f_l the activations of layer l and the norm over channels. Report the value together with the name of the
    network. It is LPIPS only with the network, layers and heads of LPIPS.

    Args:
        network: `keras.Model` from signals in the tokenizer's range, [-1, 1] for images; a network that expects
            another range needs a rescaling layer in front. It is frozen.
        layers: sequence of str, names of the layers whose outputs are compared. Defaults to the outputs of the network.
        heads: sequence of arrays (channels,), the non-negative w_l of each layer. Defaults to ones.

    Call arguments:
        signal: float tensor (batch, *grid, channels).
        reconstruction: float tensor of the same shape.

    Returns:
        Scalar float32, the mean over the batch.

    Raises:
        ValueError: if a layer does not exist, or the heads do not match the layers.

    Example:
    >>> images = keras.Input((8, 8, 3))
    >>> network = keras.Model(images, keras.layers.Conv2D(4, 3, name="conv")(images))
    >>> x = keras.random.uniform((2, 8, 8, 3))
    >>> float(PerceptualLoss(network, ["conv"])(x, x))
    0.0

    Reference:
        Zhang et al. 2018, https://arxiv.org/abs/1801.03924, equation 1.
    """

    def __init__(self, network, layers=None, heads=None, **kwargs):
        super().__init__(**kwargs)
        known = [layer.name for layer in network.layers]
        missing = layers is not None and [name for name in layers if name not in known]
        if missing or layers is not None and not layers:
            raise ValueError(f"`layers` must name layers of the network: {known}. Received: layers={list(layers)}")
        outputs = network.outputs if layers is None else [network.get_layer(name).output for name in layers]
        if heads is not None:
            widths = [output.shape[-1] for output in outputs]
            given = [np.shape(head) for head in heads]
            if given != [(width,) for width in widths] or any(np.min(head) < 0 for head in heads):
                raise ValueError(
                    f"`heads` must hold non-negative arrays of {widths} numbers, one array per layer. "
                    f"Received: shapes {given}"
                )
            heads = [np.asarray(head, "float32").tolist() for head in heads]
        network.trainable = False
        self.network = network
        self.layer_names = None if layers is None else list(layers)
        self.heads = heads
        self.features = keras.Model(network.inputs, outputs, name="features")
        self.built = True

    def call(self, signal, reconstruction):
        total = 0.0
        for i, (x, y) in enumerate(zip(self._features_of(signal), self._features_of(reconstruction), strict=True)):
            squares = keras.ops.square(x - y)
            if self.heads is not None:
                squares = squares * keras.ops.convert_to_tensor(self.heads[i], "float32")
            total = total + keras.ops.mean(keras.ops.sum(squares, axis=-1))
        return total

    def _features_of(self, signal):
        features = self.features(signal, training=False)
        features = [keras.ops.cast(x, "float32") for x in keras.tree.flatten(features)]
        return [
            x * keras.ops.rsqrt(keras.ops.sum(keras.ops.square(x), axis=-1, keepdims=True) + EPSILON) for x in features
        ]

    def get_config(self):
        config = super().get_config()
        config["network"] = keras.saving.serialize_keras_object(self.network)
        config["layers"] = None if self.layer_names is None else list(self.layer_names)
        config["heads"] = None if self.heads is None else [list(head) for head in self.heads]
        return config

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config.pop("network")), **config)
