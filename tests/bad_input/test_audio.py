"""Sound files as they come: how each is made, and what reading it does."""

import io
import os
import struct

import numpy as np
import pytest
import soundfile

from vqzoo.data import AudioClips
from vqzoo.data import audio_info
from vqzoo.data import load_audio

NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, 40000)


def sound(kind, signal=NOISE, **options):
    buffer = io.BytesIO()
    soundfile.write(buffer, signal, 16000, format=kind, **options)
    return buffer.getvalue()


def cut(kind, share=0.4, **options):
    content = sound(kind, **options)
    return content[: int(share * len(content))]


def replaced(content, old, new):
    place = content.index(old)
    return content[:place] + new + content[place + len(new) :]


def no_coding(tag):
    return replaced(sound("WAV"), struct.pack("<HH", 1, 1), struct.pack("<HH", tag, 1))


def with_value(value):
    signal = NOISE.copy()
    signal[1234] = value
    return sound("WAV", signal, subtype="FLOAT")


# name: (content, what load_audio says)
BAD = {
    "empty": (b"", "the file is empty"),
    "only zeros": (bytes(200_000), "its content is none of wav"),
    "zeros after RIFF": (sound("WAV")[:12] + bytes(200_000), "it has more than 10000 wav chunks"),
    "zeros after FORM": (sound("AIFF")[:12] + bytes(200_000), "it has more than 10000 aiff chunks"),
    "empty chunks": (sound("WAV")[:36] + b"JUNK\0\0\0\0" * 10_001, "it has more than 10000 wav chunks"),
    "empty tags": (b"ID3\4\0\0\0\0\0\0" * 1001 + sound("WAV"), "more than 1000 tags stand one after another"),
    "noise after flac": (
        sound("FLAC") + np.random.default_rng(0).bytes(9000),
        "behind the flac recording in it 9000 bytes follow",
    ),
    "one byte": (b"R", "its content is none of wav, flac, ogg, mp3, .* Convert it: ffmpeg"),
    "text": (b"To be or not to be\n" * 99, "its content is none of wav"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(99), "its content is none of wav"),
    "begins like wav": (b"RIFF" + struct.pack("<I", 99) + b"WAVE" + b"To be or not to be" * 9, "header is damaged"),
    "short fmt": (b"RIFF\x24\0\0\0WAVEfmt \x04\0\0\0\1\0\1\0", "its header is damaged"),
    "data before fmt": (b"RIFF\x24\0\0\0WAVEdata\x04\0\0\0\1\0\1\0", "its header is damaged"),
    "only a header": (sound("WAV", NOISE[:0]), "it holds no samples"),
    "header that is cut": (sound("WAV")[:30], "its header is damaged"),
    "truncated wav": (cut("WAV"), r"truncated: its header claims 40000 samples, and \d+ are there"),
    "truncated RF64": (cut("RF64"), "truncated: its header claims 40000 samples"),
    "truncated EXTENSIBLE": (cut("WAVEX", subtype="PCM_24"), "truncated: its header claims 40000 samples"),
    "lying header": (replaced(sound("WAV"), struct.pack("<I", 80000), struct.pack("<I", 3 * 10**9)), "truncated"),
    "truncated flac": (cut("FLAC"), "truncated: its header claims 40000 samples, and 12288 are there"),
    "truncated ogg": (cut("OGG"), "it is truncated: its last page is missing"),
    "truncated opus": (cut("OGG", subtype="OPUS"), "it is truncated: its last page is missing"),
    "truncated mp3": (cut("MP3"), "truncated: its header claims 41472 samples, and 14976 are there"),
    "IMA ADPCM": (sound("WAV", subtype="IMA_ADPCM"), r"coding IMA ADPCM \(format 0x0011\) is not read. Convert it: "),
    "Microsoft ADPCM": (sound("WAV", subtype="MS_ADPCM"), "coding Microsoft ADPCM"),
    "GSM": (sound("WAV", subtype="GSM610"), "coding GSM 6.10"),
    "unknown coding": (no_coding(0x1234), r"of a kind we do not know \(format 0x1234\)"),
    "no channels": (replaced(sound("WAV"), struct.pack("<HH", 1, 1), struct.pack("<HH", 1, 0)), "it is damaged"),
    "NaN": (with_value(np.nan), "1 of its values are NaN or infinite, the first at sample 1234. Repair"),
    "infinity": (with_value(np.inf), "1 of its values are NaN or infinite, the first at sample 1234"),
    "whole numbers as floats": (sound("WAV", NOISE * 32768, subtype="FLOAT"), "its floats go up to 163.*divide by 32"),
    "garbage after an ID3 tag": (b"ID3\x04\0\0\0\0\0\x0a" + b"garbage " * 99, "its content is none of wav"),
    "garbage after fLaC": (b"fLaC" + b"garbage " * 99, "it is damaged"),
    "garbage after OggS": (b"OggS\0\x04" + b"garbage " * 99, "truncated: its last page is missing"),
}
GOOD = {
    "silence": (sound("WAV", 0 * NOISE), 40000),
    "constant": (sound("WAV", 0 * NOISE + 0.5), 40000),
    "clipped": (sound("WAV", np.sign(NOISE)), 40000),
    "one sample": (sound("WAV", NOISE[:1]), 1),
    "beyond full scale": (sound("WAV", 4 * NOISE, subtype="FLOAT"), 40000),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_recordings_are_named_with_a_reason(name, tmp_path):
    content, message = BAD[name]
    path = tmp_path / "bad file.wav"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"(?s)Cannot read the recording .*bad file.wav: .*({message})"):
        load_audio(path, 24000)


