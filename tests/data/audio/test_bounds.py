"""Files that are damaged or empty in bulk: what they cost is bounded, and what follows a recording is not lost."""

import io
import os
import struct

import numpy as np
import pytest
import soundfile

from vqzoo.data import audio_info
from vqzoo.data import load_audio
from vqzoo.data.audio.formats import part
from vqzoo.data.audio.formats.flac_frame import _TABLE8
from vqzoo.data.audio.formats.flac_frame import _checksum
from vqzoo.data.audio.formats.part import find_bytes
from vqzoo.data.audio.formats.part import next_data
from vqzoo.data.audio.formats.part import skip_tags
from vqzoo.data.audio.formats.part import trailing_tags
from vqzoo.data.audio.headers import read_header


def sound(kind, samples=6000, seed=0, channels=1, rate=16000, **options):
    buffer = io.BytesIO()
    signal = np.random.default_rng(seed).uniform(-0.4, 0.4, (samples, channels))
    soundfile.write(buffer, signal, rate, format=kind, **options)
    return buffer.getvalue()


def put(content, place, value):
    return content[:place] + value + content[place + len(value) :]


def sparse(path, size, **pieces):
    """A file of zeros that take no disk, with some bytes at some places."""
    with open(path, "wb") as file:
        for place, content in pieces.values():
            file.seek(place)
            file.write(content)
        file.truncate(size)


# === What follows a flac ===


def chance(flac, rest):
    """Something else, with two bytes that make the checksum of the last frame right by chance, 2000 before the end."""
    content = flac + rest
    last = next(m for m in range(len(flac) - 2, 0, -1) if flac[m : m + 2] == b"\xff\xf8")
    value, middle = 0, len(content) - 2000
    for byte in content[last:middle]:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ (0x8005 if value & 0x8000 else 0)) & 0xFFFF
    return put(content, middle, value.to_bytes(2, "big"))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["mp3", "noise"])
def test_nothing_behind_a_flac_is_lost_by_chance(tmp_path, kind, seed):
    flac = sound("FLAC", seed=seed)
    rest = sound("MP3", 20000, seed) if kind == "mp3" else np.random.default_rng(seed).bytes(9000)
    (tmp_path / "a").write_bytes(chance(flac, rest))
    if kind == "noise":
        with pytest.raises(ValueError, match="behind the flac recording in it 9000 bytes follow that are something"):
            audio_info(tmp_path / "a")
    else:
        assert audio_info(tmp_path / "a").samples == 26000


@pytest.mark.parametrize("bits", [8, 16, 24])
@pytest.mark.parametrize("channels", [1, 2, 7])
@pytest.mark.parametrize("shape", ["noise", "zeros", "constant", "sine", "quiet", "sparks", "shifted", "one sample"])
def test_every_kind_of_flac_frame_is_walked_to_its_end(tmp_path, shape, channels, bits):
    time = np.arange(5000.0)[:, None]
    noise = np.random.default_rng(bits).uniform(-1, 1, (5000, channels))
    signal = {
        "noise": noise,
        "zeros": 0 * noise,
        "constant": 0 * noise + 0.25,
        "sine": 0.5 * np.sin(time / 20) + 1e-3 * noise,
        "quiet": 2 ** (2.0 - bits) * noise,
        "sparks": (noise > 0.99) * noise,
        "shifted": np.round(noise * 8) / 8 * 0.9375,  # whose lowest bits are 0
        "one sample": noise[:1],
    }[shape]
    subtype = "PCM_S8" if bits == 8 else f"PCM_{bits}"
    soundfile.write(tmp_path / "a.flac", signal, 16000, subtype=subtype)
    with open(tmp_path / "a.flac", "ab") as file:
        file.write(sound("WAV", 100))
        file.write(b"junk")
    header = read_header(tmp_path / "a.flac")
    assert [recording.kind for recording in header.parts] == ["flac", "wav"]
    (tmp_path / "a.flac").write_bytes((tmp_path / "a.flac").read_bytes().replace(b"RIFF", b"RUFF"))
    end = header.parts[0].end
    for recording in read_header(tmp_path / "a.flac").parts:
        assert recording.end == end
    assert audio_info(tmp_path / "a.flac").samples == len(signal)


def damaged_frames(flac):
    """Flacs whose last frame holds what no frame does."""
    last = next(m for m in range(len(flac) - 2, 0, -1) if flac[m : m + 2] == b"\xff\xf8")
    return {
        "a kind that is reserved": put(flac, last + 8, b"\x04"),
        "a wrong checksum": put(flac, len(flac) - 1, bytes([flac[-1] ^ 1])),
    }


