"""Headers that say nothing of the length, or lie about length and rate: read to the end, or named at once."""

import io
import os
import socket
import struct
import zlib

import numpy as np
import pytest
import soundfile

from vqzoo.data import AudioClips
from vqzoo.data import audio_info
from vqzoo.data import load_audio
from vqzoo.data import load_long_audio
from vqzoo.data import write_variants
from vqzoo.data.audio.resample import check_ratio

SAMPLES = 48000
NOISE = np.random.default_rng(0).uniform(-0.4, 0.4, SAMPLES)
_REVERSED = bytes(int(f"{i:08b}"[::-1], 2) for i in range(256))


def sound(kind, signal=NOISE, **options):
    buffer = io.BytesIO()
    soundfile.write(buffer, signal, 16000, format=kind, **options)
    return buffer.getvalue()


def put(content, place, value):
    return content[:place] + value + content[place + len(value) :]


def flac(claimed=None, rate=None, content=None):
    content = content or sound("FLAC")
    fields = int.from_bytes(content[18:26], "big")
    if claimed is not None:
        fields = fields >> 36 << 36 | claimed
    if rate is not None:
        fields = fields & (2**44 - 1) | rate << 44
    return put(content, 18, fields.to_bytes(8, "big"))


def xing(frames):
    content = sound("MP3")
    return put(content, content.index(b"Xing") + 8, struct.pack(">I", frames))


def chunk(kind, name, size, order="little", width=4):
    """A file whose chunk claims another size."""
    content = sound(kind)
    return put(content, content.index(name) + (16 if kind == "W64" else 4), size.to_bytes(width, order))


def rf64(size):
    content = sound("RF64")
    return put(content, content.index(b"ds64") + 16, size.to_bytes(8, "little"))


def pages(content):
    found, place = [], 0
    while place < len(content):
        count = content[place + 26]
        end = place + 27 + count + sum(content[place + 27 : place + 27 + count])
        found.append(bytearray(content[place:end]))
        place = end
    return found


