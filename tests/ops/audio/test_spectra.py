import librosa
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from vqzoo.ops import for_litert
from vqzoo.ops import hann
from vqzoo.ops import inverse_stft
from vqzoo.ops import magnitudes
from vqzoo.ops import mel_filters
from vqzoo.ops import stft

LENGTHS = [(1024, 256), (512, 160), (400, 160), (2048, 240), (64, 32)]  # of frame and hop
SAMPLES = [4000, 37, 1]


def sound(batch, samples, seed=0):
    return np.random.default_rng(seed).normal(scale=0.3, size=(batch, samples)).astype("float32")


def close(found, expected, tolerance=1e-6):
    """Relative to the largest value."""
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def reference(signal, frame_length, hop_length):
    """librosa's, in double precision, on the signal with zeros beyond its ends."""
    before = (frame_length - hop_length) // 2
    padded = np.pad(signal.astype("float64"), [[0, 0], [before, 2 * frame_length]])
    spectrum = librosa.stft(padded, n_fft=frame_length, hop_length=hop_length, center=False)
    return spectrum.transpose(0, 2, 1)[:, : -(-signal.shape[1] // hop_length)]


@pytest.mark.parametrize("samples", SAMPLES)
@pytest.mark.parametrize(("frame_length", "hop_length"), LENGTHS)
def test_equals_librosa_and_comes_back_also_at_the_ends(frame_length, hop_length, samples):
    signal = sound(2, samples)
    real, imaginary = stft(signal, frame_length, hop_length)
    expected = reference(signal, frame_length, hop_length)
    close(real.numpy() + 1j * imaginary.numpy(), expected)
    again = inverse_stft(real, imaginary, frame_length, hop_length).numpy()
    assert again.shape == (2, -(-samples // hop_length) * hop_length)
    close(again, np.pad(signal, [[0, 0], [0, again.shape[1] - samples]]))
    with for_litert():  # the same as a product with a matrix
        close(inverse_stft(real, imaginary, frame_length, hop_length), again, 5e-6)
        real, imaginary = stft(signal, frame_length, hop_length)
        close(real.numpy() + 1j * imaginary.numpy(), expected, 2e-6)


def test_a_spectrum_of_no_signal_becomes_the_nearest_signal():
    rng = np.random.default_rng(0)
    real, imaginary = rng.normal(size=(2, 1, 6, 9)).astype("float32")
    found = inverse_stft(real, imaginary, 16, 4).numpy()[0]
    # The least squares solution, by a dense matrix from signals (with the samples beyond the ends) to frames.
    length, before = 5 * 4 + 16, 6
    matrix = np.zeros((6 * 16, length))
    for i in range(6):
        matrix[i * 16 : i * 16 + 16, i * 4 : i * 4 + 16] = np.diag(hann(16))
    imaginary[..., [0, -1]] = 0  # of a real signal
    frames = np.fft.irfft(real[0] + 1j * imaginary[0], 16).reshape(-1)
    expected = np.linalg.lstsq(matrix, frames, rcond=None)[0][before : before + 24]
    close(found, expected)


def test_another_window():
    signal = sound(1, 300)
    window = np.hamming(64)
    real, imaginary = stft(signal, 64, 16, window)
    found = librosa.stft(np.pad(signal[0], [24, 128]), n_fft=64, hop_length=16, center=False, window=window)
    close(real[0].numpy() + 1j * imaginary[0].numpy(), found.T[: real.shape[1]])
    close(inverse_stft(real, imaginary, 64, 16, window)[:, :300], signal)


def test_gradients_reach_the_signal_and_are_finite_in_silence():
    signal = tf.constant(np.concatenate([sound(1, 200), np.zeros((1, 200), "float32")], axis=1))
    with tf.GradientTape() as tape:
        tape.watch(signal)
        total = tf.reduce_sum(magnitudes(*stft(signal, 64, 16)))
    gradient = tape.gradient(total, signal).numpy()[0]
    assert np.isfinite(gradient).all()
    assert (gradient[:200] != 0).all()
    assert np.abs(gradient[300:]).max() == 0.0


def test_silence_stays_silent_where_all_windows_are_zero():
    real, imaginary = stft(np.ones((1, 40), "float32"), 8, 8)
    found = inverse_stft(real, imaginary, 8, 8).numpy()[0]
    np.testing.assert_allclose(found, [0.0 if i % 8 == 0 else 1.0 for i in range(40)], atol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_sizes_that_only_the_run_knows(jit_compile):
    @tf.function(input_signature=[tf.TensorSpec((None, None))], jit_compile=jit_compile)
    def again(signal):
        return inverse_stft(*stft(signal, 512, 160), 512, 160)

    for shape in ((2, 1000), (1, 3)):
        signal = sound(*shape)
        close(again(signal)[:, : shape[1]], signal)


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize(("length", "hop"), [(512, 160), (400, 160)])
def test_litert(length, hop, int8):
    @tf.function(input_signature=[tf.TensorSpec((None, None))])
    def function(signal):
        real, imaginary = stft(signal, length, hop)
        return {"magnitudes": magnitudes(real, imaginary), "again": inverse_stft(real, imaginary, length, hop)}

    with for_litert():
        concrete = function.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], function)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    content = converter.convert()
    assert len(content) < 0.6 * 4 * length * (length + 2)  # the matrices are not part of the file
    interpreter = Interpreter(model_content=content)
    for shape in ((3, 5000), (1, 7)):
        signal = sound(*shape)
        place = interpreter.get_input_details()[0]["index"]
        interpreter.resize_tensor_input(place, shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(place, signal)
        interpreter.invoke()
        found = {len(d["shape"]): interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()}
        close(found[2][:, : shape[1]], signal, 5e-6)
        close(found[3], np.abs(reference(signal, length, hop)), 5e-6)


@pytest.mark.parametrize("scale", ["slaney", "htk"])
@pytest.mark.parametrize(
    ("sample_rate", "frame_length", "bands", "low", "high"),
    [(16000, 1024, 80, 0.0, None), (44100, 2048, 128, 20.0, None), (22050, 1024, 80, 125.0, 7600.0)],
)
def test_mel_filters_equal_librosa(sample_rate, frame_length, bands, low, high, scale):
    norm, htk = ("slaney", False) if scale == "slaney" else (None, True)
    options = {"fmin": low, "fmax": high, "htk": htk, "norm": norm, "dtype": "float64"}
    expected = librosa.filters.mel(sr=sample_rate, n_fft=frame_length, n_mels=bands, **options).T
    close(mel_filters(sample_rate, frame_length, bands, low, high, scale), expected, 1e-9)


def test_errors_tell_the_rule():
    with pytest.raises(ValueError, match="`frame_length` is even and `hop_length` from 1 to it.*frame_length=9"):
        stft(sound(1, 20), 9, 4)
    with pytest.raises(ValueError, match="hop_length=12"):
        inverse_stft(np.zeros((1, 2, 5)), np.zeros((1, 2, 5)), 8, 12)
    with pytest.raises(ValueError, match="`scale` is one of slaney, htk. Received: 'bark'"):
        mel_filters(16000, 1024, 80, scale="bark")
    with pytest.raises(ValueError, match="half of the sample rate, 8000.0 Hz. Received: low=0.0, high=9000"):
        mel_filters(16000, 1024, 80, high=9000.0)
    with pytest.raises(ValueError, match="of 128 filters contain no bin of a frame of 256 samples"):
        mel_filters(16000, 256, 128)


def test_the_inverse_of_masked_frames_is_that_of_the_others_alone():
    rng = np.random.default_rng(0)
    real, imaginary = rng.normal(size=(2, 2, 9, 17)).astype("float32")
    mask = np.arange(9) < np.array([[4], [9]])
    signal = np.asarray(inverse_stft(real, imaginary, 32, 8, mask=mask))
    np.testing.assert_allclose(signal[0, :32], inverse_stft(real[:1, :4], imaginary[:1, :4], 32, 8)[0], atol=1e-6)
    np.testing.assert_array_equal(signal[1], inverse_stft(real, imaginary, 32, 8)[1])


@pytest.mark.slow
@pytest.mark.parametrize("samples", [1, 9, 64, 65, 100])
@pytest.mark.parametrize(("frame_length", "hop_length"), [(16, 4), (16, 16), (12, 5), (2, 1)])
def test_the_gradients_are_those_of_the_sums(samples, frame_length, hop_length):
    """Both transforms are linear, so a gradient is the transposed matrix times what comes from above."""
    random = np.random.default_rng(samples)
    window = random.normal(size=frame_length)

    def spectrum(signal):
        real, imaginary = stft(signal, frame_length, hop_length, window)
        return tf.concat([tf.reshape(real, (1, -1)), tf.reshape(imaginary, (1, -1))], 1)

    def sound(flat):
        real, imaginary = (tf.reshape(x, (1, frames, -1)) for x in tf.split(flat, 2, axis=1))
        return inverse_stft(real, imaginary, frame_length, hop_length)

    frames = -(-samples // hop_length)
    for function, size in ((spectrum, samples), (sound, 2 * frames * (frame_length // 2 + 1))):
        x = tf.constant(random.normal(size=(1, size)).astype("float32"))
        matrix = np.concatenate([function(row[None]) for row in np.eye(size, dtype="float32")])
        upstream = random.normal(size=(1, matrix.shape[1])).astype("float32")
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        np.testing.assert_allclose(tape.gradient(y, x, upstream), upstream @ matrix.T, atol=1e-4)


def test_the_gradient_of_a_gradient():
    """As R1 takes it, of the parameters behind a spectrum."""
    gain = tf.Variable(2.0)
    x = tf.constant(np.random.default_rng(0).normal(size=(1, 40)).astype("float32"))
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(x)
            real, imaginary = stft(x, 16, 4)
            y = tf.reduce_sum(gain * (tf.square(real) + tf.square(imaginary)))
        penalty = tf.reduce_sum(tf.square(inner.gradient(y, x)))
    # y is gain times a form of x, so the penalty is gain² times something.
    np.testing.assert_allclose(outer.gradient(penalty, gain), 2.0 * penalty / gain, rtol=1e-5)
