import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from vqzoo.networks.audio import LogMel
from vqzoo.ops import for_litert
from vqzoo.ops import mel_filters


def noise(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


def oracle(samples, rate, length, hop, bands):
    """Frame by frame, for one channel."""
    before, frames = (length - hop) // 2, []
    padded = np.pad(samples.astype("float64"), (before, length))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    for start in range(0, len(samples), hop):
        spectrum = np.abs(np.fft.rfft(window * padded[start : start + length]))
        frames.append(np.log(np.maximum(spectrum @ mel_filters(rate, length, bands), 1e-5)))
    return (np.array(frames) + 6.0) / 2.5


@pytest.mark.parametrize("samples", [1, 15, 16, 17, 200])
@pytest.mark.parametrize(("length", "hop"), [(64, 16), (60, 16), (32, 32)])
def test_values(samples, length, hop):
    x = noise(2, samples, 2)
    x[1] *= 1e-7  # below the floor
    layer = LogMel(8000, length, hop, 5)
    y = layer(x).numpy()
    assert y.shape == (2, -(-samples // hop), 10) == layer.compute_output_shape(x.shape)
    for item in range(2):
        for channel in range(2):
            expected = oracle(x[item, :, channel], 8000, length, hop, 5)
            np.testing.assert_allclose(y[item, :, 5 * channel : 5 * channel + 5], expected, atol=1e-5)
    np.testing.assert_allclose(y[1], (np.log(1e-5) + 6) / 2.5, atol=1e-6)


def test_a_frame_of_speech_is_about_unit_sized():
    t = np.arange(16000) / 16000
    voiced = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 40)) * 0.1 + 0.003 * noise(16000)
    y = LogMel(16000)(voiced[None, :, None].astype("float32")).numpy()
    assert abs(y.mean()) < 1.2 and 0.3 < y.std() < 1.5


def test_a_litert_file_of_8_bits_has_the_same_values():
    t = np.arange(4000) / 16000
    x = (0.8 * np.sin(2 * np.pi * 200 * t) + 1e-3 * noise(4000))[None, :, None].astype("float32")  # quiet high bands
    layer = LogMel(16000)
    layer.build((None, None, 1))

    @tf.function(input_signature=[tf.TensorSpec((None, None, 1))])
    def function(waveform):
        return layer(waveform)

    with for_litert():
        concrete = function.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], function)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    interpreter = Interpreter(model_content=converter.convert())
    place = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(place, x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(place, x)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(found, layer(x), atol=0.02)


def test_padding_is_silence():
    x = noise(2, 100, 1)
    layer = LogMel(8000, 64, 16, 5)
    mask = np.arange(100) < np.array([[37], [100]])
    padded = np.where(mask[..., None], x, np.nan).astype("float32")
    y = layer(padded, mask=mask).numpy()
    np.testing.assert_array_equal(y[1], layer(x)[1])
    np.testing.assert_allclose(y[0, :3], layer(x[:1, :37])[0], atol=1e-6)
    assert np.isfinite(y).all()
    np.testing.assert_array_equal(layer.compute_mask(x, mask)[0], [True] * 3 + [False] * 4)


def test_bands_that_see_no_bin_are_refused():
    with pytest.raises(ValueError, match="filters contain no bin"):
        LogMel(16000, 64, 16, 80)


def test_the_channels_have_to_be_known():
    with pytest.raises(ValueError, match="The channels of the waveforms must be known"):
        LogMel(8000, 64, 16, 5).build((None, None, None))
