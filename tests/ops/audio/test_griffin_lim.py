import numpy as np
import pytest

from vqzoo.ops import griffin_lim
from vqzoo.ops import inverse_stft
from vqzoo.ops import magnitudes
from vqzoo.ops import stft


def spectrum(signal):
    return np.asarray(magnitudes(*stft(signal, 256, 64)))


def sweep():
    t = np.arange(4096) / 4096
    return np.stack([np.sin(2 * np.pi * (100 + 300 * t) * t * 2), 0.5 * np.sin(2 * np.pi * 400 * t)])


def misfit(found, wanted):
    return np.linalg.norm(spectrum(found) - wanted, axis=(1, 2)) / np.linalg.norm(wanted, axis=(1, 2))


def test_more_iterations_and_momentum_come_nearer():
    wanted = spectrum(sweep())
    errors = [
        misfit(griffin_lim(wanted, 256, 64, iterations, momentum), wanted).max()
        for iterations, momentum in ((0, 0.0), (4, 0.0), (64, 0.0), (64, 0.99))
    ]
    assert errors[0] > 2 * errors[1] > 2 * errors[2] > 2 * errors[3]
    assert errors[3] < 0.1


def test_without_momentum_it_is_griffin_and_lims():
    wanted = spectrum(sweep())
    found = griffin_lim(wanted, 256, 64, 3, momentum=0.0)
    again = np.asarray(griffin_lim(wanted, 256, 64, 2, momentum=0.0))
    real, imaginary = (np.asarray(x) for x in stft(again, 256, 64))
    angles = np.angle(real + 1j * imaginary)
    # One step by hand: the magnitudes with the phases of the signal before.
    np.testing.assert_allclose(
        found, inverse_stft(wanted * np.cos(angles), wanted * np.sin(angles), 256, 64), atol=1e-4
    )


def test_silence_stays_silent_and_seeds_repeat():
    assert not np.any(griffin_lim(np.zeros((1, 5, 129), "float32"), 256, 64, 4))
    wanted = spectrum(sweep())
    one, same, other = (np.asarray(griffin_lim(wanted, 256, 64, 1, seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.01


def test_errors():
    with pytest.raises(ValueError, match=r"shape \(batch, frames, 129\).*shape=\(1, 5, 80\).*mel spectra"):
        griffin_lim(np.zeros((1, 5, 80)), 256, 64)
    with pytest.raises(ValueError, match="`iterations` and `momentum` must be at least 0.*momentum=-1.0"):
        griffin_lim(np.zeros((1, 5, 129)), 256, 64, momentum=-1.0)
