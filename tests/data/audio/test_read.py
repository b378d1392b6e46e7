"""Sound files that are read: every coding, rate and piece. Bad ones are in tests/bad_input/test_audio.py."""

import io
import struct

import numpy as np
import pytest
import soundfile
import soxr
import tensorflow as tf

from vqzoo.data import audio_info
from vqzoo.data import load_audio
from vqzoo.data import load_long_audio
from vqzoo.data.audio import decoders
from vqzoo.data.audio import read
from vqzoo.data.audio import resample

RNG = np.random.default_rng(0)
STEREO = RNG.uniform(-0.9, 0.9, (3000, 2)).astype("float32")
# The largest error of each coding of values in [-1, 1].
WIDTHS = {
    "PCM_U8": 1 / 128,
    "PCM_16": 1 / 32768,
    "PCM_24": 1e-6,
    "PCM_32": 1e-7,
    "FLOAT": 0,
    "DOUBLE": 0,
    "ULAW": 0.04,
    "ALAW": 0.04,
}


def tones(samples, rate=16000, channels=1):
    time = np.arange(samples)[:, None] / rate
    return (0.3 * np.sin(2 * np.pi * time * [[440, 443][:channels]][0]) + 0.2 * np.sin(2 * np.pi * 1999 * time)).astype(
        "float32"
    )


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize("width", WIDTHS)
def test_wav_of_every_width(tmp_path, kind, width):
    soundfile.write(tmp_path / "a.wav", STEREO, 11025, format=kind, subtype=width)
    assert audio_info(tmp_path / "a.wav") == (11025, 3000, 2)
    received = load_audio(tmp_path / "a.wav")
    assert received.dtype == np.float32
    np.testing.assert_allclose(received, STEREO, atol=WIDTHS[width] + 1e-9)


@pytest.mark.parametrize(
    "suffix, options, error",
    [
        ("flac", {"subtype": "PCM_16"}, 1 / 32768),
        ("flac", {"subtype": "PCM_24"}, 1e-6),
        ("ogg", {"subtype": "VORBIS"}, 0.03),
        ("opus", {"format": "OGG", "subtype": "OPUS"}, 0.1),
        ("mp3", {}, 0.03),
    ],
)
def test_compressed_files_whole_and_in_pieces(tmp_path, suffix, options, error):
    path = tmp_path / f"a.{suffix}"
    signal = tones(40000, channels=2)
    soundfile.write(path, signal, 16000, **options)
    whole = load_audio(path)
    assert whole.shape == (40000, 2)
    assert np.abs(whole - signal)[1000:-1000].max() < error
    for start, samples in ((0, 1), (1, 999), (17000, 5000), (39000, 5000), (40000, 5), (50000, 5)):
        piece = load_audio(path, start=start, samples=samples)
        np.testing.assert_allclose(piece, whole[start : start + samples], atol=1e-6 if suffix == "mp3" else 0)


@pytest.mark.parametrize("suffix", ["ogg", "opus", "mp3", "flac"])
@pytest.mark.parametrize("loud", [0.0, 1.0])
def test_pieces_of_longer_files(tmp_path, suffix, loud):
    """libsndfile by itself seeks to wrong places at the end of Vorbis, and begins wrongly in mp3 and Opus."""
    path = tmp_path / f"a.{suffix}"
    noise = loud * RNG.uniform(-0.1, 0.1, (400_000, 1)) + loud * tones(400_000) + 1e-4
    soundfile.write(path, noise, 16000, **({"format": "OGG", "subtype": "OPUS"} if suffix == "opus" else {}))
    whole = load_audio(path)
    for start in [*RNG.integers(0, 399_000, 12).tolist(), 380_000, 398_000, 399_500]:
        piece = load_audio(path, start=start, samples=400)
        np.testing.assert_allclose(piece, whole[start : start + 400], atol=1e-6 if suffix == "mp3" else 0)


def test_the_content_decides_not_the_suffix(tmp_path):
    soundfile.write(tmp_path / "a.mp3", STEREO, 8000, format="WAV", subtype="FLOAT")
    np.testing.assert_array_equal(load_audio(tmp_path / "a.mp3"), STEREO)


def frames_of(mp3):
    """The places of the frames of an mp3 of 44.1 kHz."""
    places, place = [], 0
    rates = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
    while place + 4 <= len(mp3) and mp3[place] == 0xFF:
        places.append(place)
        place += 144000 * rates[mp3[place + 2] >> 4] // 44100 + (mp3[place + 2] >> 1 & 1)
    return places