@pytest.mark.parametrize("name", ["a kind that is reserved", "a wrong checksum"])
@pytest.mark.parametrize("claimed", [True, False])
def test_a_last_flac_frame_that_is_damaged(tmp_path, name, claimed):
    content = damaged_frames(sound("FLAC", 9000))[name]
    fields = int.from_bytes(content[18:26], "big")
    content = content if claimed else put(content, 18, (fields >> 36 << 36).to_bytes(8, "big"))
    (tmp_path / "a.flac").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.flac: it is damaged or truncated"):
        audio_info(tmp_path / "a.flac")


def test_a_last_flac_frame_that_ends_in_zeros(tmp_path):
    """One of silence, whose checksum happens to be 0: found by trying all lengths."""
    for samples in range(16, 2**16):
        head = bytes.fromhex("fff87908 00") + (samples - 1).to_bytes(2, "big")
        frame = head + bytes([_checksum(head, _TABLE8, 8)]) + bytes(3)
        if _checksum(frame) == 0:
            break
    info = put(sound("FLAC")[:42], 4, b"\x80")
    fields = int.from_bytes(info[18:26], "big") >> 36 << 36 | samples
    info = put(put(info, 8, 2 * samples.to_bytes(2, "big")), 18, fields.to_bytes(8, "big"))
    for rest in (b"", bytes(9999)):
        (tmp_path / "a.flac").write_bytes(info + frame + bytes(2) + rest)
        assert audio_info(tmp_path / "a.flac").samples == samples


# === Blocks of metadata ===


def with_blocks(flac, *blocks):
    """A flac with more blocks of metadata in front of its frames."""
    place, is_last = 4, False
    while not is_last:
        is_last, last = flac[place] & 0x80, place
        place += 4 + int.from_bytes(flac[place + 1 : place + 4], "big")
    blocks = [bytes([kind]) + len(content).to_bytes(3, "big") + content for kind, content in blocks]
    blocks[-1] = bytes([blocks[-1][0] | 0x80]) + blocks[-1][1:]
    return flac[:last] + bytes([flac[last] & 0x7F]) + flac[last + 1 : place] + b"".join(blocks) + flac[place:]


def picture(content):
    words = (3, 9, b"image/png", 0, 1, 1, 24, 0, len(content), content)
    return b"".join(word if isinstance(word, bytes) else word.to_bytes(4, "big") for word in words)


BLOCKS = {
    "foreign metadata of a wav": [(2, b"riff" + sound("WAV")[:12]), (2, b"riff" + sound("WAV")[12:36])],
    "foreign metadata of an aiff": [(2, b"aiff" + sound("AIFF")[:12]), (2, b"aiff" + sound("AIFF")[12:38])],
    "foreign metadata of a w64": [(2, b"w64 " + sound("W64")[:40])],
    "a flac": [(2, b"test" + sound("FLAC"))],
    "a picture with everything": [(6, picture(b"".join(map(sound, ("FLAC", "OGG", "WAV", "AIFF", "CAF")))))],
    "padding": [(1, bytes(99))] * 3,
}


@pytest.mark.parametrize("name", BLOCKS)
def test_metadata_of_a_flac_are_no_recordings(tmp_path, name):
    (tmp_path / "a.flac").write_bytes(sound("FLAC"))
    (tmp_path / "b.flac").write_bytes(with_blocks(sound("FLAC"), *BLOCKS[name]))
    np.testing.assert_array_equal(load_audio(tmp_path / "b.flac"), load_audio(tmp_path / "a.flac"))
    (tmp_path / "b.flac").write_bytes(2 * with_blocks(sound("FLAC"), *BLOCKS[name]))
    assert audio_info(tmp_path / "b.flac").samples == 12000


# === Bounds ===

