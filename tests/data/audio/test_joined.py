"""Several recordings in one file, and what stands before, between and behind them."""

import io
import itertools

import numpy as np
import pytest
import soundfile

from vqzoo.data import AudioClips
from vqzoo.data import audio_info
from vqzoo.data import load_audio
from vqzoo.data import load_long_audio

KINDS = {
    "vorbis": {"format": "OGG", "subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "mp3": {"format": "MP3"},
    "flac": {"format": "FLAC"},
    "wav": {"format": "WAV"},
    "float wav": {"format": "WAV", "subtype": "FLOAT"},
    "rf64": {"format": "RF64"},
    "aiff": {"format": "AIFF"},
    "au": {"format": "AU"},
    "caf": {"format": "CAF"},
    "w64": {"format": "W64"},
}
ID3 = b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)
ID3V1 = b"TAG" + b"a name".ljust(125)
APE = b"".join(
    b"APETAGEX" + b"".join(n.to_bytes(4, "little") for n in (2000, 1968 + 32, 1, flags)) + bytes(8) + items
    for flags, items in ((0xA0000000, b"x" * 1968), (0x80000000, b""))
)
LYRICS = b"LYRICSBEGIN" + b"la " * 99 + b"LYRICS200"


def sound(kind, samples=30000, rate=16000, channels=1, seed=0):
    signal = np.random.default_rng(seed).uniform(-0.4, 0.4, (samples, channels))
    buffer = io.BytesIO()
    soundfile.write(buffer, signal, rate, **KINDS[kind])
    return buffer.getvalue()


def repr_of(content):
    return f"{content[:4]!r}-{len(content)}"


def alone(tmp_path, contents, *arguments):
    """What each gives by itself, one after another."""
    signals = []
    for content in contents:
        (tmp_path / "alone").write_bytes(content)
        signals.append(load_audio(tmp_path / "alone", *arguments))
    return np.concatenate(signals)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seeds", [(0, 1), (0, 0), (0, 1, 0, 2)])
def test_joined_recordings_are_read_whole_and_in_pieces(tmp_path, kind, seeds):
    contents = [sound(kind, seed=seed) for seed in seeds]
    expected = alone(tmp_path, contents)
    path = tmp_path / "joined.wav"
    path.write_bytes(b"".join(contents))
    assert audio_info(path) == (16000, 30000 * len(seeds), 1)
    error = 1e-6 if kind == "mp3" else 0
    np.testing.assert_allclose(load_audio(path), expected, atol=error)
    np.testing.assert_allclose(load_long_audio(path), expected, atol=error)
    for start, samples in ((0, 1), (29990, 20), (30000, 5), (31000, 20000), (len(expected) - 5, 9)):
        piece = load_audio(path, start=start, samples=samples)
        np.testing.assert_allclose(piece, expected[start : start + samples], atol=error)
    clips = AudioClips([path], 1000, 4, sample_rate=16000, cache_bytes=0)
    assert clips.clips == 30 * len(seeds)


@pytest.mark.parametrize("kind", KINDS)
def test_the_others_come_at_the_rate_and_with_the_channels_of_the_first(tmp_path, kind):
    first, second, third = sound(kind), sound(kind, 24000, 24000, seed=1), sound(kind, channels=2, seed=2)
    (tmp_path / "a").write_bytes(first + second + third)
    assert audio_info(tmp_path / "a") == (16000, 30000 + 16000 + 30000, 1)
    expected = alone(tmp_path, [first, second, third], 16000, 1)
    np.testing.assert_allclose(load_audio(tmp_path / "a"), expected, atol=1e-6)
    piece = load_audio(tmp_path / "a", start=40000, samples=9000)
    np.testing.assert_allclose(piece, expected[40000:49000], atol=1e-6)


@pytest.mark.parametrize("pair", list(itertools.permutations(["vorbis", "flac", "wav", "mp3", "aiff"], 2)))
def test_recordings_of_different_formats(tmp_path, pair):
    contents = [sound(kind, seed=seed) for seed, kind in enumerate(pair)]
    (tmp_path / "a").write_bytes(b"".join(contents))
    np.testing.assert_allclose(load_audio(tmp_path / "a"), alone(tmp_path, contents), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("between", [ID3V1, ID3, bytes(9000), APE, APE + ID3V1, LYRICS + ID3V1], ids=repr_of)
def test_tags_and_zeros_before_between_and_behind_change_nothing(tmp_path, kind, between):
    contents = [sound(kind), sound(kind, seed=1)]
    before = between if between[:3] != b"TAG" else b""
    (tmp_path / "a").write_bytes(before + contents[0] + between + contents[1] + between)
    np.testing.assert_allclose(load_audio(tmp_path / "a"), alone(tmp_path, contents), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_something_else_behind_a_recording_is_named_where_it_is_not_small(tmp_path, kind):
    content = sound(kind)
    (tmp_path / "a").write_bytes(content + b"\r\nsmall")
    np.testing.assert_array_equal(load_audio(tmp_path / "a"), alone(tmp_path, [content]))
    (tmp_path / "a").write_bytes(content + b"To be or not to be. " * 9999)
    with pytest.raises(
        ValueError, match=r"Cannot read the recording .*: .*(199980 bytes follow|something else follows)"
    ):
        audio_info(tmp_path / "a")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("mp3", "flac")])
