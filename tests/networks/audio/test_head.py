import keras
import numpy as np
import tensorflow as tf

from vqzoo.networks.audio import InverseSTFTHead
from vqzoo.ops import stft


def noise(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


def spectra(signal, length, hop):
    """What a perfect network would tell the head: logarithms of magnitudes and phases, channel by channel."""
    parts = []
    for channel in range(signal.shape[-1]):
        real, imaginary = (np.asarray(x) for x in stft(signal[:, :, channel], length, hop))
        parts += [np.log(np.maximum(np.hypot(real, imaginary), 1e-20)), np.arctan2(imaginary, real)]
    return np.concatenate(parts, axis=-1)


def identity(length, hop, channels):
    head = InverseSTFTHead(length, hop, channels)
    width = channels * (length + 2)
    head.build((None, None, width))
    head.kernel.assign(np.eye(width))
    return head


def portable_of(head):
    portable = head.portable()
    portable.set_weights(head.get_weights())
    return portable


def test_spectra_become_the_signal():
    x = noise(2, 96, 2)
    head = identity(32, 8, 2)
    y = head(spectra(x, 32, 8))
    assert y.shape == (2, 96, 2) == head.compute_output_shape((2, 12, 68))
    np.testing.assert_allclose(y, x, atol=1e-5)
    np.testing.assert_allclose(portable_of(head)(spectra(x, 32, 8)), x, atol=1e-5)


def test_a_sine_of_full_scale_can_be_made():
    x = np.sin(2 * np.pi * 20 / 2048 * np.arange(16384))[None, :, None].astype("float32")  # in the middle of a bin
    head = identity(2048, 512, 1)
    for y in (head(spectra(x, 2048, 512)), portable_of(head)(spectra(x, 2048, 512))):
        np.testing.assert_allclose(y, x, atol=1e-4)


def test_masked_frames_add_nothing():
    x = noise(2, 96, 1)
    head = identity(32, 8, 1)
    frames = spectra(x, 32, 8)
    mask = np.arange(12) < np.array([[5], [12]])
    y = head(np.where(mask[..., None], frames, 3.0).astype("float32"), mask=mask).numpy()
    np.testing.assert_allclose(y[0, :40], head(frames[:1, :5])[0], atol=1e-6)
    np.testing.assert_array_equal(head.compute_mask(frames, mask)[0], np.arange(96) < 40)


def test_magnitudes_end_at_the_windows_sum_and_their_gradients_stay_finite():
    head = identity(8, 4, 1)
    frames = np.zeros((1, 3, 10), "float32")
    frames[..., 0] = 200.0  # the constant part of each frame, whose exponential is infinite
    with tf.GradientTape() as tape:
        y = head(frames)
        loss = keras.ops.sum(y)
    assert np.isfinite(y).all()
    frames[..., 0] = np.log(8 / 2)
    np.testing.assert_allclose(y, head(frames), rtol=1e-5)
    assert all(np.isfinite(gradient).all() for gradient in tape.gradient(loss, head.trainable_variables))
