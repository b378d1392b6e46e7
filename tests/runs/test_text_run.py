import dataclasses

import numpy as np
import pytest

import vqzoo
from vqzoo.export import EXPORT_FORMS
from vqzoo.runs import TokenizerRun

WORDS = "the a cat dog bird sat ran sang on under by mat tree house and or then".split()


@dataclasses.dataclass
class Config:
    out: str
    data: str = ""
    validation_data: str = ""
    validation_share: float = 0.3
    init: str = ""
    pieces: int = 300
    length: int = 18
    stride: int = 4
    batch_size: int = 2
    epochs: int = 1
    steps_per_epoch: int = 1
    validation_sentences: int = 8
    precision: str = "float32"
    strategy: str = "none"
    deterministic: bool = False
    seed: int = 0
    resume: bool = False
    checkpoint_minutes: float = 10.0
    exports: str = "all"
    tensorboard: bool = False
    forms = EXPORT_FORMS


def run_of(config):
    return TokenizerRun(config, "text", "test").prepare()


@pytest.fixture
def sentences(tmp_path):
    random = np.random.default_rng(0)
    lines = [" ".join(random.choice(WORDS, 6)) for _ in range(40)]
    (tmp_path / "sentences.txt").write_text("\n".join(lines))
    return tmp_path / "sentences.txt"


def test_sentences_are_split_and_the_pieces_are_of_those_that_train(sentences, tmp_path):
    run = run_of(Config(str(tmp_path / "out"), str(sentences)))
    assert set(run.split.train).isdisjoint(run.split.validation) and len(run.split.validation) == 8
    assert set(run.split.train) | set(run.split.validation) <= set(sentences.read_text().splitlines())
    assert run.split.context["pieces"] == vqzoo.data.Pieces.train(run.split.train, 300, exact=False)
    assert run.samples.shape == (8, 20) and run.samples.dtype == "int32"  # whole chunks
    assert sorted(run.split.context["pieces"].decode(list(run.samples))) == sorted(run.split.validation)
    assert run.about()["signal"] == {"ids": [0, run.split.context["pieces"].size - 1], "length": 20}


def test_a_preset_that_is_gone_on_with_brings_its_pieces_and_its_stride(sentences, tmp_path):
    pieces = vqzoo.data.Pieces.train(["something else " * 3], 290, exact=False)
    tokenizer = vqzoo.text_vqvae(pieces, stride=2, filters=8, blocks=1, quantizer=vqzoo.EMAVectorQuantizer(8))
    tokenizer.save_to_preset(tmp_path / "preset")
    run = run_of(Config(str(tmp_path / "out"), str(sentences), init=str(tmp_path / "preset"), length=17))
    assert run.split.context["pieces"] == pieces and run.batches.length == 18


def test_a_file_that_cannot_be_read_is_named_and_other_endings_are_counted(sentences, tmp_path, capsys):
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "utf16.txt").write_bytes("The cat sat.\n".encode("utf-16"))
    (folder / "notes.md").touch()
    (folder / "more.txt").write_text(sentences.read_text())
    run = run_of(Config(str(tmp_path / "out"), str(folder), validation_data=str(sentences)))
    assert len(run.split.train) == 40
    run._print_skipped()
    told = capsys.readouterr().out
    assert "ignored in the folders of the data: 1 .md" in told and "skipped 1 text file that could not be read:" in told
    assert "utf16.txt cannot be read" in told


def test_other_sentences_are_another_run(sentences, tmp_path):
    run = run_of(Config(str(tmp_path / "out"), str(sentences)))
    digest = run.run_folder._settings["files"]
    sentences.write_text(sentences.read_text() + "\na bird and a cat sat by the tree")
    other = run_of(Config(str(tmp_path / "other"), str(sentences)))
    assert other.run_folder._settings["files"] != digest


def test_sentences_that_an_autoregressive_decoder_cannot_make_are_refused_before_training(sentences, tmp_path):
    run = run_of(Config(str(tmp_path / "out"), str(sentences)))

    def build(context):
        pieces = context.pieces
        size = {"filters": 8, "depth": 1, "max_length": 4}
        decoder = vqzoo.networks.text.AutoregressiveTextDecoder(pieces.size, end=pieces.end, **size)
        small = {"filters": 8, "blocks": 1, "quantizer": vqzoo.EMAVectorQuantizer(8)}
        tokenizer = vqzoo.text_vqvae(pieces, decoder=decoder, **small)
        losses = {"it": vqzoo.losses.PieceCrossEntropy(pieces.end)}
        return vqzoo.ReconstructionTrainer(tokenizer, losses, {"it": 1.0, "commitment": 1.0})

    longest = max(map(len, run.split.context["pieces"].encode(run.split.validation)))
    with pytest.raises(ValueError, match=f"has {longest} pieces, and .* makes 4: .*Give --length {longest}, or"):
        run.fit(build)
    assert not list((tmp_path / "out").rglob("*.npz"))


def test_the_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="no/such/file"):
        run_of(Config(str(tmp_path / "out"), "no/such/file.txt"))
