"""What PyAV reads: m4a, mp4, aac, wma, webm, mka and caf. The files are made by it, so most of this needs it."""

import numpy as np
import pytest

from vqzoo.data import AudioClips
from vqzoo.data import audio_info
from vqzoo.data import find_audio
from vqzoo.data import load_audio
from vqzoo.data import load_long_audio
from vqzoo.data import save_audio
from vqzoo.data.audio import decoders
from vqzoo.data.audio import media
from vqzoo.data.audio import read

needs_av = pytest.mark.environment("main", "av")
RATE = 48000
SAMPLES = 3 * RATE
SIGNAL = np.random.default_rng(0).normal(0, 0.01, (SAMPLES, 2)).astype("float32")
SIGNAL += (0.3 * np.sin(np.arange(SAMPLES) / 40) * np.linspace(0.1, 1, SAMPLES))[:, None].astype("float32")
# name: (codec, format of FFmpeg, largest error of the samples, or None where the codec shifts or changes them)
FILES = {
    "alac.m4a": ("alac", "ipod", 1e-6),
    "aac.m4a": ("aac", "ipod", None),
    "aac.mp4": ("aac", "mp4", None),
    "a.aac": ("aac", "adts", None),
    "a.wma": ("wmav2", "asf", None),
    "a.webm": ("libopus", "webm", None),
    "flac.mka": ("flac", "matroska", 4e-5),
    "pcm.mka": ("pcm_s16le", "matroska", 4e-5),
    "alac.caf": ("alac", "caf", 1e-6),
}


def encoded(path, codec, form, signal=SIGNAL, layout="stereo"):
    import av

    try:
        with av.open(str(path), "w", format=form) as container:
            stream = container.add_stream(codec, rate=RATE, layout=layout)
            stream.bit_rate = 128_000
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(signal.T), format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = RATE, 0
            resampler = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=RATE)
            fifo = av.AudioFifo()
            for part in (*resampler.resample(frame), *resampler.resample(None)):
                fifo.write(part)
            for part in fifo.read_many(stream.codec_context.frame_size or 1024, partial=True):
                container.mux(stream.encode(part))
            container.mux(stream.encode(None))
    except (ValueError, av.error.FFmpegError) as error:
        pytest.skip(f"this FFmpeg does not write {codec}: {error}")
    return path


@needs_av
@pytest.mark.parametrize("name", FILES)
def test_whole_and_in_pieces(tmp_path, monkeypatch, name):
    codec, form, error = FILES[name]
    path = encoded(tmp_path / name, codec, form)
    assert path in find_audio(tmp_path)
    info = audio_info(path)
    assert info.sample_rate == RATE and info.channels == 2 and abs(info.samples - SAMPLES) <= 4096
    whole = load_audio(path)
    assert whole.shape == (info.samples, 2) and whole.dtype == np.float32
    if error is not None:
        np.testing.assert_allclose(whole, SIGNAL, atol=error)
    loud = np.abs(whole[-40000:-4096]).max()
    assert 0.25 < loud < 0.45 and np.abs(whole[4096:9000]).max() < 0.15
    for start, samples in ((0, 10), (70000, 5000), (1000, 9), (71000, 9000), (len(whole) - 3, 9), (200000, 5)):
        np.testing.assert_array_equal(load_audio(path, start=start, samples=samples), whole[start : start + samples])
    monkeypatch.setattr(read, "_PIECE", 2**15)
    monkeypatch.setattr(media, "_KEPT", 2**12)
    np.testing.assert_array_equal(load_long_audio(path, 16000, 1), load_audio(path, 16000, 1))


@needs_av
@pytest.mark.parametrize("name", FILES)
def test_those_that_are_cut_are_named(tmp_path, name):
    codec, form, _ = FILES[name]
    content = encoded(tmp_path / name, codec, form).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=f"^Cannot read the recording [^\n]*{name}: it is (damaged|truncated)[^\n]*$"):
        audio_info(tmp_path / name)


@needs_av
@pytest.mark.parametrize("name", FILES)
def test_joined_ones_are_read_whole_or_named(tmp_path, name):
    codec, form, _ = FILES[name]
    path = encoded(tmp_path / name, codec, form)
    content, samples = path.read_bytes(), audio_info(path).samples
    path.write_bytes(content + content)
    if name == "a.aac":
        assert audio_info(path).samples == 2 * samples
    else:
        with pytest.raises(ValueError, match="it is several recordings, one after another. Split it into files"):
            audio_info(path)
    save_audio(tmp_path / "a.wav", np.zeros((99, 1)), RATE)
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes() + content)
    with pytest.raises(ValueError, match="it is several recordings|bytes follow"):
        audio_info(tmp_path / "a.wav")


