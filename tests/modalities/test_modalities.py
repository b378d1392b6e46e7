"""Sounds of any length and files of lines through the verbs."""

import functools
import re
import socket
import types

import numpy as np
import pytest
import soundfile

import vqzoo
from vqzoo.data import Pieces
from vqzoo.data import load_audio
from vqzoo.data import save_image
from vqzoo.data.audio import files
from vqzoo.data.audio import read
from vqzoo.metrics import mel_distance
from vqzoo.metrics import si_sdr
from vqzoo.modalities import AudioModality
from vqzoo.modalities import ImageModality
from vqzoo.modalities import TextModality
from vqzoo.modalities import text as text_module

RNG = np.random.default_rng(0)


class Tokenizer:
    """What a modality asks of a tokenizer."""

    def __init__(self, **attributes):
        vars(self).update(attributes)


class Bound:
    """A modality that is asked about one tokenizer."""

    def __init__(self, modality, tokenizer):
        self.modality, self.tokenizer = modality, tokenizer

    def __getattr__(self, name):
        return functools.partial(getattr(self.modality, name), self.tokenizer)


@pytest.fixture
def signals():
    encoder = types.SimpleNamespace(input_shape=(None, None, 1))
    return Bound(AudioModality(), Tokenizer(encoder=encoder, sample_rate=8000, modality="audio"))


