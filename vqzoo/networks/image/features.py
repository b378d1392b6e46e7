"""Feature networks for the perceptual similarity of images."""

import keras
import numpy as np

# The means that keras.applications.vgg16.preprocess_input subtracts from pixels in [0, 255], in the order blue, green,
# red.
VGG_MEANS = (103.939, 116.779, 123.68)
VGG_LAYERS = ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3")


def vgg16_features(weights="imagenet", layers=VGG_LAYERS):
    """Builds VGG16 up to the activations that perceptual losses compare.

    It is `keras.applications.VGG16` with its preprocessing inside, so that it accepts the same images as tokenizers.
    Each layer left out at the end makes it cheaper. The first three need half of the computation of all five.

    Args:
        weights: "imagenet", which Keras downloads once; the path of a `.weights.h5` file of a
            `keras.applications.VGG16` without its top; or None for random ones. Defaults to "imagenet".
        layers: sequence of str, names of its layers. Defaults to the last convolution of each block but for the first
            two blocks, which have two: `block1_conv2`, `block2_conv2`, `block3_conv3`, `block4_conv3`, `block5_conv3`.

    Returns:
        `keras.Model`, float32 images (batch, height, width, 3) in [-1, 1] to a list of activations after ReLU. Its
        layers are named as above, for `vqzoo.losses.PerceptualLoss`.

    Raises:
        ValueError: if a layer is not a convolution of VGG16.

    Example:
    >>> network = vgg16_features(weights=None, layers=("block1_conv2", "block2_conv2"))
    >>> [shape[1:] for shape in network.compute_output_shape((1, 32, 32, 3))]
    [(32, 32, 64), (16, 16, 128)]

    Reference:
        Simonyan, Zisserman 2014, https://arxiv.org/abs/1409.1556, table 1, column D.
    """
    vgg = keras.applications.VGG16(include_top=False, weights=weights)
    known = [layer.name for layer in vgg.layers if isinstance(layer, keras.layers.Conv2D)]
    unknown = [name for name in layers if name not in known]
    if unknown or not layers:
        raise ValueError(f"`layers` names convolutions of VGG16: {known}. Received: layers={tuple(layers)}")
    images = keras.Input((None, None, 3), name="images")
    # Blue, green, red in [0, 255] minus their means, as a 1x1 convolution.
    order = [[0.0, 0.0, 127.5], [0.0, 127.5, 0.0], [127.5, 0.0, 0.0]]
    prepare = keras.layers.Conv2D(3, 1, trainable=False, dtype="float32", name="prepare")
    x = prepare(images)
    prepare.set_weights([np.array([[order]]), np.array([127.5 - mean for mean in VGG_MEANS])])
    outputs = []
    for original in vgg.layers[1:]:
        # A separate layer. One that is called twice has two outputs, and `PerceptualLoss` needs a single output.
        layer = type(original).from_config(original.get_config())
        x = layer(x)
        layer.set_weights(original.get_weights())
        if layer.name in layers:
            outputs.append(x)
        if len(outputs) == len(layers):
            break
    return keras.Model(images, outputs, name="vgg16_features")
