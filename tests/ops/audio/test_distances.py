import librosa
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops.audio import distances as spectral_distances

FRAMES = (32, 64, 128, 256, 512, 1024, 2048)
BANDS = (5, 10, 20, 40, 80, 160, 320)
RESOLUTIONS = (512, 1024, 2048), (50, 120, 240), (240, 600, 1200)


def sound(seed, shape=(3, 3000, 2)):
    """Noise whose loudness and colour change along the clip, with another level in each channel."""
    noise = np.random.default_rng(seed).normal(size=shape).cumsum(axis=1)
    slope = np.linspace(0.01, 0.2, shape[1])[:, None] * (1.0 + np.arange(shape[2]))
    return (np.diff(noise, axis=1, prepend=0.0) * slope + 0.01 * np.sin(0.1 * noise)).astype("float32")


def spectrum(row, frame_length, hop_length, window_length=None):
    """|X| (frames, bins) in double precision, frame by frame."""
    window_length = window_length or frame_length
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window_length) / window_length)
    before = (frame_length - window_length) // 2
    window = np.pad(window, [before, frame_length - window_length - before])
    padded = np.pad(row.astype("float64"), [(frame_length - hop_length) // 2, 2 * frame_length])
    count = -(-len(row) // hop_length)
    return np.abs([np.fft.rfft(window * padded[i * hop_length :][:frame_length]) for i in range(count)])


def over_channels(distance, x, y):
    return [np.mean([distance(a, b) for a, b in zip(p.T, q.T, strict=True)]) for p, q in zip(x, y, strict=True)]


def mel_oracle(x, y, sample_rate, frames=FRAMES, bands=BANDS):
    def distance(a, b):
        total = 0.0
        for length, count in zip(frames, bands, strict=True):
            filters = librosa.filters.mel(sr=sample_rate, n_fft=length, n_mels=count, dtype=np.float64)
            a_log, b_log = (np.log10(np.maximum(1e-5, spectrum(r, length, length // 4) @ filters.T)) for r in (a, b))
            total += np.abs(a_log - b_log).mean()
        return total

    return over_channels(distance, x, y)


def stft_oracle(x, y, frames, hops, windows):
    def distance(a, b):
        total = 0.0
        for lengths in zip(frames, hops, windows, strict=True):
            a_mag, b_mag = (np.maximum(spectrum(r, *lengths), np.sqrt(1e-7)) for r in (a, b))
            total += np.linalg.norm(a_mag - b_mag) / np.linalg.norm(a_mag)
            total += np.abs(np.log(a_mag) - np.log(b_mag)).mean()
        return total / len(frames)

    return over_channels(distance, x, y)


def si_sdr_oracle(x, y):
    """By projection: what of y lies along x, over what does not."""

    def ratio(a, b):
        a, b = a.astype("float64") - a.mean(dtype="float64"), b.astype("float64") - b.mean(dtype="float64")
        along = (a @ b) * a / (a @ a)
        return 10 * np.log10((along @ along) / ((b - along) @ (b - along)))

    return over_channels(ratio, x, y)


@pytest.mark.parametrize("shape", [(3, 3000, 2), (2, 700, 1)])
@pytest.mark.parametrize("sample_rate", [16000, 24000])
def test_mel_distance_equals_the_oracle(shape, sample_rate):
    x, y = sound(0, shape), 0.5 * sound(0, shape) + 0.1 * sound(1, shape)
    found = spectral_distances.mel_distance(x, y, spectral_distances.mel_scales(sample_rate, FRAMES, BANDS))
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, mel_oracle(x, y, sample_rate), rtol=1e-5)


@pytest.mark.parametrize("shape", [(3, 3000, 2), (2, 700, 1)])
@pytest.mark.parametrize("lengths", [RESOLUTIONS, ((64, 256), (32, 64), (64, 101))])
def test_stft_distance_equals_the_oracle(shape, lengths):
    x, y = sound(0, shape), 0.5 * sound(0, shape) + 0.1 * sound(1, shape)
    found = spectral_distances.stft_distance(x, y, *lengths)
    np.testing.assert_allclose(found, stft_oracle(x, y, *lengths), rtol=1e-5)
    assert not np.allclose(found, spectral_distances.stft_distance(y, x, *lengths), rtol=1e-2)  # has a reference


@pytest.mark.parametrize("shape", [(3, 3000, 2), (1, 160_000, 1)])
def test_si_sdr_equals_the_oracle_at_any_scale_and_offset(shape):
    x, y = sound(0, shape), sound(0, shape) + 0.2 * sound(1, shape)
    expected = si_sdr_oracle(x, y)
    assert 5 < min(expected) < 20
    np.testing.assert_allclose(spectral_distances.si_sdr(x, y), expected, rtol=1e-5)
    np.testing.assert_allclose(spectral_distances.si_sdr(x, -0.1 * y), expected, rtol=1e-4)
    np.testing.assert_allclose(spectral_distances.si_sdr(x + 0.25, y - 0.5), expected, rtol=1e-4)


def test_si_sdr_of_equal_signals_and_of_silence_is_finite():
    x = sound(0, (1, 1000, 1))
    assert 90 < float(spectral_distances.si_sdr(x, x)[0]) < 150
    for pair in ((0 * x, x), (x, 0 * x), (0 * x, 0 * x)):
        assert np.isfinite(spectral_distances.si_sdr(*pair)).all()


def test_equal_signals_are_at_no_distance():
    x = sound(0)
    assert spectral_distances.stft_distance(x, x, *RESOLUTIONS).numpy().tolist() == [0.0] * 3
    scales = spectral_distances.mel_scales(16000, FRAMES, BANDS)
    assert spectral_distances.mel_distance(x, x, scales).numpy().tolist() == [0.0] * 3


def test_a_clip_alone_equals_itself_in_a_batch_and_in_a_graph_of_any_size():
    x, y = sound(0), sound(1)
    scales = spectral_distances.mel_scales(16000, FRAMES, BANDS)
    signature = [tf.TensorSpec((None, None, 2))] * 2
    for distance in (
        lambda a, b: spectral_distances.mel_distance(a, b, scales),
        lambda a, b: spectral_distances.stft_distance(a, b, *RESOLUTIONS),
        spectral_distances.si_sdr,
    ):
        expected = distance(x, y).numpy()
        np.testing.assert_allclose(distance(x[1:2], y[1:2]), expected[1:2], rtol=1e-5)
        np.testing.assert_allclose(tf.function(distance, input_signature=signature)(x, y), expected, rtol=1e-5)
        # Channels are averaged, not added.
        one = [distance(x[..., c : c + 1], y[..., c : c + 1]).numpy() for c in (0, 1)]
        np.testing.assert_allclose(expected, np.mean(one, axis=0), rtol=1e-5)


def test_the_filters_are_librosas_and_all_see_a_bin():
    for length, hop, filters in spectral_distances.mel_scales(48000, FRAMES, BANDS):
        assert hop == length // 4
        assert filters.any(axis=0).all()
        expected = librosa.filters.mel(sr=48000, n_fft=length, n_mels=filters.shape[1], dtype=np.float64)
        np.testing.assert_allclose(filters, expected.T, rtol=1e-5, atol=1e-9)
    counts = [filters.shape[1] for _, _, filters in spectral_distances.mel_scales(48000, FRAMES, BANDS)]
    assert counts == [4, 9, 20, 40, 80, 160, 320]
    blind = librosa.filters.mel(sr=48000, n_fft=32, n_mels=5)
    assert [bool(row.any()) for row in blind] == [False, True, True, True, True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, (64,), (4,)), "`sample_rate` must be positive, in Hz. Received: sample_rate=0"),
        ((16000, (64, 32), (4,)), r"`frame_lengths` and `bands` must hold one number per scale.*bands=\(4,\)"),
        ((16000, (), ()), "`frame_lengths` and `bands` must hold one number per scale, at least one"),
        ((16000, (2,), (1,)), "`frame_lengths` holds ints of at least 4. Received"),
        ((16000, (64,), (0,)), "`bands` holds ints of at least 1. Received"),
    ],
)
def test_scales_that_are_none(arguments, message):
    with pytest.raises(ValueError, match=message):
        spectral_distances.mel_scales(*arguments)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (
            ((64,), (16,), (64, 32)),
            "`frame_lengths` and `hop_lengths` and `window_lengths` must hold one number per scale",
        ),
        (((63,), (16,), (63,)), "A frame must be even and at least as long.*frame_length=63, hop_length=16"),
        (((64,), (65,), (64,)), "A frame must be even and at least as long.*hop_length=65"),
        (((64,), (0,), (64,)), "A frame must be even and at least as long.*hop_length=0"),
        (((64,), (16,), (65,)), "A frame must be even and at least as long.*window_length=65"),
    ],
)
def test_resolutions_that_are_none(lengths, message):
    with pytest.raises(ValueError, match=message):
        spectral_distances.stft_distance(np.zeros((1, 100, 1)), np.zeros((1, 100, 1)), *lengths)


@pytest.mark.parametrize("shapes", [((1, 100), (1, 100)), ((1, 100, 1), (1, 99, 1)), ((1, 9, 1), (1, 9, 1, 1))])
def test_signals_of_one_shape(shapes):
    with pytest.raises(
        ValueError, match=r"Both signals must have the same shape, \(batch, samples, channels\).*Received: a sig"
    ):
        spectral_distances.si_sdr(*(np.zeros(shape) for shape in shapes))