@pytest.mark.parametrize("name", GOOD)
def test_odd_recordings_are_read(name, tmp_path):
    content, samples = GOOD[name]
    (tmp_path / "a.wav").write_bytes(content)
    signal = load_audio(tmp_path / "a.wav")
    assert signal.shape == (samples, 1)
    assert np.isfinite(signal).all() and np.abs(signal).max() <= 1


def test_missing_files_folders_and_forbidden_files(tmp_path):
    with pytest.raises(ValueError, match=r"no\.wav: No such file"):
        load_audio(tmp_path / "no.wav")
    with pytest.raises(ValueError, match="Is a directory"):
        audio_info(tmp_path)
    (tmp_path / "a.wav").write_bytes(sound("WAV"))
    (tmp_path / "a.wav").chmod(0)
    if os.geteuid():
        with pytest.raises(ValueError, match="Permission denied"):
            load_audio(tmp_path / "a.wav")


def test_a_piece_before_the_damage_is_still_there(tmp_path):
    (tmp_path / "a.flac").write_bytes(sound("FLAC")[:40000] + bytes(99) + sound("FLAC")[40099:])
    assert load_audio(tmp_path / "a.flac", samples=5000).shape == (5000, 1)
    with pytest.raises(ValueError, match=r"a\.flac: it is damaged or truncated"):
        load_audio(tmp_path / "a.flac")


@pytest.mark.parametrize("seed", range(3))
def test_damaged_bytes_end_in_a_value_error_or_a_signal(seed, tmp_path):
    rng = np.random.default_rng(seed)
    for kind in ("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3"):
        content = np.frombuffer(sound(kind, NOISE[:4000]), np.uint8)
        for _ in range(20):
            damaged = content.copy()
            places = rng.integers(0, min(len(content), 200), 4)
            damaged[places] = rng.integers(0, 256, 4)
            (tmp_path / "a").write_bytes(damaged.tobytes())
            try:
                signal = load_audio(tmp_path / "a", max_values=2**22)
            except ValueError as error:
                assert "Cannot read the recording" in str(error)
            else:
                assert np.isfinite(signal).all() and np.abs(signal).max() <= 1


def test_clips_skip_all_bad_recordings_and_name_them(tmp_path):
    for number, (content, _) in enumerate(BAD.values()):
        (tmp_path / f"bad {number:02}.wav").write_bytes(content)
    (tmp_path / "good.wav").write_bytes(sound("WAV"))
    files = sorted(tmp_path.iterdir())
    clips = AudioClips(files, 4000, 8, sample_rate=16000)
    for step in range(8):
        assert (np.abs(clips.batch(step)).max(axis=(1, 2)) > 0.4).all()
    assert set(clips.skipped) == set(files) - {tmp_path / "good.wav"}