def test_an_mp3_that_does_not_tell_its_length_is_counted(tmp_path):
    quiet = np.zeros((100000, 1), "float32")
    signal = np.concatenate([quiet, RNG.uniform(-0.5, 0.5, (50000, 1)), quiet])
    buffer = io.BytesIO()
    soundfile.write(buffer, signal, 44100, format="MP3", bitrate_mode="VARIABLE", compression_level=0.3)
    content = buffer.getvalue()
    assert b"Xing" in content[:100]
    path = tmp_path / "a.mp3"
    path.write_bytes(content[frames_of(content)[1] :])  # without the frame that tells
    assert soundfile.info(path).frames > 260000  # a wrong guess
    samples = audio_info(path).samples
    assert 250000 <= samples <= 253000
    whole = load_audio(path)
    assert len(whole) == samples
    np.testing.assert_allclose(load_audio(path, start=120000, samples=999), whole[120000:120999], atol=1e-6)


@pytest.mark.parametrize("tag", [b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)])
def test_a_tag_before_the_sound(tmp_path, tag):
    soundfile.write(tmp_path / "a.mp3", tones(20000), 16000)
    soundfile.write(tmp_path / "a.flac", tones(20000), 16000)
    for suffix in ("mp3", "flac"):
        path = tmp_path / f"a.{suffix}"
        expected = load_audio(path)
        path.write_bytes(tag + path.read_bytes())
        np.testing.assert_array_equal(load_audio(path), expected)


@pytest.mark.parametrize("size", [0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_a_wav_of_unknown_length_is_read_to_its_end(tmp_path, size):
    soundfile.write(tmp_path / "a.wav", STEREO, 8000, subtype="PCM_16")
    content = (tmp_path / "a.wav").read_bytes()
    place = content.index(b"data") + 4
    (tmp_path / "b.wav").write_bytes(content[:place] + struct.pack("<I", size) + content[place + 4 :])
    np.testing.assert_array_equal(load_audio(tmp_path / "b.wav"), load_audio(tmp_path / "a.wav"))


def test_chunks_before_and_after_the_samples(tmp_path):
    soundfile.write(tmp_path / "a.wav", STEREO, 8000, subtype="PCM_16")
    content = (tmp_path / "a.wav").read_bytes()
    junk = b"JUNK" + struct.pack("<I", 3) + b"abc\0"
    place = content.index(b"data")
    content = content[:12] + junk + content[12:place] + junk + content[place:] + junk
    (tmp_path / "b.wav").write_bytes(content)
    np.testing.assert_array_equal(load_audio(tmp_path / "b.wav"), load_audio(tmp_path / "a.wav"))


def test_values_beyond_full_scale_are_clipped(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([0.5, 1.5, -3.0]), 8000, subtype="FLOAT")
    assert load_audio(tmp_path / "a.wav")[:, 0].tolist() == [0.5, 1.0, -1.0]


def test_channels(tmp_path):
    soundfile.write(tmp_path / "two.wav", STEREO, 8000, subtype="FLOAT")
    soundfile.write(tmp_path / "one.wav", STEREO[:, 0], 8000, subtype="FLOAT")
    soundfile.write(tmp_path / "eight.wav", np.tile(STEREO, 4), 8000, subtype="FLOAT")
    mono = STEREO.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(load_audio(tmp_path / "two.wav", channels=1), mono, atol=1e-7)
    np.testing.assert_allclose(load_audio(tmp_path / "eight.wav", channels=1), mono, atol=1e-7)
    np.testing.assert_array_equal(load_audio(tmp_path / "one.wav", channels=2), STEREO[:, [0, 0]])
    assert load_audio(tmp_path / "eight.wav").shape == (3000, 8)


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 192000])
def test_any_rate_to_any_other(tmp_path, rate):
    signal = tones(2 * rate, rate, 2)
    soundfile.write(tmp_path / "a.wav", signal, rate, subtype="FLOAT")
    received = load_audio(tmp_path / "a.wav", sample_rate=16000)
    assert received.shape == (32000, 2)
    np.testing.assert_allclose(received[500:-500], tones(32000, 16000, 2)[500:-500], atol=1e-4)


