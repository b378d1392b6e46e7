import numpy as np
import pytest
import tensorflow as tf

from vqzoo.networks.discriminators import ComplexSpectrum
from vqzoo.networks.discriminators import FoldPeriod
from vqzoo.networks.discriminators import combined_discriminator
from vqzoo.networks.discriminators import multi_period_discriminator
from vqzoo.networks.discriminators import multi_resolution_discriminator


def noise(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


@pytest.mark.parametrize("samples", [1, 5, 6, 7])
def test_rows_of_a_period(samples):
    x = np.arange(1.0, 1 + 2 * samples, dtype="float32").reshape(1, samples, 2)
    y = FoldPeriod(3)(x).numpy()
    assert y.shape == (1, -(-samples // 3), 3, 2) == FoldPeriod(3).compute_output_shape(x.shape)
    flat = y.reshape(1, -1, 2)
    np.testing.assert_array_equal(flat[:, :samples], x)
    assert not flat[:, samples:].any()


def test_a_spectrum_has_each_channels_parts():
    x = noise(1, 40, 2)
    y = ComplexSpectrum(16, 8)(x).numpy()
    assert y.shape == (1, 5, 9, 4)
    frame = np.pad(x[0], ((4, 0), (0, 0)))[:16]  # the first, four samples before the signal
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(16) / 16)) / np.sqrt(6.0)
    for channel in range(2):
        expected = np.fft.rfft(window * frame[:, channel])
        np.testing.assert_allclose(y[0, 0, :, 2 * channel], expected.real, atol=1e-5)
        np.testing.assert_allclose(y[0, 0, :, 2 * channel + 1], expected.imag, atol=1e-5)


def test_features_of_periods_and_of_spectra_have_like_sizes_at_the_start():
    x = noise(2, 8192, 1)
    periods = multi_period_discriminator(periods=(2,), filters=2)(x)
    resolutions = multi_resolution_discriminator(frame_lengths=(2048, 256), filters=8)(x)
    sizes = [
        float(np.sqrt(np.mean([np.mean(np.square(feature)) for feature in part[:-1]])))
        for part in (periods, *resolutions)
    ]
    assert max(sizes) < 3 * min(sizes)
    last = [np.sqrt(np.mean(np.square(part[-2]))) / np.sqrt(np.mean(np.square(x))) for part in (periods, *resolutions)]
    assert 0.3 < min(last) and max(last) < 3  # they neither fade nor grow from layer to layer


def test_a_part_of_periods_sees_samples_that_are_a_period_apart_alone():
    model = multi_period_discriminator(periods=(5,), filters=1)
    x = noise(1, 400, 1)
    moved = x.copy()
    moved[:, 2::5] += 0.5
    for one, other in zip(model(x), model(moved), strict=True):
        changed = np.abs(one - other).max(axis=(0, 1, 3))
        np.testing.assert_array_equal(changed > 0, np.arange(5) == 2)


def test_parameters_of_hifi_gans_periods():
    widths = [1, 32, 128, 512, 1024, 1024]
    each = sum((5 * a + 1) * b for a, b in zip(widths, widths[1:], strict=False)) + 3 * 1024 + 1
    assert multi_period_discriminator(periods=(2, 3)).count_params() == 2 * each


def test_a_band_sees_its_bins_alone():
    model = multi_resolution_discriminator(frame_lengths=(64,), bands=((0.0, 0.5), (0.5, 1.0)), filters=2)
    t = np.arange(512)
    low, high = (np.sin(np.pi * f * t)[None, :, None].astype("float32") for f in (0.2, 0.8))
    # Without the ends, where the sines begin and stop and have all frequencies.
    changes = [
        np.abs(one - other)[:, 10:-10].max() for one, other in zip(model(low)[:-1], model(low + high)[:-1], strict=True)
    ]
    assert len(changes) == 10
    assert max(changes[:5]) < 1e-2 * min(changes[5:])


def test_both_find_the_gradient_of_every_weight_and_of_the_waveform():
    model = combined_discriminator(
        [
            multi_period_discriminator(periods=(2, 3), filters=1),
            multi_resolution_discriminator(frame_lengths=(128, 64), filters=2),
        ]
    )
    x = tf.Variable(noise(2, 900, 1))
    with tf.GradientTape() as tape:
        parts = model(x)
        total = sum(tf.reduce_sum(part[-1]) for part in parts)
    assert [len(part) for part in parts] == [6, 6, 26, 26]
    one = multi_period_discriminator(periods=(2,), filters=1, name="one")
    assert one.name == "one"
    assert [len(part) for part in combined_discriminator([one, model])(x)] == [6, 6, 6, 26, 26]
    assert all(part[-1].shape[-1] == 1 for part in parts)
    for gradient in tape.gradient(total, [x, *(v.value for v in model.trainable_variables)]):
        assert np.abs(gradient).max() > 0


def test_errors():
    with pytest.raises(ValueError, match="`period` is 1 or more samples. Received: period=0"):
        multi_period_discriminator(periods=(0,))
    with pytest.raises(ValueError, match=r"must contain one of 33 bins. Received: band=\(0.5, 0.5\)"):
        multi_resolution_discriminator(frame_lengths=(64,), bands=((0.5, 0.5),))
    with pytest.raises(ValueError, match="at least one part"):
        combined_discriminator([])
