"""Priors of text: lines, and pairs of which the second is generated from the first."""

import dataclasses
import json

import keras
import numpy as np
import pytest

import vqzoo
from vqzoo.cli.main import main
from vqzoo.networks import Transformer
from vqzoo.runs import PriorRun
from vqzoo.runs import RunSettings
from vqzoo.runs import TextPriorData

WORDS = {"red": "rojo", "blue": "azul", "cat": "gato", "dog": "perro", "big": "grande", "old": "viejo"}


@dataclasses.dataclass(frozen=True)
class Config(RunSettings):
    source: str = ""
    target: str = ""
    pieces: int = 300
    length: int = 12
    batch_size: int = 8
    epochs: int = 1
    steps_per_epoch: int = 4
    validation_examples: int = 10
    average_decay: float = 0.5


def build(context):
    asked = len(context.space.names) > 1
    transformer = Transformer(1, 2, causal=True, cross_attention=asked)
    dropout = 0.2 if asked else 0.0
    prior = vqzoo.AutoregressivePrior(
        context.space, transformer, context.target, 16, context.grid, condition_dropout=dropout, seed=0
    )
    trainer = vqzoo.PriorTrainer(prior, average_decay=context.settings.average_decay)
    trainer.build((None, context.length, 1))
    trainer.compile(keras.optimizers.Adam(1e-2))
    return trainer


@pytest.fixture
def lines():
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(list(WORDS), 3)) for _ in range(60)]


def test_lines_are_learnt_and_generated(lines, tmp_path, capsys):
    (tmp_path / "lines.txt").write_text("\n".join([*lines, "a b " * 40]))
    config = Config(data=str(tmp_path / "lines.txt"), out=str(tmp_path / "out"))
    run = PriorRun(config, "test", TextPriorData(config), {"top_p": 0.9}).prepare()
    assert not run.data.conditions and run.data.grid is None
    assert not set(run.split.train) & set(run.split.validation)
    assert run.data_line().endswith("held out; 1 text longer than 12 pieces left out") and not run.skipped
    report = run.finish(run.fit(build))
    assert 0.0 < report["bits_per_token"] < 9.0
    assert len((tmp_path / "out" / "samples.md").read_text().splitlines()) == 20
    texts = vqzoo.generate(tmp_path / "out", 3, seed=1)
    assert len(texts) == 3 and all(isinstance(text, str) for text in texts)
    assert texts == vqzoo.generate(tmp_path / "out", 3, seed=1)
    begun = vqzoo.generate(tmp_path / "out", 2, prompt="red cat", seed=2)
    assert all(text.startswith("red cat") for text in begun)
    # It has no tokenizer, and its export is verified all the same.
    capsys.readouterr()
    assert main(["verify", str(tmp_path / "out")]) == 0
    assert "files are whole\ngenerator: " in capsys.readouterr().out


@pytest.mark.parametrize("ending", [".tsv", ".csv", ".jsonl"])
def test_pairs_are_learnt_by_cross_attention(ending, lines, tmp_path):
    pairs = [(line, " ".join(WORDS[word] for word in line.split())) for line in lines]
    path = tmp_path / f"pairs{ending}"
    if ending == ".jsonl":
        path.write_text("\n".join(json.dumps({"en": a, "es": b}) for a, b in pairs))
    else:
        mark = "\t" if ending == ".tsv" else ","
        path.write_text("\n".join([f"en{mark}es", *(f"{a}{mark}{b}" for a, b in pairs), f"{mark}nada"]))
    config = Config(data=str(path), out=str(tmp_path / "out"))
    run = PriorRun(config, "test", TextPriorData(config)).prepare()
    assert [part.name for part in run.data.conditions] == ["source"]
    tokens, condition = run.batches.batch(0)
    assert set(condition) == {"context"} and tokens.shape[1] <= 12
    sources = {source for source, _ in run.split.train}
    assert not sources & {source for source, _ in run.split.validation}
    assert len(run.skipped) == (0 if ending == ".jsonl" else 1)
    if ending != ".tsv":
        return
    report = run.finish(run.fit(build))
    assert report["bits_per_token_unconditional"] > 0.0
    assert "| asked | generated | in the data |" in (tmp_path / "out" / "samples.md").read_text()
    texts = vqzoo.generate(tmp_path / "out", condition=["red cat", "old dog"], seed=1)
    assert len(texts) == 2 and texts == vqzoo.generate(
        tmp_path / "out", condition={"source": ["red cat", "old dog"]}, seed=1
    )


def test_another_column_order_can_be_asked_for(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("id\tes\ten\n1\tgato\tcat\n")
    assert vqzoo.data.read_pairs(path, "en", "es").rows == [("cat", "gato")]
    with pytest.raises(ValueError, match="has the columns id, es, en. Received: 'fr'"):
        vqzoo.data.read_pairs(path, "fr")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", b"", "A table of pairs ends in .tsv, .csv, .jsonl"),
        ("a.tsv", b"en\tes\n", "has no line with two texts"),
        ("a.tsv", b"en\nred\n", "A table of pairs has two columns or more"),
        ("a.tsv", b"\xff\xfe\x00", "is not text in UTF-8"),
        ("a.jsonl", b"{", "Line 1 of .* is not JSON"),
        ("a.jsonl", b"[1]", "Line 1 of .* is not an object"),
    ],
)
def test_what_is_not_a_table_of_pairs(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        vqzoo.data.read_pairs(tmp_path / name)


def test_pairs_of_one_source_cannot_be_split(tmp_path):
    (tmp_path / "pairs.tsv").write_text("en\tes\n" + "cat\tgato\n" * 9)
    config = Config(data=str(tmp_path / "pairs.tsv"), out=str(tmp_path / "out"))
    with pytest.raises(ValueError, match="are connected by equal sources or targets, so that none can be held out"):
        PriorRun(config, "test", TextPriorData(config)).prepare()


def test_a_run_that_could_not_be_prepared_is_prepared_anew(lines, tmp_path):
    config = Config(data=str(tmp_path / "lines.txt"), out=str(tmp_path / "out"))
    run = PriorRun(config, "test", TextPriorData(config))
    with pytest.raises(ValueError):
        run.prepare()
    (tmp_path / "lines.txt").write_text("\n".join(lines))
    assert len(run.prepare().data.train.tokens) > 0