def test_sounds_are_loaded_in_pieces(signals, tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", RNG.uniform(-0.5, 0.5, (400_000, 2)), 44100)
    whole = load_audio(tmp_path / "a.wav", 8000, 1)
    monkeypatch.setattr(read, "_PIECE", 2**17)
    monkeypatch.setattr(read.load_audio, "__defaults__", (None, None, 0, None, 600_000))
    np.testing.assert_array_equal(signals.load(tmp_path / "a.wav"), whole)


def test_examples_ask_no_network_and_say_what_they_are(signals, tmp_path, monkeypatch, capsys):
    def fail(*arguments, **options):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr(socket.socket, "connect", fail)
    monkeypatch.setattr(files, "_from_wheel", lambda: [])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # librosa's cache, too, is empty
    monkeypatch.setenv("LIBROSA_DATA_DIR", str(tmp_path))
    assert signals.examples().shape == (4, 8000, 1)
    assert capsys.readouterr().err == f"{files.SYNTHETIC}\n"
    monkeypatch.setattr(files, "_from_wheel", lambda: [save(tmp_path / "a.wav"), save(tmp_path / "b.wav")])
    signals.examples()
    assert not capsys.readouterr().err


def save(path):
    soundfile.write(path, RNG.uniform(-0.5, 0.5, 9000), 8000)
    return path


def test_files_that_lie_are_counted_as_skipped(signals, tmp_path, monkeypatch):
    content = save(tmp_path / "good.wav").read_bytes()
    for name, rate in (("fast.wav", 2**31 - 1), ("slow.wav", 1)):
        (tmp_path / name).write_bytes(content[:24] + rate.to_bytes(4, "little") + content[28:])
    monkeypatch.setattr(
        "vqzoo.modalities.audio.evaluate_audio", lambda tokenizer, batches: {"clips": len(list(batches))}
    )
    evaluation = signals.evaluate_sample(tmp_path, 4000, None, 8, 0)
    assert evaluation.report["clips"] == 1 and {path.name for path in evaluation.skipped} == {"fast.wav", "slow.wav"}


@pytest.mark.parametrize("noise", [0.3, 0.01])
def test_what_came_back_is_judged_in_pieces_as_in_one(signals, noise, monkeypatch):
    x = RNG.normal(0.05, 0.2, (50_001, 2)).clip(-1, 1).astype("float32")
    x[20_000:] *= 0.1
    y = (1.5 * x + noise * RNG.normal(size=x.shape) - 0.02).astype("float32")
    pair = x[None], y.clip(-1, 1)[None]
    expected = {"mel_distance": float(mel_distance(*pair, 8000)[0]), "si_sdr": float(si_sdr(*pair)[0])}
    assert signals.compare(x, y) == pytest.approx(expected, rel=1e-4)
    lengths = []

    def counted(a, b, sample_rate):
        lengths.append(a.shape[1])
        return mel_distance(a, b, sample_rate)

    monkeypatch.setattr("vqzoo.modalities.audio.mel_distance", counted)
    monkeypatch.setattr(AudioModality, "compared_at_once", 9_000)
    judged = signals.compare(x, y)
    assert lengths == [8334, 8334, 8334, 8333, 8333, 8333]
    assert judged["si_sdr"] == pytest.approx(expected["si_sdr"], rel=1e-4)
    assert judged["mel_distance"] == pytest.approx(expected["mel_distance"], rel=0.01)


@pytest.fixture
def text_signals():
    pieces = Pieces.train(["the cat sat on the mat", "a dog and a cat"], 300, exact=False)
    quantizer = vqzoo.EMAVectorQuantizer(16)
    return Bound(TextModality(), vqzoo.text_vqvae(pieces, stride=2, filters=8, blocks=1, quantizer=quantizer))


def test_blank_lines_stay_so_that_parallel_files_stay_beside_each_other(text_signals, tmp_path):
    (tmp_path / "a.txt").write_text("\nthe cat\n \t\na dog\n\n", encoding="utf-8")
    lines = text_signals.load(tmp_path / "a.txt")
    assert lines[:, 0].tolist() == ["", "the cat", "", "a dog", ""]
    (tokens,) = text_signals.encode([lines])
    assert len(tokens) == 5
    text_signals.save(tmp_path / "b.txt", lines)
    assert (tmp_path / "b.txt").read_text() == "\nthe cat\n\na dog\n\n"
    rows = text_signals.rows("a.txt", lines, tokens)  # to train on: without the blank ones
    assert [row.name for row in rows] == ["a.txt:2", "a.txt:4"]
    np.testing.assert_array_equal(rows[0].tokens, tokens[1][: len(rows[0].tokens)])
    other = lines.copy()
    other[1, 0] = "the dog"
    assert text_signals.compare(lines, other)["exact_match"] == 0.5
    (tmp_path / "a.txt").write_text("\n\n")
    with pytest.raises(ValueError, match="There is no sentence in .*a.txt: all lines are empty"):
        text_signals.load(tmp_path / "a.txt")


def test_a_text_file_is_lines_and_comes_back_in_their_order(text_signals, tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("the cat sat on the mat\na dog\nthe cat\n", encoding="utf-8")
    lines = text_signals.load(tmp_path / "a.txt")
    assert lines.shape == (3, 1) and lines[:, 0].tolist() == ["the cat sat on the mat", "a dog", "the cat"]
    tokens = text_signals.encode([lines, lines[:1]])
    assert [len(some) for some in tokens] == [3, 1]
    np.testing.assert_array_equal(tokens[0][:1], tokens[1])
    again = text_signals.decode(tokens[0], (3,))
    assert again.shape == (3, 1) and again[0, 0] == text_signals.decode(tokens[1], (1,))[0, 0]
    same = {"exact_match": 1.0, "character_error_rate": 0.0}
    assert text_signals.compare(lines, lines) == same and text_signals.compare(lines, again) != same
    broken = lines.copy()
    broken[1, 0] = "a\ndog"
    text_signals.save(tmp_path / "b.txt", broken)
    assert (tmp_path / "b.txt").read_text() == "the cat sat on the mat\na dog\nthe cat\n"
    with pytest.raises(ValueError, match="A size of 1 numbers is needed. Received: \\(3, 4\\)"):
        text_signals.decode(tokens[0], (3, 4))
    with pytest.raises(ValueError, match="A text of 4 lines has a row of tokens for each. Received: 3 rows"):
        text_signals.decode(tokens[0], (4,))
    monkeypatch.setattr(text_module, "_PIECES", 1)
    np.testing.assert_array_equal(text_signals.decode(tokens[0], (3,)), again)


@pytest.mark.parametrize(
    ("size", "frames", "told"),
    [
        ((100,), 13, None),
        ((100,), 14, r"has tokens of the grid \(13,\). Received: \(14,\)"),
        ((100,), 2**20, r"Received: \(1048576,\)"),
        ((104,), 12, r"Received: \(12,\)"),
        ((2**29 + 1,), 13, f"A signal has at most {2**29} values"),
        ((10, 10), 13, "A size of 1 numbers is needed"),
    ],
)
def test_a_sound_is_decoded_from_the_tokens_of_its_length_alone(size, frames, told):
    encoder = types.SimpleNamespace(input_shape=(None, None, 2))
    decode = lambda tokens, length: np.zeros((1, length, 2))  # noqa: E731
    parts = {"encoder": encoder, "stride": 8, "decode": decode}
    signals = Bound(AudioModality(), Tokenizer(sample_rate=8000, **parts))
    tokens = np.zeros((frames, 1), "int32")
    if told is None:
        assert signals.decode(tokens, size).shape == (*size, 2)
        return
    with pytest.raises(ValueError, match=told):
        signals.decode(tokens, size)


def test_a_file_of_another_size_than_a_preset_takes_is_told_for_the_command_line(tmp_path):
    save_image(tmp_path / "a.png", np.zeros((28, 27, 1)))
    images = Bound(ImageModality(), Tokenizer(encoder=types.SimpleNamespace(input_shape=(None, 28, 28, 1))))
    told = r"takes images of 28x28 pixels only. Received: .*a.png, 28x27. Resize the file, or take a preset of any size"
    with pytest.raises(ValueError, match=told):
        images.load(tmp_path / "a.png")
    save_image(tmp_path / "a.png", np.zeros((28, 28, 1)))
    assert images.load(tmp_path / "a.png").shape == (28, 28, 1)


@pytest.mark.parametrize(
    ("kind", "fixed", "size"),
    [
        *((ImageModality, (28, 28), size) for size in ((27, 28), (28, 27), (1, 1), (29, 28), (56, 56))),
        *((ImageModality, fixed, (28, 27)) for fixed in ((28, 28), (None, 28))),
        *((AudioModality, (800,), size) for size in ((799,), (1,), (1600,))),
    ],
)
def test_a_preset_of_one_size_says_so_of_a_damaged_size(kind, fixed, size):
    encoder = types.SimpleNamespace(input_shape=(None, *fixed, 1))
    signals = Bound(kind(), Tokenizer(encoder=encoder, stride=4, sample_rate=8000))
    told = f"only takes signals of the size {fixed}. Received: a size of {size}. The file is damaged: encode the"
    with pytest.raises(ValueError, match=re.escape(told)):
        signals.decode(np.zeros((7,) * len(fixed) + (1,), "int32"), size)