def ogg(change, subtype="VORBIS", signal=NOISE):
    """A file whose last page, or all of whose pages, say another position; with right checksums."""
    found = pages(sound("OGG", signal, subtype=subtype))
    for number, page in enumerate(found):
        position = int.from_bytes(page[6:14], "little")
        page[6:14] = change(position, number == len(found) - 1).to_bytes(8, "little")
        page[22:26] = bytes(4)
        value = zlib.crc32(bytes(page).translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
        page[22:26] = int(f"{value:032b}"[::-1], 2).to_bytes(4, "little")
    return b"".join(map(bytes, found))


def last(value, **options):
    return ogg(lambda position, is_last: value if is_last else position, **options)


FORMS = {"WAV": b"fmt ", "AIFF": b"COMM", "CAF": b"desc"}


def no_form(kind):
    """A file whose chunk that describes the samples is empty."""
    name = FORMS[kind]
    start = sound(kind)[: {"CAF": 8}.get(kind, 12)]
    return (
        start
        + name
        + bytes(8 if kind == "CAF" else 4)
        + sound(kind)[sound(kind).index(b"data" if kind != "AIFF" else b"SSND") :]
    )


def damaged_page():
    content = sound("OGG")
    return put(content, content.index(b"OggS", len(content) // 2), b"XXXX")


SHORT = NOISE[:3000]
SILENT = {"signal": np.zeros((SAMPLES, 2)), "subtype": "PCM_24"}
WAV = sound("WAV")
# Read to the end: the length is unknown, of a writer that was killed, or less than what is there.
READ = {
    **{f"flac that claims {n}": flac(n) for n in (0, 1, 999, 4096, 8192, 47999)},
    "silent flac of unknown length": flac(0, content=sound("FLAC", **SILENT)),
    **{f"xing {n}": xing(n) for n in (0, 1, 50, 84, 86, 87)},
    "wav 0": chunk("WAV", b"data", 0),
    "wav 0, riff 0": put(chunk("WAV", b"data", 0), 4, bytes(4)),
    "wav of floats 0": put(sound("WAV", subtype="FLOAT"), sound("WAV", subtype="FLOAT").index(b"data") + 4, bytes(4)),
    "extensible 0": put(sound("WAVEX"), sound("WAVEX").index(b"data") + 4, bytes(4)),
    "rf64 0": rf64(0),
    "aiff 0": chunk("AIFF", b"SSND", 0, "big"),
    "aiff unknown": chunk("AIFF", b"SSND", 0xFFFFFFFF, "big"),
    "aiff whose COMM lies": put(sound("AIFF"), sound("AIFF").index(b"COMM") + 10, b"\xff" * 4),
    "au 0": put(sound("AU"), 8, bytes(4)),
    "au unknown": put(sound("AU"), 8, b"\xff" * 4),
    "w64 0": chunk("W64", b"data\xf3", 0, width=8),
    "w64 of a header": chunk("W64", b"data\xf3", 24, width=8),
    "caf unknown": chunk("CAF", b"data", 2**64 - 1, "big", 8),
    "caf 0": chunk("CAF", b"data", 0, "big", 8),
    "ogg from the middle of a stream": ogg(lambda position, _: position + 10**9 if position else 0),
    "opus from the middle": ogg(lambda position, _: position + 10**9 if position else 0, subtype="OPUS"),
}
# name: (content, what is said)
REFUSED = {
    **{
        f"flac {n}": (flac(n), f"truncated: its header claims {n} samples, and 48000")
        for n in (48001, 2**30, 2**36 - 1)
    },
    **{
        f"xing {n}": (xing(n), r"truncated: its header claims \d+ samples, and 49536")
        for n in (88, 2**31 - 1, 2**32 - 1)
    },
    "wav 2": (chunk("WAV", b"data", 2), "behind the wav recording in it 95998 bytes follow .*ffmpeg -ignore_length 1"),
    "wav too long": (chunk("WAV", b"data", 2**31), "truncated: its header claims 1073741824 samples|read"),
    "wav 2**32 - 2": (chunk("WAV", b"data", 2**32 - 2), "truncated: its header claims 2147483647 samples"),
    "rf64 2**62": (rf64(2**62), "truncated: its header claims"),
    "aiff": (chunk("AIFF", b"SSND", 2**31 - 10, "big"), "truncated: its header claims"),
    "au": (put(sound("AU"), 8, b"\x70" * 4), "truncated: its header claims"),
    "w64": (chunk("W64", b"data\xf3", 2**62, width=8), "truncated: its header claims"),
    "caf": (chunk("CAF", b"data", 2**62, "big", 8), "truncated: its header claims"),
    **{f"vorbis {n}": (last(n), "damaged: a page claims") for n in (1, 2**31, 2**40, 2**62, 2**63 - 1)},
    **{f"opus {n}": (last(n, subtype="OPUS"), "damaged: a page claims") for n in (1, 2**31, 2**62)},
    **{f"short vorbis {n}": (last(n, signal=SHORT), "damaged: a page claims") for n in (2**31, 2**62)},
    "wav of 2**31 - 1 Hz": (
        put(WAV, 24, struct.pack("<I", 2**31 - 1)),
        "claims 2147483647 Hz, and 10000000 are read",
    ),
    "au of 2**31 - 1 Hz": (put(sound("AU"), 16, b"\x7f\xff\xff\xff"), "claims 2147483647 Hz"),
    "wav of 0 Hz": (put(WAV, 24, bytes(4)), "it is damaged"),
    "ogg with a damaged page": (damaged_page(), r"it is damaged at byte \d+: no page"),
    "au of a strange coding": (sound("AU", subtype="G721_32"), "its coding 23 is not read. Convert it: ffmpeg"),
    "au without a header": (b".snd" + bytes(99), "begins like an au file, but its header is damaged"),
    "aiff of ADPCM": (sound("AIFF", subtype="IMA_ADPCM"), "its coding 'ima4' is not read. Convert it: ffmpeg"),
    "w64 of ADPCM": (sound("W64", subtype="IMA_ADPCM"), "its coding IMA ADPCM .* is not read. Convert it: ffmpeg"),
    **{
        f"{kind} with a short header": (no_form(kind), f"begins like a.? {kind.lower()} file, but its header")
        for kind in FORMS
    },
    **{
        f"{kind} without samples": (sound(kind)[:40], f"begins like a {kind.lower()} file, but its header")
        for kind in FORMS
    },
}
RATES = {
    **{f"wav of {rate} Hz": put(WAV, 24, struct.pack("<I", rate)) for rate in (1, 2, 7, 62, 4_100_000, 9_999_991)},
    **{f"flac of {rate} Hz": flac(rate=rate) for rate in (1, 50)},
    "au of 1 Hz": put(sound("AU"), 16, struct.pack(">I", 1)),
}


@pytest.fixture
def bounded(monkeypatch):
    """No array of more than 64 MiB is made, and no more than that is resampled."""
    empty, zeros = np.empty, np.zeros

    def checked(make):
        def made(shape, *arguments, **options):
            assert np.prod(np.atleast_1d(shape), dtype=float) <= 2**24, shape
            return make(shape, *arguments, **options)

        return made

    monkeypatch.setattr(np, "empty", checked(empty))
    monkeypatch.setattr(np, "zeros", checked(zeros))


@pytest.mark.parametrize("name", READ)
def test_what_is_there_is_read_to_the_end(tmp_path, bounded, name):
    path = tmp_path / "a.wav"
    path.write_bytes(READ[name])
    assert audio_info(path)[:2] == (16000, SAMPLES)
    whole = load_audio(path)
    assert len(whole) == SAMPLES
    if "silent" not in name:
        assert np.abs(whole[-2000:]).max() > 0.2
    np.testing.assert_array_equal(load_long_audio(path, channels=1), whole.mean(axis=1, keepdims=True))
    piece = load_audio(path, start=SAMPLES - 3000, samples=5000)
    np.testing.assert_allclose(piece, whole[-3000:], atol=1e-6)
    clips = AudioClips([path], 4000, 12, sample_rate=8000, silence=-np.inf)
    assert clips.clips == 6 and clips.batch(0).shape == (12, 4000, 1) and not clips.skipped


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_true_is_named_before_anything_is_decoded(tmp_path, bounded, monkeypatch, name):
    content, message = REFUSED[name]
    path = tmp_path / "a lie.wav"
    path.write_bytes(content)
    (tmp_path / "good.wav").write_bytes(sound("WAV"))
    if name == "wav too long":  # what some programs write when they do not know the length
        assert audio_info(path).samples == SAMPLES
        return
    for function in (audio_info, load_audio, load_long_audio):
        with pytest.raises(ValueError, match=f"(?s)^Cannot read the recording [^\n]*a lie.wav: [^\n]*{message}[^\n]*$"):
            function(path)
    clips = AudioClips([path, tmp_path / "good.wav"], 4000, 4, sample_rate=16000)
    assert list(clips.skipped) == [path] and clips.clips == 12
    with pytest.raises(ValueError, match="None of the 1 files can be read"):
        AudioClips([path], 4000, 4, sample_rate=16000)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("before", [0, 1])
def test_damaged_and_missing_pages_are_named(tmp_path, subtype, before):
    found = pages(sound("OGG", NOISE.repeat(2), subtype=subtype))
    before *= b"".join(map(bytes, found))
    assert len(found) > 6
    for number, page in enumerate(found):
        for place in (23, 26, 27, len(page) // 2, len(page) - 1):
            damaged = put(page, place, bytes([page[place] ^ 4]))
            (tmp_path / "a.ogg").write_bytes(before + b"".join([*found[:number], damaged, *found[number + 1 :]]))
            with pytest.raises(ValueError, match=r"a\.ogg: it is (damaged|truncated): (the checksum of|its last page)"):
                audio_info(tmp_path / "a.ogg")
    for number in range(3, len(found) - 1):
        (tmp_path / "a.ogg").write_bytes(before + b"".join(found[:number] + found[number + 1 :]))
        with pytest.raises(ValueError, match=r"a\.ogg: it is damaged: pages are missing before byte \d+. Get"):
            audio_info(tmp_path / "a.ogg")


def test_numbers_that_the_bytes_cannot_hold(tmp_path, monkeypatch):
    (tmp_path / "a.flac").write_bytes(sound("FLAC"))
    (tmp_path / "a.wav").write_bytes(WAV)
    monkeypatch.setattr("vqzoo.data.audio.formats.flac._last_frame", lambda *a: (2**36 - 1, 0))
    monkeypatch.setattr("vqzoo.data.audio.decoders._MOST_OF_A_BYTE", 0)
    with pytest.raises(ValueError, match="its last frame has a number that its bytes cannot hold"):
        audio_info(tmp_path / "a.flac")
    with pytest.raises(ValueError, match="its 96044 bytes cannot hold the 48000 samples that it claims"):
        audio_info(tmp_path / "a.wav")


def test_a_file_that_does_not_fit_in_memory_is_named(tmp_path, monkeypatch):
    def fail(*arguments):
        raise MemoryError

    (tmp_path / "a.wav").write_bytes(WAV)
    monkeypatch.setattr("vqzoo.data.audio.read._read", fail)
    with pytest.raises(ValueError, match=r"Cannot read the recording .*a\.wav: it does not fit in memory. Cut it"):
        load_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("name", RATES)
def test_absurd_rates_are_not_resampled(tmp_path, bounded, name):
    path = tmp_path / "a.wav"
    path.write_bytes(RATES[name])
    assert audio_info(path).samples == len(load_audio(path)) == SAMPLES
    for function in (load_audio, load_long_audio):
        with pytest.raises(
            ValueError, match=r"a\.wav: its sample rate is \d+ Hz by its header, and 16000 Hz are wanted"
        ):
            function(path, 16000)
    with pytest.raises(ValueError, match="None of the 1 files can be read"):
        AudioClips([path], 4000, 4, sample_rate=16000)


@pytest.mark.parametrize("rates", [(1, 300), (48000, 100), (4194319, 4194301), (2**31 - 1, 16000)])
def test_rates_too_far_from_each_other(rates):
    with pytest.raises(ValueError, match="one is more than (256|64) times the other|they have too little in common"):
        check_ratio(*rates)
    with pytest.raises(ValueError, match=f"its sample rate is {rates[1]} Hz by its header"):
        check_ratio(*rates[::-1])


@pytest.mark.parametrize(
    "rates", [(8000, 8000), (2**31 - 1, 2**31 - 1), (63 * 256, 63), (44101, 16000), (384000, 8000)]
)
def test_rates_that_are_resampled(rates):
    check_ratio(*rates)


@pytest.mark.parametrize("share", [0.3, 0.55, 0.9, 0.999])
def test_a_flac_of_unknown_length_that_is_cut_is_read_to_its_last_whole_frame(tmp_path, share):
    content = flac(0)
    (tmp_path / "a.flac").write_bytes(content[: int(share * len(content))])
    signal = load_audio(tmp_path / "a.flac")
    assert len(signal) % 4096 == 0 and 0.9 * share - 0.1 < len(signal) / SAMPLES < share + 0.05
    np.testing.assert_allclose(signal[:, 0], NOISE[: len(signal)], atol=1e-4)


@pytest.mark.parametrize("samples", [1, 17, 4095, 4096, 4097, 16384])
@pytest.mark.parametrize("silent", [True, False])
def test_short_and_silent_flacs(tmp_path, samples, silent):
    signal = (0 if silent else 1) * NOISE[:samples]
    for name, claimed in (("a.flac", samples), ("b.flac", 0), ("c.flac", samples - 1)):
        (tmp_path / name).write_bytes(flac(claimed, content=sound("FLAC", signal)))
        np.testing.assert_allclose(load_audio(tmp_path / name)[:, 0], signal, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 2, 8])
@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
@pytest.mark.parametrize("rate", [8000, 44100, 96000, 12345])
def test_the_last_frame_of_any_flac_is_found(tmp_path, channels, subtype, rate):
    signal = np.random.default_rng(rate).normal(0, 0.1, (20001, channels))
    soundfile.write(tmp_path / "a.flac", signal, rate, subtype=subtype)
    content = (tmp_path / "a.flac").read_bytes()
    assert audio_info(tmp_path / "a.flac") == (rate, 20001, channels)
    (tmp_path / "a.flac").write_bytes(flac(0, content=content))
    assert audio_info(tmp_path / "a.flac") == (rate, 20001, channels)


def test_a_wav_without_samples_holds_none(tmp_path):
    header = put(WAV, 40, bytes(4))[:44]
    for rest in (b"", b"LIST\x04\0\0\0abcd", bytes(500), b"TAG" + b"x" * 125, b"\1"):
        (tmp_path / "a.wav").write_bytes(header + rest)
        with pytest.raises(ValueError, match=r"a\.wav: it holds no samples"):
            load_audio(tmp_path / "a.wav")


# === What is no regular file ===


def fifo(path):
    os.mkfifo(path)


def bound(path):
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.close()


SPECIAL = {
    "pipe": (fifo, "not a regular file but a named pipe"),
    "socket": (bound, "not a regular file but a socket"),
    "zero": (lambda path: path.symlink_to("/dev/zero"), "not a regular file but a device"),
    "null": (lambda path: path.symlink_to("/dev/null"), "not a regular file but a device"),
    "nowhere": (lambda path: path.symlink_to(path.with_name("gone")), "No such file"),
    "itself": (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    "folder": (lambda path: path.mkdir(), "Is a directory"),
}


@pytest.mark.skipif(os.name == "nt", reason="needs Unix")
@pytest.mark.parametrize("name", SPECIAL)
def test_only_regular_files_are_opened(tmp_path, monkeypatch, name):
    make, message = SPECIAL[name]
    monkeypatch.chdir(tmp_path)  # a socket's name may not be long
    path = tmp_path / "a.wav"
    make(path.relative_to(tmp_path) if name == "socket" else path)
    for function in (audio_info, load_audio, load_long_audio):
        with pytest.raises(ValueError, match=rf"^Cannot read the recording .*a\.wav: {message}[^\n]*$"):
            function(path)
    (tmp_path / "good.wav").write_bytes(WAV)
    assert list(AudioClips([path, tmp_path / "good.wav"], 4000, 4, sample_rate=16000).skipped) == [path]
    with pytest.warns(UserWarning, match=rf"a\.wav: .*{message}"):
        assert write_variants([path], tmp_path / "variants") == []


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_names_that_are_no_text(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    path.write_bytes(WAV)
    assert len(load_audio(path)) == SAMPLES
    path.write_bytes(put(WAV, 40, bytes(4)))
    assert len(load_audio(path)) == SAMPLES
