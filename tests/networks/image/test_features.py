import keras
import numpy as np
import pytest

from vqzoo.losses import PerceptualLoss
from vqzoo.networks.image import vgg16_features


def test_activations_are_those_of_keras_applications_on_its_own_preprocessing(tmp_path):
    keras.utils.set_random_seed(0)
    vgg = keras.applications.VGG16(include_top=False, weights=None)
    vgg.save_weights(tmp_path / "vgg.weights.h5")
    network = vgg16_features(tmp_path / "vgg.weights.h5", ("block1_conv1", "block2_conv2", "block3_conv3"))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 20, 3)).astype("float32")
    outputs = [vgg.get_layer(name).output for name in ("block1_conv1", "block2_conv2", "block3_conv3")]
    expected = keras.Model(vgg.input, outputs)(keras.applications.vgg16.preprocess_input(pixels.copy()))
    for got, wanted in zip(network(pixels / 127.5 - 1.0), expected, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-4 * np.abs(wanted).max())


def test_it_serves_a_perceptual_loss_and_survives_saving(tmp_path):
    network = vgg16_features(None, ("block1_conv2", "block2_conv2"))
    x, y = np.random.default_rng(0).uniform(-1, 1, (2, 2, 16, 16, 3)).astype("float32")
    loss = PerceptualLoss(network, ["block1_conv2", "block2_conv2"])
    network.save(tmp_path / "features.keras")
    again = PerceptualLoss(keras.models.load_model(tmp_path / "features.keras"), ["block1_conv2", "block2_conv2"])
    assert float(loss(x, y)) > 1e-3
    assert float(again(x, y)) == pytest.approx(float(loss(x, y)), rel=1e-6)


@pytest.mark.parametrize("layers", [(), ("block9_conv1",), ("block1_pool",)])
def test_layers_are_convolutions_of_vgg16(layers):
    with pytest.raises(ValueError, match="convolutions of VGG16.*block1_conv1"):
        vgg16_features(None, layers)
