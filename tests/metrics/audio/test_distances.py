import numpy as np
import pytest

from vqzoo import losses
from vqzoo.metrics import log_mel_distance
from vqzoo.metrics import mel_distance
from vqzoo.metrics import si_sdr
from vqzoo.metrics import stft_distance


def sound(seed, shape=(3, 4000, 2)):
    return np.random.default_rng(seed).normal(scale=0.2, size=shape).astype("float32")


@pytest.mark.parametrize("sample_rate", [16000, 48000])
def test_they_are_the_losses_of_the_same_name(sample_rate):
    x, y = sound(0), 0.5 * sound(0) + 0.1 * sound(1)
    expected = losses.MelLoss(sample_rate)(x, y).numpy()
    assert mel_distance(x, y, sample_rate).numpy().tolist() == expected.tolist()
    assert stft_distance(x, y).numpy().tolist() == losses.STFTLoss()(x, y).numpy().tolist()
    assert si_sdr(x, y).numpy().tolist() == (-losses.si_sdr_loss(x, y)).numpy().tolist()
    alone = losses.MelLoss(sample_rate, (1024,), (80,))(x, y).numpy()
    assert log_mel_distance(x, y, sample_rate).numpy().tolist() == alone.tolist()
    assert len(set(expected)) == 3  # one number a clip


@pytest.mark.parametrize("decibels", [1.0, -6.0])
def test_a_decibel_has_the_told_size(decibels):
    x = sound(0)
    y = x * 10 ** (decibels / 20)
    np.testing.assert_allclose(mel_distance(x, y, 16000), [0.35 * abs(decibels)] * 3, rtol=1e-4)
    np.testing.assert_allclose(log_mel_distance(x, y, 16000), [0.05 * abs(decibels)] * 3, rtol=1e-4)


def test_less_noise_is_nearer():
    x = sound(0)
    for distance, sign in (
        (lambda y: mel_distance(x, y, 16000), 1),
        (lambda y: log_mel_distance(x, y, 16000), 1),
        (lambda y: stft_distance(x, y), 1),
        (lambda y: si_sdr(x, y), -1),
    ):
        values = sign * np.array([distance(x + noise * sound(1)) for noise in (0.01, 0.1, 1.0)])
        assert (np.diff(values, axis=0) > 0).all()
    # Noise of a tenth of the amplitude is 20 dB below.
    np.testing.assert_allclose(si_sdr(x, x + 0.1 * sound(1)), [20.0] * 3, atol=0.3)
