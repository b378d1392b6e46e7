"""The verb `generate`, of priors of images, audio and text."""

import json

import keras
import numpy as np
import pytest

import vqzoo
from vqzoo.cli.main import main
from vqzoo.data import Pieces
from vqzoo.data import load_audio
from vqzoo.data import load_image
from vqzoo.data import save_audio
from vqzoo.data import save_image
from vqzoo.generation import Generator
from vqzoo.generation import LabelPart
from vqzoo.generation import SignalPart
from vqzoo.generation import TextPart
from vqzoo.networks import Transformer
from vqzoo.networks.audio import spectrogram_decoder
from vqzoo.networks.audio import spectrogram_encoder
from vqzoo.priors import TokenSpace

RATE = 8000


def prior_of(parts, target, grid=None, **options):
    keras.utils.set_random_seed(0)
    prior = vqzoo.AutoregressivePrior(TokenSpace(parts), Transformer(1, 2, causal=True), target, 8, grid, **options)
    prior.build_now()
    rng = np.random.default_rng(0)
    for weight in prior.weights:
        weight.assign(np.asarray(weight) + 0.4 * rng.normal(size=weight.shape))
    return prior


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A preset of a prior of text that follows another text."""
    pieces = Pieces.train(["the old house by the sea", "a cat and a dog"], 290, exact=False)
    prior = prior_of({"topic": pieces.size, "text": pieces.size}, "text", learnt_positions=13)
    generator = Generator(prior, TextPart("text", pieces), TextPart("topic", pieces, length=9))
    folder = tmp_path_factory.mktemp("text") / "texts"
    generator.save_to_preset(folder)
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    keras.utils.set_random_seed(0)
    quantizer = vqzoo.VectorQuantizer(8, keras.initializers.RandomNormal(stddev=0.3, seed=1))
    encoder, decoder = spectrogram_encoder(4, RATE, filters=16), spectrogram_decoder(4, filters=16)
    tokenizer = vqzoo.AudioTokenizer(encoder, quantizer, decoder, sample_rate=RATE)
    tokenizer.build((None, None, 1))
    folder = tmp_path_factory.mktemp("audio") / "clips"
    Generator(prior_of({"audio": 8}, "audio", grid=(5,)), tokenizer).save_to_preset(folder)
    return folder


@pytest.fixture(scope="module")
def styled(tiny_preset, tmp_path_factory):
    style = SignalPart.from_preset("style", tiny_preset, size=(16, 16))
    prior = prior_of({"label": 2, "style": 16, "image": 16}, "image", grid=(4, 4))
    target = SignalPart.from_preset("image", tiny_preset, size=(16, 16))
    folder = tmp_path_factory.mktemp("styled") / "styled"
    Generator(prior, target, [LabelPart("label", ["cat", "dog"]), style]).save_to_preset(folder)
    return folder


def printed(capsys, *words):
    assert main(["generate", *map(str, words)]) == 0
    return capsys.readouterr().out


def refused(capsys, *words):
    with pytest.raises(SystemExit):
        main(["generate", *map(str, words)])
    return capsys.readouterr().err


def test_texts_are_printed_or_written(texts, tmp_path, capsys):
    topics = ["a cat", "the sea"]
    expected = vqzoo.generate(texts, 2, topics, prompt="The old", seed=3)
    asked = [texts, "--condition", *topics, "--prompt", "The old", "--seed", 3]
    assert printed(capsys, *asked, "--to", "text") == "".join(f"{text}\n" for text in expected)
    assert expected[0].startswith("The old")
    entries = json.loads(printed(capsys, *asked, "--json"))["results"]
    assert [entry["text"] for entry in entries] == expected
    assert [(entry["condition"], entry["index"]) for entry in entries] == [("a cat", 0), ("the sea", 1)]
    out = tmp_path / "it.txt"
    assert printed(capsys, *asked, "--out", out) == f"generated 2 sentences: {out}\n"
    assert out.read_text() == "".join(f"{' '.join(text.splitlines())}\n" for text in expected)
    (tmp_path / "topic.txt").write_text("a cat\n")
    topic = f"topic={tmp_path / 'topic.txt'}"
    printed(capsys, texts, "--condition", topic, *asked[4:], "--out", tmp_path / "folder")
    with open(tmp_path / "folder" / "0000_a_cat.txt", newline="") as file:
        assert file.read() == f"{expected[0]}\n"
    assert "is there already" in refused(capsys, *asked, "--out", out)
    assert "This prior makes the part 'text', of topic, text. Received: to='x'" in refused(capsys, *asked, "--to", "x")
    assert "--grid FILE.png is one picture of all images" in refused(capsys, texts, "--grid", tmp_path / "it.png")


def test_texts_are_searched_for_and_cut(texts, tmp_path, capsys):
    asked = [texts, "--condition", "a cat", "--prompt", "The old"]
    search = ["--beams", 3, "--length_penalty", 1, "--no_repeat", 2]
    (expected,) = vqzoo.generate(texts, condition="a cat", prompt="The old", beams=3, length_penalty=1.0, no_repeat=2)
    assert printed(capsys, *asked, *search) == f"{expected}\n"
    assert len(expected) > len("The old") + 1
    cut = vqzoo.generate(texts, 2, "a cat", prompt="The old", stop=[expected[8], "e"])
    printed_cut = json.loads(printed(capsys, *asked, "--count", 2, "--stop", expected[8], "--stop", "e", "--json"))
    assert [entry["text"] for entry in printed_cut["results"]] == cut
    assert printed_cut.keys() == {"count", "seed", "grid", "results"}
    assert "`top_k` does not combine with `beams`" in refused(capsys, *asked, "--beams", 3, "--top_k", 5)
    assert "`stop` is a str of one character or more" in refused(capsys, *asked, "--stop", "")


def test_audio_is_written_and_continued(clips, tmp_path, capsys):
    assert "--out DIR is the folder for the clips" in refused(capsys, clips)
    assert "`stop` cuts texts. Received: stop=['a'] for 'audio'" in refused(
        capsys, clips, "--stop", "a", "--out", tmp_path / "cut"
    )
    line = printed(capsys, clips, "--count", 2, "--out", tmp_path / "made")
    made = vqzoo.generate(clips, 2)
    assert line.startswith("generated 2 clips") and len(list((tmp_path / "made").glob("*.wav"))) == 2
    again = load_audio(tmp_path / "made" / "0001.wav", RATE)
    np.testing.assert_allclose(again, made[1], atol=1e-4)
    save_audio(tmp_path / "beginning.wav", made[0][: len(made[0]) * 2 // 5], RATE)
    printed(capsys, clips, "--prompt", tmp_path / "beginning.wav", "--out", tmp_path / "more")
    expected = vqzoo.generate(clips, prompt=tmp_path / "beginning.wav")
    np.testing.assert_allclose(load_audio(tmp_path / "more" / "0000.wav", RATE), expected[0], atol=1e-4)
    assert 'vqzoo.data.save_audio("clip.wav", clips[0], 8000)' in (clips / "README.md").read_text()


def test_images_of_several_conditions(styled, tmp_path, capsys):
    save_image(tmp_path / "style.png", np.random.default_rng(0).uniform(-1, 1, (20, 24, 3)))
    style = f"style={tmp_path / 'style.png'}"
    asked = [styled, "--condition", "label=dog", "label=cat", "--condition", style, "--out", tmp_path / "made"]
    entries = json.loads(printed(capsys, *asked, "--json"))["results"]
    assert [entry["condition"] for entry in entries] == ["dog", "cat"]
    expected = vqzoo.generate(styled, 2, {"label": ["dog", "cat"], "style": tmp_path / "style.png"})
    np.testing.assert_allclose(load_image(tmp_path / "made" / "0001_cat.png"), expected[1], atol=1 / 127)
    assert "names the part of each value. Received: 'cat'" in refused(
        capsys, *asked[:3], "cat", "--out", tmp_path / "x"
    )
    assert "Received: a condition without the name" in refused(capsys, styled, "--condition", "cat", "--out", tmp_path)
    assert "--out DIR is the folder for the images" in refused(capsys, styled)


def test_labels_have_no_files(tmp_path, capsys):
    generator = Generator(prior_of({"label": 2}, "label", grid=(1,)), LabelPart("label", ["a", "b"]))
    generator.save_to_preset(tmp_path / "it")
    assert "makes signals. Received: a prior of 'label'" in refused(capsys, tmp_path / "it")