def test_a_recording_that_is_cut_in_the_middle_of_a_joined_file(tmp_path, kind):
    content = sound(kind)
    (tmp_path / "a").write_bytes(content + content[: len(content) // 2])
    with pytest.raises(ValueError, match="it is truncated"):
        audio_info(tmp_path / "a")


def test_more_beginnings_than_recordings(tmp_path, monkeypatch):
    monkeypatch.setattr("vqzoo.data.audio.headers._MOST_PARTS", 3)
    (tmp_path / "a.wav").write_bytes(4 * sound("wav", 100))
    with pytest.raises(ValueError, match=r"a\.wav: it is damaged: it falls into more than 3 recordings"):
        audio_info(tmp_path / "a.wav")


def test_channels_that_do_not_go_together(tmp_path):
    (tmp_path / "a.wav").write_bytes(sound("wav", channels=2) + sound("wav", channels=3))
    with pytest.raises(ValueError, match=r"several recordings, one after another, of 2 and of 3 channels. Split it"):
        audio_info(tmp_path / "a.wav")


# === Where one ends and the next begins ===

GUID = bytes.fromhex("f3acd3118cd100c04f8edb8a")


def odd(kind, subtype="PCM_U8", samples=9001):
    """A recording of an odd number of bytes, without padding behind them."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.sin(np.arange(samples) / 9), 16000, format=kind, subtype=subtype)
    content = buffer.getvalue()
    return content[: content.index(b"data") + 8 + samples] if kind in ("WAV", "RF64") else content


def replaced(content, old, skip, new):
    place = content.index(old) + skip
    return content[:place] + new + content[place + len(new) :]


# Nothing of it is a multiple of what the format pads to; or its length is not known.
ENDS = {
    "w64 of 2 bytes": odd("W64", "PCM_16", samples=9002),
    "w64 of a byte": odd("W64", "ULAW"),
    "wav": odd("WAV"),
    "wav and a chunk": sound("wav", 900) + b"LIST\5\0\0\0INFO!",
    "rf64": odd("RF64"),
    "aiff": replaced(odd("AIFF", "PCM_S8"), b"SSND", 4, (9001 + 8).to_bytes(4, "big"))[:-1],
    "aiff and a chunk": sound("aiff", 900) + b"NAME\0\0\0\1a",
    "caf": odd("CAF", "PCM_S8")[:-1],
    "au": odd("AU", "PCM_S8"),
    "au of unknown length": replaced(sound("au", 9000), b".snd", 8, b"\xff" * 4),
    "wav of unknown length": replaced(sound("wav", 9000), b"data", 4, b"\xff" * 4),
    "caf of unknown length": replaced(sound("caf", 9000), b"data", 4, b"\xff" * 8),
}
SHORT = {kind: sound(kind, 700, seed=3) for kind in KINDS}


# The frames of an mp3 begin like sound.
PAIRS = [(end, kind) for end in ENDS for kind in KINDS if kind != "mp3" or "unknown" not in end]


@pytest.mark.parametrize(("end", "kind"), PAIRS)
def test_a_short_recording_at_once_behind_any_other_is_read(tmp_path, end, kind):
    contents = [ENDS[end], SHORT[kind]]
    (tmp_path / "a").write_bytes(b"".join(contents))
    np.testing.assert_allclose(load_audio(tmp_path / "a"), alone(tmp_path, contents), atol=1e-6)


@pytest.mark.parametrize("behind", [b"\0", b"abc", ID3V1, b"TAGa" + bytes(124), bytes(64), "chunk"], ids=str)
@pytest.mark.parametrize("end", [end for end in ENDS if "unknown" not in end])
def test_what_is_behind_the_samples_is_no_sound(tmp_path, end, behind):
    if behind == "chunk":
        content = b"x" * 800
        head = b"levl" + GUID + (824).to_bytes(8, "little") if "w64" in end else b"levl\0\0\3\x20"
        behind = head + content
    (tmp_path / "a").write_bytes(ENDS[end] + behind)
    np.testing.assert_array_equal(load_audio(tmp_path / "a"), alone(tmp_path, [ENDS[end]]))
    (tmp_path / "a").write_bytes(ENDS[end] + ID3V1 + SHORT["flac"])
    np.testing.assert_array_equal(load_audio(tmp_path / "a"), alone(tmp_path, [ENDS[end], SHORT["flac"]]))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "mp3"])
def test_a_short_recording_behind_something_else_is_not_lost(tmp_path, kind):
    (tmp_path / "a").write_bytes(sound("au") + b"\r\nsmall" + sound(kind, 9))
    with pytest.raises(ValueError, match=r"a: behind the au recording in it \d+ bytes follow that are something else"):
        load_audio(tmp_path / "a")


# === Before the first frame of an mp3 ===


@pytest.mark.parametrize(
    "before",
    [bytes(1), bytes(3), bytes(1000), bytes(200_000), b"junk" * 999, ID3 + bytes(5000), ID3 + ID3, b"\xff" * 99],
    ids=repr_of,
)
def test_what_stands_before_the_first_frame_of_an_mp3(tmp_path, before):
    content = sound("mp3")
    (tmp_path / "a.mp3").write_bytes(before + content)
    np.testing.assert_array_equal(load_audio(tmp_path / "a.mp3"), alone(tmp_path, [content]))


def test_an_mp3_that_begins_in_the_middle_of_a_frame(tmp_path):
    (tmp_path / "a.mp3").write_bytes(sound("mp3", 90000)[5000:])
    assert 40000 < audio_info(tmp_path / "a.mp3").samples == len(load_audio(tmp_path / "a.mp3")) < 90000