WAV, AIFF, W64, CAF = (sound(kind, 100) for kind in ("WAV", "AIFF", "W64", "CAF"))
EMPTY_W64 = b"junk" + bytes.fromhex("f3acd3118cd100c04f8edb8a") + (24).to_bytes(8, "little")
APE_OF_NOTHING = b"APETAGEX" + bytes(24)
# name: (content, what is said where it has more than ten of something)
MANY = {
    "wav of zeros": (WAV[:12] + bytes(999), "it has more than 10 wav chunks"),
    "aiff of zeros": (AIFF[:12] + bytes(999), "it has more than 10 aiff chunks"),
    "w64 of zeros": (W64[:40] + bytes(999), "it has more than 10 w64 chunks"),
    "caf of zeros": (CAF[:8] + bytes(999), "it has more than 10 caf chunks"),
    "w64 of empty chunks": (W64[:40] + 20 * EMPTY_W64, "it has more than 10 w64 chunks"),
    "wav of empty chunks": (WAV[:36] + 20 * b"JUNK\0\0\0\0" + WAV[36:], "it has more than 10 wav chunks"),
    "empty chunks behind a wav": (WAV + 20 * b"JUNK\0\0\0\0", "it has more than 10 wav chunks"),
    "flac of empty blocks": (
        sound("FLAC")[:42].replace(b"\x80", b"\0") + bytes(999),
        "more than 10 blocks of metadata",
    ),
    "flac whose metadata do not end": (put(sound("FLAC"), 42, b"\x01\xff\xff\xff"), "its metadata go beyond its end"),
    "tags of ID3": (20 * (b"ID3\4\0\0\0\0\0\0") + WAV, "more than 10 tags"),
    "tags and zeros": (20 * (b"ID3\4\0\0\0\0\0\0\0") + WAV, "more than 10 tags"),
    "tags of APE": (20 * APE_OF_NOTHING + WAV, "more than 10 tags"),
    "lyrics": (20 * b"LYRICSBEGINLYRICS200" + WAV, "more than 10 tags"),
    "tags behind a flac": (sound("FLAC") + 20 * (b"TAG" + bytes(125)), "more than 10 tags"),
    "APE behind a flac": (sound("FLAC") + 20 * APE_OF_NOTHING, "more than 10 tags"),
}


@pytest.mark.parametrize("name", MANY)
def test_more_pieces_than_any_program_writes(tmp_path, monkeypatch, name):
    content, message = MANY[name]
    monkeypatch.setattr("vqzoo.data.audio.formats.chunks._MOST_CHUNKS", 10)
    monkeypatch.setattr("vqzoo.data.audio.formats.flac._MOST_BLOCKS", 10)
    monkeypatch.setattr("vqzoo.data.audio.formats.part._MOST_TAGS", 10)
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ValueError, match=f"^Cannot read the recording [^\n]*: it is damaged[^\n]*{message}[^\n]*$"):
        audio_info(tmp_path / "a")


def test_an_ape_tag_that_claims_no_bytes_is_one_tag():
    assert trailing_tags(io.BytesIO(b"sound" + APE_OF_NOTHING), 0, 37) == 5


def test_lyrics_do_not_go_on_for_ever(monkeypatch):
    monkeypatch.setattr(part, "_LONGEST_LYRICS", 100)
    content = b"LYRICSBEGIN" + bytes(200) + b"LYRICS200"
    assert skip_tags(io.BytesIO(content), 0, len(content)) == 0


@pytest.mark.parametrize("kind", ["WAV", "AIFF"])
def test_a_length_that_means_unknown_is_not_the_most_that_is_read(tmp_path, monkeypatch, kind):
    monkeypatch.setattr("vqzoo.data.audio.formats.chunks._UNKNOWN", {1000})
    content, order = sound(kind), "little" if kind == "WAV" else "big"
    place = content.index(b"data" if kind == "WAV" else b"SSND")
    (tmp_path / "a").write_bytes(put(content, place + 4, (1000).to_bytes(4, order)))
    assert audio_info(tmp_path / "a").samples == len(load_audio(tmp_path / "a")) == 6000


# === Sparse files ===

