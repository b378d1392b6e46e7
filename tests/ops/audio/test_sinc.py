"""Resampling in a graph: against the formula in float64, pure tones, soxr, XLA and LiteRT."""

import math

import numpy as np
import pytest
import soxr
import tensorflow as tf

from vqzoo.ops import resample_signal

RATES = [(44100, 16000), (16000, 44100), (8000, 16000), (48000, 16000), (3, 2), (2, 3), (1, 7), (7, 1)]


def oracle(signal, from_rate, to_rate, half_width=32):
    """The docstring's sum, output by output, in float64."""
    width = half_width * max(1.0, from_rate / to_rate)
    transition = (80.0 - 7.95) / (2.285 * 2 * half_width * math.pi)
    cutoff = min(1.0, to_rate / from_rate) * max(1.0 - transition / 2, 0.5)
    beta = 0.1102 * (80.0 - 8.7)
    outputs = np.zeros((-(-len(signal) * to_rate // from_rate), signal.shape[1]))
    for n in range(len(outputs)):
        centre = n * from_rate / to_rate
        t = np.arange(math.ceil(centre - width - 1e-9), math.floor(centre + width + 1e-9) + 1)
        h = np.sinc(cutoff * (t - centre)) * np.i0(beta * np.sqrt(np.maximum(1 - ((t - centre) / width) ** 2, 0)))
        inside = (t >= 0) & (t < len(signal))
        outputs[n] = h[inside] / h.sum() @ signal[t[inside]]
    return outputs


@pytest.mark.parametrize("from_rate, to_rate", RATES)
@pytest.mark.parametrize("samples", [1, 50, 300])
def test_equals_the_formula(from_rate, to_rate, samples):
    signal = np.random.default_rng(0).uniform(-1, 1, (2, samples, 2)).astype("float32")
    resampled = np.asarray(resample_signal(signal, from_rate, to_rate))
    for given, received in zip(signal, resampled, strict=True):
        np.testing.assert_allclose(received, oracle(given.astype("float64"), from_rate, to_rate), atol=2e-6)


@pytest.mark.parametrize("from_rate, to_rate", RATES[:4])
def test_tones_below_the_transition_stay_themselves_and_those_above_vanish(from_rate, to_rate):
    nyquist = min(from_rate, to_rate) / 2

    def tone(hertz, rate):
        return np.sin(2 * np.pi * hertz * np.arange(rate) / rate)

    def received(hertz):
        return np.asarray(resample_signal(tone(hertz, from_rate)[None, :, None].astype("float32"), from_rate, to_rate))

    inside = slice(2000, to_rate - 2000)
    for hertz in (100, 0.5 * nyquist, 0.8 * nyquist):
        np.testing.assert_allclose(received(hertz)[0, inside, 0], tone(hertz, to_rate)[inside], atol=2e-4)
    if to_rate < from_rate:
        assert np.abs(received(1.02 * nyquist)[0, inside]).max() < 2e-4


@pytest.mark.parametrize("from_rate, to_rate", RATES[:4])
def test_is_near_soxr(from_rate, to_rate):
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(from_rate))
    spectrum[int(0.8 * min(from_rate, to_rate) / 2) :] = 0
    signal = (np.fft.irfft(spectrum) * np.hanning(from_rate)).astype("float32")
    ours = np.asarray(resample_signal(signal[None, :, None], from_rate, to_rate))[0, :, 0]
    theirs = soxr.resample(signal, from_rate, to_rate, quality="VHQ")
    assert 20 * np.log10(theirs.std() / (ours - theirs).std()) > 80


def test_a_constant_stays_what_it_is():
    resampled = np.asarray(resample_signal(np.full((1, 3000, 1), 0.7, "float32"), 441, 160))
    np.testing.assert_allclose(resampled[0, 100:-100], 0.7, atol=1e-6)


def test_equal_rates_change_nothing():
    signal = np.random.default_rng(0).uniform(-1, 1, (1, 9, 2)).astype("float32")
    np.testing.assert_array_equal(resample_signal(signal, 16000, 16000), signal)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_in_a_graph_of_any_length(jit_compile):
    signal = np.random.default_rng(0).uniform(-1, 1, (2, 1001, 2)).astype("float32")
    spec = tf.TensorSpec((None, None, 2), tf.float32)
    graph = tf.function(lambda x: resample_signal(x, 44100, 16000), input_signature=[spec], jit_compile=jit_compile)
    for samples in (1, 440, 441, 442, 1001):
        expected = resample_signal(signal[:, :samples], 44100, 16000)
        np.testing.assert_allclose(graph(signal[:, :samples]), expected, atol=1e-6)


def test_in_litert_of_any_length():
    from ai_edge_litert.interpreter import Interpreter

    graph = tf.function(
        lambda signal: {"resampled": resample_signal(signal, 24000, 16000)},
        input_signature=[tf.TensorSpec((None, None, 2), tf.float32, "signal")],
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph.get_concrete_function()], graph)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    interpreter = Interpreter(model_content=converter.convert())
    place = interpreter.get_input_details()[0]["index"]
    for samples in (1, 3, 500):
        signal = np.random.default_rng(0).uniform(-1, 1, (2, samples, 2)).astype("float32")
        interpreter.resize_tensor_input(place, signal.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(place, signal)
        interpreter.invoke()
        received = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        np.testing.assert_allclose(received, resample_signal(signal, 24000, 16000), atol=1e-6)


def test_the_gradient_is_the_transpose():
    signal = tf.Variable(np.random.default_rng(0).uniform(-1, 1, (1, 300, 1)).astype("float32"))
    weights = np.random.default_rng(1).uniform(-1, 1, (1, 200, 1)).astype("float32")
    with tf.GradientTape() as tape:
        product = tf.reduce_sum(resample_signal(signal, 3, 2) * weights)
    # A linear map: <Ax, w> = <x, A'w>.
    np.testing.assert_allclose(tf.reduce_sum(tape.gradient(product, signal) * signal), product, rtol=1e-5)


@pytest.mark.parametrize("arguments", [(0, 1), (1, -1), (1.5, 1), (1, 2, 0)])
def test_rates_are_positive_ints(arguments):
    with pytest.raises(ValueError, match="is a positive int. Received: "):
        resample_signal(np.zeros((1, 9, 1), "float32"), *arguments)


def test_rates_without_a_common_divisor_are_refused():
    with pytest.raises(ValueError, match=r"From 44101 to 16000 Hz, 16000 filters .*load_audio\(path, sample_rate\)"):
        resample_signal(np.zeros((1, 9, 1), "float32"), 44101, 16000)