@pytest.mark.parametrize("rates", [(44100, 16000), (16000, 44100), (48000, 44100), (8000, 16000), (44101, 16000)])
def test_resampled_pieces_are_those_of_the_whole_and_near_one_pass(tmp_path, rates):
    signal = RNG.uniform(-0.5, 0.5, (150001, 1)).astype("float32")
    soundfile.write(tmp_path / "a.wav", signal, rates[0], subtype="FLOAT")
    whole = load_audio(tmp_path / "a.wav", sample_rate=rates[1])
    assert len(whole) == -(-150001 * rates[1] // rates[0])
    once = soxr.resample(signal, *rates)
    count = min(len(once), len(whole))
    inside = slice(10, count - 10)  # at the ends soxr does not take what lies beyond for zeros
    np.testing.assert_allclose(whole[inside], once[inside], atol=1e-6)
    for start, samples in ((0, 1), (777, 20000), (len(whole) - 5, 100), (40000, 9)):
        piece = load_audio(tmp_path / "a.wav", sample_rate=rates[1], start=start, samples=samples)
        np.testing.assert_array_equal(piece, whole[start : start + samples])


def test_a_piece_decodes_little_of_a_long_file(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", np.zeros(2_000_000), 44100, subtype="PCM_16")
    asked = []
    read = decoders.SoundfileDecoder.read
    monkeypatch.setattr(decoders.SoundfileDecoder, "read", lambda *a: (asked.append(a[-1]), read(*a))[1])
    load_audio(tmp_path / "a.wav", 16000, start=300_000, samples=16000)
    assert asked[0] < 4 * resample._BLOCK


@pytest.mark.parametrize(
    "rate, channels, steps", [(None, None, 15), (16000, 1, 16), (16000, None, 16), (96000, None, 33), (None, 1, 15)]
)
def test_a_long_file_is_read_in_pieces(tmp_path, monkeypatch, rate, channels, steps):
    soundfile.write(tmp_path / "a.wav", RNG.uniform(-0.5, 0.5, (30000, 2)), 44100, subtype="FLOAT")
    whole = load_audio(tmp_path / "a.wav", rate, channels)
    pieces = []
    monkeypatch.setattr(read, "_PIECE", 4000)
    monkeypatch.setattr(read, "load_audio", lambda *a: (pieces.append(load_audio(*a)), pieces[-1])[1])
    received = load_long_audio(tmp_path / "a.wav", rate, channels)
    assert received.dtype == np.float32
    np.testing.assert_array_equal(received, whole)
    assert len(pieces) == steps and max(piece.size for piece in pieces) <= 4000


def test_a_long_file_decodes_to_more_than_a_file_read_at_once_may(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", RNG.uniform(-0.5, 0.5, (400_000, 2)), 44100, subtype="PCM_16")
    monkeypatch.setattr(read, "_PIECE", 2**17)
    whole = load_audio(tmp_path / "a.wav", 8000, 1)
    monkeypatch.setattr(read.load_audio, "__defaults__", (None, None, 0, None, 600_000))
    with pytest.raises(ValueError, match="800000 values are more than max_values=600000"):
        load_audio(tmp_path / "a.wav", 8000, 1)
    np.testing.assert_array_equal(load_long_audio(tmp_path / "a.wav", 8000, 1), whole)


def test_what_a_long_file_may_not_be(tmp_path):
    soundfile.write(tmp_path / "a.wav", STEREO, 8000)
    with pytest.raises(
        ValueError, match=r"a\.wav: 6000 values are more than max_values=5999. Read it in pieces, by st"
    ):
        load_long_audio(tmp_path / "a.wav", max_values=5999)
    with pytest.raises(ValueError, match="sample_rate must be an int, at least 1. Received: sample_rate=0.5"):
        load_long_audio(tmp_path / "a.wav", 0.5)
    with pytest.raises(ValueError, match=r"a\.wav: it has 2 channels, not 3"):
        load_long_audio(tmp_path / "a.wav", channels=3)


@pytest.mark.parametrize("length", [1, 2, 7])
def test_very_short_files(tmp_path, length):
    soundfile.write(tmp_path / "a.wav", STEREO[:length], 44100, subtype="FLOAT")
    np.testing.assert_array_equal(load_audio(tmp_path / "a.wav"), STEREO[:length])
    assert load_audio(tmp_path / "a.wav", 16000).shape == (-(-length * 160 // 441), 2)


# === Other decoders ===


def test_soundfile_comes_first():
    assert type(decoders.decoders()[0]) is decoders.SoundfileDecoder
    assert type(decoders.decoders()[-1]) is decoders.TensorFlowDecoder


@pytest.fixture
def without_soundfile(monkeypatch):
    """As where libsndfile is missing; the cached list is of this test alone."""
    monkeypatch.setattr(decoders, "SoundfileDecoder", lambda: exec("raise OSError('no libsndfile')"))
    decoders.decoders.cache_clear()
    yield
    decoders.decoders.cache_clear()


def test_tensorflow_reads_plain_wav(tmp_path, without_soundfile, monkeypatch):
    monkeypatch.setattr(decoders, "tfio_audio", lambda: None)
    soundfile.write(tmp_path / "a.wav", STEREO, 8000, subtype="PCM_16")
    assert audio_info(tmp_path / "a.wav") == (8000, 3000, 2)
    np.testing.assert_allclose(load_audio(tmp_path / "a.wav"), STEREO, atol=1 / 32768)
    np.testing.assert_allclose(load_audio(tmp_path / "a.wav", start=9, samples=3), STEREO[9:12], atol=1 / 32768)
    soundfile.write(tmp_path / "b.flac", STEREO, 8000)
    with pytest.raises(ValueError, match=r"b\.flac: soundfile, which reads flac, is not installed. pip install"):
        load_audio(tmp_path / "b.flac")
    soundfile.write(tmp_path / "c.wav", STEREO, 8000, format="WAVEX", subtype="PCM_16")
    with pytest.raises(ValueError, match=r"c\.wav: TensorFlow itself reads only plain wav .* pip install soundfile"):
        load_audio(tmp_path / "c.wav")


@pytest.mark.environment("tfio", "tensorflow_io")
def test_tfio_is_probed_by_a_call():
    works = tf.__version__.startswith(("2.16.", "2.17."))
    assert (decoders.tfio_audio() is not None) == works


@pytest.fixture
def tfio(without_soundfile):
    if decoders.tfio_audio() is None:
        pytest.skip("needs the environment tfio of .ci/slow: tensorflow-io does not load with this TensorFlow")


@pytest.mark.environment("tfio", "tensorflow_io")
@pytest.mark.parametrize(
    "suffix, options",
    [
        ("wav", {"subtype": "PCM_U8"}),
        ("wav", {"subtype": "PCM_16"}),
        ("wav", {"subtype": "PCM_24"}),
        ("wav", {"subtype": "FLOAT"}),
        ("wav", {"format": "WAVEX", "subtype": "PCM_24"}),
        ("flac", {"subtype": "PCM_16"}),
        ("flac", {"subtype": "PCM_24"}),
        ("ogg", {}),
        ("mp3", {}),
    ],
)
def test_tfio_reads_what_soundfile_reads(tmp_path, tfio, suffix, options):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tones(40000, channels=2), 16000, **options)
    assert type(decoders.decoders()[0]) is decoders.TfioDecoder
    assert audio_info(path) == (16000, 40000, 2)
    expected, _ = soundfile.read(path, dtype="float32")
    # mp3: another decoder, and another opinion on the encoder's delay.
    np.testing.assert_allclose(load_audio(path), expected, atol=1e-3 if suffix == "mp3" else 1e-6)
    np.testing.assert_array_equal(load_audio(path, start=900, samples=50), load_audio(path)[900:950])


@pytest.mark.environment("tfio", "tensorflow_io")
@pytest.mark.parametrize("options", [{"subtype": "ULAW"}, {"subtype": "DOUBLE"}, {"subtype": "PCM_32"}])
def test_what_tfio_cannot_read_is_told(tmp_path, tfio, options):
    soundfile.write(tmp_path / "a.wav", STEREO, 16000, **options)
    with pytest.raises(ValueError, match=r"soundfile, which reads wav .* is not installed. pip install soundfile"):
        load_audio(tmp_path / "a.wav")


# === Arguments ===


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"sample_rate": 0}, "sample_rate must be an int, at least 1. Received: sample_rate=0"),
        ({"sample_rate": 16000.0}, "sample_rate must be an int"),
        ({"channels": 0}, "channels must be an int, at least 1"),
        ({"start": -1}, "start must be an int, at least 0"),
        ({"samples": 0}, "samples must be an int, at least 1"),
        ({"channels": 3}, r"a\.wav: it has 2 channels, not 3. Pass channels=1"),
        ({"max_values": 5999}, r"a\.wav: 6000 values are more than max_values=5999. Read it in pieces"),
    ],
)
def test_arguments_are_checked(tmp_path, arguments, message):
    soundfile.write(tmp_path / "a.wav", STEREO, 8000)
    with pytest.raises(ValueError, match=message):
        load_audio(tmp_path / "a.wav", **arguments)


def test_the_result_of_resampling_counts_too(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.tile(STEREO, (100, 1)), 1000)
    with pytest.raises(ValueError, match="38400000 values are more than max_values=33554432"):
        load_audio(tmp_path / "a.wav", sample_rate=64_000, max_values=2**25)