@needs_av
def test_channels_that_change(tmp_path):
    stereo = encoded(tmp_path / "a.aac", "aac", "adts").read_bytes()
    mono = encoded(tmp_path / "b.aac", "aac", "adts", layout="mono").read_bytes()
    (tmp_path / "a.aac").write_bytes(stereo + mono)
    with pytest.raises(
        ValueError, match=r"a\.aac: it changes from 2 channels at 48000 Hz to 1 at 48000 Hz. Convert it"
    ):
        audio_info(tmp_path / "a.aac")


@needs_av
@pytest.mark.parametrize(
    "content",
    [
        b"\0\0\0\x20ftypM4A " + b"garbage " * 99,
        bytes.fromhex("1a45dfa3") + b"garbage " * 99,
        bytes.fromhex("3026b2758e66cf11") + b"garbage " * 99,
        b"\xff\xf1" + b"garbage " * 99,
    ],
)
def test_garbage_is_named(tmp_path, content):
    (tmp_path / "a.m4a").write_bytes(content)
    message = r"^Cannot read the recording [^\n]*a\.m4a: it (is damaged|holds no)[^\n]*$"
    with pytest.raises(ValueError, match=message):
        load_audio(tmp_path / "a.m4a")


@needs_av
def test_a_film_without_sound(tmp_path):
    import av

    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 16
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))))
        container.mux(stream.encode(None))
    with pytest.raises(ValueError, match=r"a\.mp4: it holds no audio"):
        load_audio(tmp_path / "a.mp4")


@needs_av
def test_a_long_file_is_decoded_once_piece_by_piece(tmp_path, monkeypatch):
    path = encoded(tmp_path / "a.mka", "flac", "matroska")
    opened = []
    start = media._Cursor.__init__
    monkeypatch.setattr(media._Cursor, "__init__", lambda self, *a: (opened.append(a), start(self, *a))[1])
    monkeypatch.setattr(read, "_PIECE", 2**14)
    load_long_audio(path, 16000, 1)
    assert len(opened) == 2  # to count, and to read


@needs_av
def test_clips_from_many_threads(tmp_path):
    files = [encoded(tmp_path / f"{i}.m4a", "aac", "ipod", SIGNAL[: RATE * i]) for i in (1, 2, 3)]
    files.append(tmp_path / "bad.m4a")
    files[-1].write_bytes(files[0].read_bytes()[:5000])
    arguments = {"files": files, "samples": 8000, "batch_size": 6, "sample_rate": 16000}
    kept, pieces = AudioClips(**arguments), AudioClips(**arguments, cache_bytes=0)
    for step, batch in enumerate(pieces.dataset(steps=6)):
        np.testing.assert_array_equal(batch, kept.batch(step))
    assert list(kept.skipped) == list(pieces.skipped) == files[-1:]


def test_a_list_of_addresses_is_not_followed(tmp_path):
    for content in (b"#EXTM3U\nhttp://127.0.0.1:9/a.m4a\n", b"ffconcat version 1.0\nfile /etc/passwd\n"):
        (tmp_path / "a.m4a").write_bytes(content)
        with pytest.raises(ValueError, match="its content is none of wav, flac"):
            load_audio(tmp_path / "a.m4a")


@pytest.mark.parametrize(
    "content, name",
    [
        (b"\0\0\0\x20ftypM4A ", "mp4"),
        (bytes.fromhex("1a45dfa3"), "matroska"),
        (bytes.fromhex("3026b2758e66cf11"), "asf"),
        (b"\xff\xf1\x50\x80", "aac"),
        (b"\xff\xf9\x50\x80", "aac"),
    ],
)
def test_without_pyav_one_line_names_it(tmp_path, monkeypatch, content, name):
    monkeypatch.setattr(media, "has_media", lambda: False)
    (tmp_path / "a.wav").write_bytes(content + bytes(999))
    message = rf'a\.wav: PyAV, which reads {name} files, is not installed. pip install "vqzoo\[media\]"$'
    for function in (audio_info, load_audio, load_long_audio):
        with pytest.raises(ValueError, match=message):
            function(tmp_path / "a.wav")


def test_the_decoder_is_among_the_others():
    assert [type(decoder).__name__ for decoder in decoders.decoders()][-2:] == ["MediaDecoder", "TensorFlowDecoder"]