FOUR = 2**32 + 2**20
KILLED = put(sound("WAV"), 40, bytes(4))
# name: (bytes at places, what is said or how many samples there are)
SPARSE = {
    "nothing": ({}, "its content is none of wav"),
    "an end": ({"end": (FOUR - 99, b"x" * 99)}, "its content is none of wav"),
    "wav without samples": ({"a": (0, KILLED[:44])}, "it holds no samples"),
    "wav that was killed": ({"a": (0, KILLED[:2000])}, "more than the 4 GiB limit of a wav file"),
    "wav of unknown length": ({"a": (0, put(KILLED, 40, b"\xff" * 4))}, "more than the 4 GiB limit of a wav file"),
    "wav": ({"a": (0, sound("WAV"))}, 6000),
    "au that was killed": ({"a": (0, put(sound("AU"), 8, bytes(4)))}, (FOUR - 24) // 2),
    "au of unknown length": ({"a": (0, put(sound("AU"), 8, b"\xff" * 4))}, (FOUR - 24) // 2),
    "caf of unknown length": ({"a": (0, put(CAF, CAF.index(b"data") + 4, b"\xff" * 8))}, (FOUR - 4096) // 2),
    "flac": ({"a": (0, sound("FLAC"))}, 6000),
    "flac that was cut": ({"a": (0, sound("FLAC")[:9000])}, "it does not end in a flac frame|it is truncated"),
    "flac with an end": ({"a": (0, sound("FLAC")), "end": (FOUR - 9999, b"x" * 9999)}, "not end in a flac frame"),
    "two wavs": ({"a": (0, WAV), "end": (FOUR - len(WAV), WAV)}, 200),
}


@pytest.fixture
def no_large_reads(monkeypatch):
    """Fails where more than 64 MiB are read of a file."""
    read, count = part.read_at, [0]

    def counted(file, place, size):
        content = read(file, place, size)
        count[0] += len(content)
        assert count[0] < 2**26
        return content

    for module in ("part", "chunks", "flac"):
        monkeypatch.setattr(f"vqzoo.data.audio.formats.{module}.read_at", counted)


@pytest.mark.skipif(not hasattr(os, "SEEK_DATA"), reason="this system does not tell where a file is sparse")
@pytest.mark.parametrize("name", SPARSE)
def test_what_a_sparse_file_leaves_out_is_not_read(tmp_path, no_large_reads, name):
    pieces, expected = SPARSE[name]
    sparse(tmp_path / "a.wav", FOUR, **pieces)
    if isinstance(expected, int):
        assert abs(audio_info(tmp_path / "a.wav").samples - expected) < 2048
        return
    with pytest.raises(ValueError, match=f"^Cannot read the recording [^\n]*: [^\n]*({expected})[^\n]*$"):
        audio_info(tmp_path / "a.wav")


@pytest.mark.parametrize("tell", ["no numbers", "no holes", "not here"])
def test_where_the_system_does_not_tell_of_holes_zeros_are_read(tmp_path, monkeypatch, tell):
    sparse(tmp_path / "a", 2**22, a=(0, b"x"), end=(3 * 2**20, b"abc"))

    with open(tmp_path / "a", "rb") as file:
        if tell == "no holes":
            monkeypatch.setattr(part, "next_data", lambda file, place, end: place)
        elif tell == "not here":
            monkeypatch.delattr(os, "SEEK_DATA", raising=False)
        elif tell == "no numbers":
            file = io.BytesIO(file.read())
        assert next_data(file, 9, 99) in (9, 99)
        assert skip_tags(file, 1, 2**22) == 3 * 2**20
        assert trailing_tags(file, 0, 2**22) == 3 * 2**20 + 3 + 64
        assert find_bytes(file, [part.re.compile(b"abc")], 0, 2**22) == 3 * 2**20


def test_looking_for_holes_does_not_move_the_file(tmp_path):
    sparse(tmp_path / "a", 2**20, a=(0, bytes(range(256)) * 64))
    with open(tmp_path / "a", "rb") as file:
        assert file.read(10) == bytes(range(10))
        next_data(file, 2**17, 2**20)
        assert file.read(2**14 - 10) == (bytes(range(256)) * 64)[10:]


# === Resampling ===


def test_many_channels_are_mixed_before_they_are_resampled(tmp_path, monkeypatch):
    import soxr

    resample, widths = soxr.resample, []

    def counted(signal, *rates):
        widths.append(signal.shape[1])
        return resample(signal, *rates)

    (tmp_path / "a.wav").write_bytes(sound("WAV", 9000, channels=100, rate=44101))
    (tmp_path / "b.wav").write_bytes(sound("WAV", 900, rate=16000) + sound("WAV", 9000, channels=100, rate=44101))
    whole = load_audio(tmp_path / "a.wav", 16000)
    monkeypatch.setattr(soxr, "resample", counted)
    mean = load_audio(tmp_path / "a.wav", 16000, 1)
    np.testing.assert_allclose(mean, whole.mean(axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_array_equal(load_audio(tmp_path / "b.wav")[900:], mean)
    assert load_audio(tmp_path / "b.wav", 8000, channels=100).shape[1] == 100
    assert set(widths) == {1}


def test_what_three_periods_of_all_channels_hold_is_bounded(tmp_path):
    (tmp_path / "a.wav").write_bytes(sound("WAV", 900, channels=200, rate=200003))
    (tmp_path / "b.wav").write_bytes(sound("WAV", 900, channels=1) + sound("WAV", 900, channels=200, rate=200003))
    for name in ("a.wav", "b.wav"):
        with pytest.raises(ValueError, match=r"200003 Hz by .* they have too little in common for 200 channels"):
            load_audio(tmp_path / name, 16000, channels=1)


@pytest.mark.parametrize(("rate", "is_read"), [(250, True), (249, False), (63, False)])
def test_a_low_rate_in_a_header_does_not_fill_memory(tmp_path, rate, is_read):
    (tmp_path / "a.wav").write_bytes(put(WAV, 24, struct.pack("<I", rate)))
    if is_read:
        assert load_audio(tmp_path / "a.wav", 16000).shape == (6400, 1)
        return
    with pytest.raises(ValueError, match=f"its sample rate is {rate} Hz .*: one is more than 64 times the other"):
        load_audio(tmp_path / "a.wav", 16000)
