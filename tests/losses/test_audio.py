import keras
import librosa
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.losses import LevelLoss
from vqzoo.losses import MelLoss
from vqzoo.losses import SpectralLoss
from vqzoo.losses import STFTLoss
from vqzoo.losses import l1_loss
from vqzoo.losses import si_sdr_loss

LOSSES = {"mel": MelLoss(16000), "stft": STFTLoss(), "level": LevelLoss(16000), "si_sdr": si_sdr_loss}


def sound(seed, shape=(2, 2400, 1)):
    return np.random.default_rng(seed).normal(scale=0.2, size=shape).astype("float32")


def test_mel_loss_equals_librosas_mel_spectra():
    x, y = sound(0), 0.3 * sound(1)
    expected = 0.0
    for frame, bands in zip((32, 64, 128, 256, 512, 1024, 2048), (5, 10, 20, 40, 80, 160, 320), strict=True):
        logs = []
        for signal in (x, y):
            padded = np.pad(signal[..., 0].astype("float64"), [[0, 0], [(frame - frame // 4) // 2, 2 * frame]])
            mel = librosa.feature.melspectrogram(
                y=padded, sr=16000, n_fft=frame, hop_length=frame // 4, n_mels=bands, power=1.0, center=False
            )
            logs.append(np.log10(np.maximum(mel[:, :, : -(-2400 // (frame // 4))], 1e-5)))
        expected = expected + np.abs(logs[0] - logs[1]).mean(axis=(1, 2))
    value = MelLoss(16000)(x, y)
    assert value.dtype == "float32"
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_typed_out_answers():
    noise = np.random.default_rng(0).normal(size=(1, 4000, 1))
    # A tenth of every magnitude is 1 in log10, at each scale; and ln 10, and 0.9 of the norm.
    assert float(MelLoss(16000, (64, 256), (8, 20))(noise, 0.1 * noise)[0]) == pytest.approx(2.0, rel=1e-5)
    assert float(STFTLoss()(noise, 0.1 * noise)[0]) == pytest.approx(0.9 + np.log(10), rel=1e-4)
    assert float(si_sdr_loss(np.array([[[1.0], [-1.0]]]), np.array([[[5.0], [-5.0]]]))[0]) < -100
    assert float(LevelLoss(16000)(noise, 0.1 * noise)[0]) == pytest.approx(1.0, rel=1e-2)
    assert float(LevelLoss(16000)(noise[:, :99], 0.1 * noise[:, :99])[0]) == pytest.approx(1.0, rel=1e-2)
    # Both of magnitude below the floor are alike.
    assert float(MelLoss(16000, floor=1e3)(noise, 0.1 * noise)[0]) == 0.0


def test_levels_are_means_of_windows():
    rng = np.random.default_rng(1)
    x, other = (rng.normal(size=(1, 16000, 1)) for _ in range(2))
    assert float(LevelLoss(16000)(x, other)[0]) < 0.05  # other samples of the same noise: one decibel
    fading = x * np.where(np.arange(16000) < 8000, 1.0, 0.1)[:, None]
    assert float(LevelLoss(16000)(fading, fading[:, ::-1])[0]) > 0.5  # as loud on the whole, at other times
    low, high = x + np.roll(x, 1, axis=1), x - np.roll(x, 1, axis=1)
    assert float(LevelLoss(16000)(low, high)[0]) > 0.25  # and in other bands


@pytest.mark.parametrize("channels", [1, 2])
def test_levels_of_silence_do_not_outweigh_sounds(channels):
    x = np.zeros((1, 16000, channels), "float32")
    x[:, :, 1:] = 0.05 * sound(0, (1, 16000, 1))  # a channel beside a silent one
    slopes = []
    for level in (1e-4, 1e-7, 1e-9):  # the smallest number of 16 bits is 3e-5
        y = tf.Variable(x + level * sound(1, x.shape))
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(LevelLoss(16000)(x, y))
        slopes.append(float(tf.norm(tape.gradient(value, y)[:, :, 0])))
    assert float(value) < 1e-4
    assert max(slopes[1:]) < slopes[0]


@pytest.mark.parametrize("name", LOSSES)
def test_a_gradient_reduces_the_loss(name):
    x, y = tf.constant(sound(0)), tf.Variable(0.5 * sound(0) + sound(1))
    values = []
    for _ in range(6):
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(LOSSES[name](x, y))
        gradient = tape.gradient(value, y)
        y.assign_sub((0.1 if name == "level" else 0.5) * gradient / tf.norm(gradient))
        values.append(float(value))
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0] - 0.01 * abs(values[0])


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("of", ["silence", "itself", "half silence"])
def test_gradients_are_finite(name, of):
    x = sound(0)
    x, y = {
        "silence": (0 * x, 0 * x),
        "itself": (x, x),
        "half silence": (x * (np.arange(2400) < 1200)[:, None], x * (np.arange(2400) > 1300)[:, None]),
    }[of]
    x, y = tf.constant(x.astype("float32")), tf.constant(y.astype("float32"))
    with tf.GradientTape() as tape:
        tape.watch(y)
        value = LOSSES[name](x, y)
    gradient = tape.gradient(value, y).numpy()
    assert np.isfinite(value).all()
    assert np.isfinite(gradient).all()
    assert gradient.any() == (of == "half silence" or (name, of) == ("si_sdr", "itself"))


@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_is_measured_in_float32(name):
    x, y = tf.cast(sound(0), "bfloat16"), tf.cast(sound(1), "bfloat16")
    value = LOSSES[name](x, y)
    assert value.dtype == "float32"
    np.testing.assert_allclose(value, LOSSES[name](tf.cast(x, "float32"), tf.cast(y, "float32")), rtol=1e-6)


@pytest.mark.parametrize(
    "loss", [MelLoss(16000, (64, 256), (8, 20)), STFTLoss((256,), (50,), (240,)), LevelLoss(16000), si_sdr_loss]
)
def test_xla_compiles_it_to_the_same(loss):
    x, y = sound(0), sound(1)
    compiled = tf.function(loss, jit_compile=True)
    np.testing.assert_allclose(compiled(tf.constant(x), tf.constant(y)), loss(x, y), rtol=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        MelLoss(8000, (128, 64), (10, 4), floor=1e-3),
        STFTLoss((64,), (16,), (50,)),
        LevelLoss(8000, 256, 8, 0.1),
        si_sdr_loss,
    ],
)
def test_comes_back_from_its_config(loss):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    x, y = sound(0), sound(1)
    assert again(x, y).numpy().tolist() == loss(x, y).numpy().tolist()
    if loss is not si_sdr_loss:
        assert type(again) is type(loss)
        assert again.get_config() == loss.get_config()


def test_the_base_class_has_no_distance():
    with pytest.raises(NotImplementedError):
        SpectralLoss()(sound(0), sound(1))


@pytest.mark.parametrize("floor", [0.0, -1e-5])
def test_the_floor_is_positive(floor):
    with pytest.raises(
        ValueError, match=rf"`floor` must be positive, because log\(0\) is infinite. Received: floor={floor}"
    ):
        MelLoss(16000, floor=floor)


@pytest.mark.parametrize("wrong", [{"floor": 0.0}, {"seconds": -1.0}, {"floor": float("nan")}])
def test_the_floor_and_the_seconds_of_levels_are_positive(wrong):
    with pytest.raises(ValueError, match="`floor` and `seconds` must be positive"):
        LevelLoss(16000, **wrong)


def test_settings_are_checked_where_they_are_given():
    with pytest.raises(ValueError, match="`frame_lengths` and `bands` must hold one number per scale"):
        MelLoss(16000, (64,), (4, 5))
    with pytest.raises(ValueError, match="A frame must be even and at least as long as its hop and its window"):
        STFTLoss((64,), (16,), (65,))


def test_l1_loss_takes_waveforms():
    x, y = sound(0, (2, 50, 2)), sound(1, (2, 50, 2))
    assert float(l1_loss(x, y)) == pytest.approx(np.abs(x.astype("float64") - y).mean(), rel=1e-5)
