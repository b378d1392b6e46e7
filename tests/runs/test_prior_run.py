import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest
import sentencepiece
import tensorflow as tf

import vqzoo
from vqzoo.cli.main import main
from vqzoo.data import TfdsImages
from vqzoo.data import TokenRow
from vqzoo.data import save_image
from vqzoo.generation import Generator
from vqzoo.networks import Transformer
from vqzoo.runs import ImagePriorData
from vqzoo.runs import PriorRun
from vqzoo.runs.priors.data import class_of
from vqzoo.runs.priors.image_tokens import image_rows_of
from vqzoo.runs.priors.image_tokens import nearest
from vqzoo.runs.priors.image_tokens import others_of
from vqzoo.runs.priors.image_tokens import shard_rows_of
from vqzoo.runs.priors.image_tokens import small_copies


@dataclasses.dataclass(frozen=True)
class Config:
    out: str
    tokenizer: str
    data: str = ""
    validation_data: str = ""
    validation_share: float = 0.3
    tokens: str = ""
    classes: bool = True
    size: int = 0
    examples: int = 24
    min_scale: float = 1.0
    max_scale: float = 1.0
    max_side: int = 64
    flip: bool = False
    batch_size: int = 4
    epochs: int = 2
    steps_per_epoch: int = 3
    validation_examples: int = 4
    precision: str = "float32"
    strategy: str = "none"
    deterministic: bool = False
    seed: int = 0
    resume: bool = False
    checkpoint_minutes: float = 10.0
    captions: str = ""
    caption_column: str = ""
    caption_length: int = 32
    pieces: int = 300
    styles: bool = False
    tensorboard: bool = False


def run_of(config, sampling=None, start=None):
    return PriorRun(config, "test", ImagePriorData(config), sampling, start).prepare()


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    keras.utils.set_random_seed(0)
    quantizer = vqzoo.VectorQuantizer(8, keras.initializers.RandomNormal(stddev=0.3, seed=1))
    tokenizer = vqzoo.image_vqvae(filters=4, blocks=1, latent_dim=4, quantizer=quantizer)
    folder = tmp_path_factory.mktemp("presets") / "tiny"
    tokenizer.save_to_preset(folder, metadata={"example": {"signal": [8, 12, 3], "tokens": [2, 3, 1]}})
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Dark cats, bright dogs."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for i in range(16):
        name, low = ("cat", -1.0) if i % 2 else ("dog", 0.5)
        save_image(folder / name / f"{i}.png", rng.uniform(low, low + 0.5, (10, 14, 3)))
    return folder


def build(context):
    space, grid = context.space, context.grid
    labels = len(space.names) > 1
    prior = vqzoo.AutoregressivePrior(
        space, Transformer(1, 2, causal=True), "image", 8, grid, condition_dropout=0.2 if labels else 0.0, seed=0
    )
    trainer = vqzoo.PriorTrainer(prior, average_decay=0.5)
    trainer.build((None, *grid, 1))
    trainer.compile(keras.optimizers.Adam(1e-2))
    return trainer


@pytest.fixture(scope="module")
def finished(tokenizer, pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "prior-tiny"
    run = run_of(Config(str(out), str(tokenizer), str(pictures)), {"guidance": 1.5, "top_k": None})
    return run, run.finish(run.fit(build)), out


def test_the_tokens_are_those_of_each_class(finished, tokenizer, pictures):
    run, report, _ = finished
    assert run.data.conditions[0].known == ("cat", "dog") and run.data.grid == (2, 3) and run.data.size == (8, 12)
    # As many crops of each picture, 24 at least; brightness tells the class.
    assert len(run.data.train.tokens) % len(run.split.train) == 0 and 24 <= len(run.data.train.tokens) < 24 + len(
        run.split.train
    )
    bright = run.data.train.small.mean(axis=1) > 127
    np.testing.assert_array_equal(bright, [name == "dog" for name in run.data.train.asked])
    labels = run.batches.prefix[:, 0] - run.space.first("label")
    np.testing.assert_array_equal(labels, bright)
    assert run.space.owners["image"] == vqzoo.presets.describe_tokens(tokenizer)["sha256"]
    assert 0.0 < report["bits_per_token"] < 6.0 and report["bits_per_token_by_chance"] == 3.0
    assert report["nearest_in_training"] > 0.0


def test_the_preset_makes_pictures_wherever_it_is(finished, tmp_path, capsys):
    run, report, out = finished
    moved = out.rename(tmp_path / "prior-moved")
    try:
        files = vqzoo.presets.verify_preset(moved)["files"]
        assert {"prior.keras", "tokenizer.keras", "samples.png", "neighbours.png", "generator/saved_model.pb"} <= set(
            files
        )
        assert {"pictures/epoch_0002.png", "curves.png", "metrics.csv"} <= {
            str(path.relative_to(moved / "run")) for path in (moved / "run").rglob("*")
        }
        made = vqzoo.generate(moved, 3, "dog", seed=4)
        assert made.shape == (3, 8, 12, 3)
        exported = tf.saved_model.load(str(moved / "generator")).signatures["generate"]
        signal = exported(label=tf.constant([1, 1, 1]), seed=tf.constant(4))["signal"]  # as the guide has it
        np.testing.assert_allclose(np.clip(signal, -1, 1), made, atol=1e-5)
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"`label` must be in \[0, 2\), or -1 for none"):
            exported(label=tf.constant([1, 2, 1]), seed=tf.constant(4))
        with pytest.raises(SystemExit):
            main(["generate", str(moved), "--count", "3"])
        assert "--out DIR is the folder for the images" in capsys.readouterr().err
        grid = str(tmp_path / "grid.png")
        command = ["generate", str(moved), "--count", "3", "--condition", "dog", "--seed", "4", "--grid", grid]
        assert main([*command, "--out", str(tmp_path / "made"), "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)["results"]
        assert [row["condition"] for row in rows] == ["dog"] * 3
        assert sorted(path.name for path in (tmp_path / "made").iterdir()) == [f"000{i}_dog.png" for i in range(3)]
        np.testing.assert_allclose(vqzoo.data.load_image(tmp_path / "made" / "0001_dog.png"), made[1], atol=1 / 127)
        with pytest.raises(SystemExit):
            main([*command, "--out", str(tmp_path / "made")])
        assert "is there already" in capsys.readouterr().err
        # Its tokenizer is the one that it was trained with, also for token files.
        told = vqzoo.presets.describe_tokens(moved)
        assert told["sha256"] == run.space.owners["image"] and told["codebook_sizes"] == (8,)
        metadata = vqzoo.presets.read_metadata(moved)
        assert metadata["parts"]["label"]["names"] == ["cat", "dog"] and metadata["sampling"] == {"guidance": 1.5}
        assert metadata["metrics"] == report
    finally:
        moved.rename(out)


@pytest.fixture
def table(pictures, tmp_path):
    """What each picture shows, but of two; one file is lost, and one damaged."""
    folder = tmp_path / "pictures"
    shutil.copytree(pictures, folder)
    (folder / "cat" / "bad.png").write_bytes(b"no picture")
    names = sorted(str(file.relative_to(folder)) for file in folder.glob("*/*.png"))[1:-1]
    lines = [f"{name}\t{'a dark cat' if 'cat' in name else 'a bright and glowing dog'}" for name in names]
    (folder / "captions.tsv").write_text("\n".join(["file\tname", *lines, "lost.png\ta ghost"]))
    return folder / "captions.tsv"


def test_captions_are_learnt_and_any_text_is_taken(tokenizer, table, tmp_path, capsys):
    out = tmp_path / "prior"
    config = Config(str(out), str(tokenizer), captions=str(table), caption_length=7, epochs=1)
    run = run_of(config, {"guidance": 1.5})
    rows, captions = run.data.train, run.data.conditions[0]
    bright = rows.small.mean(axis=1) > 127
    assert set(rows.asked) == {"a dark cat", "a bright and glowing dog"}
    np.testing.assert_array_equal(bright, ["dog" in text for text in rows.asked])
    np.testing.assert_array_equal(run.batches.prefix, run.space.prefix(text=captions.tokens(rows.asked)))
    assert captions.length == 7 and "have a longer one, which is cut" in capsys.readouterr().out.replace("\n", "")
    assert all(captions.count(text) <= 7 for text in captions.known)
    assert run.space.owners["text"] == captions.sha256
    report = run.finish(run.fit(build))
    told = "".join(capsys.readouterr().out.split())
    assert "lost.png" in told and "bad.png" in told and "couldnotberead" in told
    assert 0.0 < report["bits_per_token_unconditional"] < 6.0
    files = vqzoo.presets.verify_preset(out)["files"]
    assert {"pieces.model", "generator/saved_model.pb", "samples.png"} <= set(files)
    assert main(["generate", str(out), "--condition", "dog", "--out", str(tmp_path / "made")]) == 0
    picture = vqzoo.data.load_image(tmp_path / "made" / "0000_dog.png")
    np.testing.assert_allclose(picture, vqzoo.generate(out, condition="Dog")[0], atol=1 / 127)
    # The lines of the guide.
    exported = tf.saved_model.load(str(out / "generator")).signatures["generate"]
    ids = [*sentencepiece.SentencePieceProcessor(model_file=str(out / "pieces.model")).encode("dog"), 0]
    length = exported.structured_input_signature[1]["text"].shape[1]
    signal = exported(text=tf.constant([ids + [-1] * (length - len(ids))] * 2), seed=tf.constant(0))["signal"]
    np.testing.assert_allclose(np.clip(signal, -1, 1), vqzoo.generate(out, 2, "dog"), atol=1e-5)
    # With another table it is another training.
    assert any("a dark cat" in str(name) for name in run.data_names)


def test_shards_take_captions_too(tokenizer, pictures, table, tmp_path):
    assert main(["encode", str(tokenizer), str(pictures / "dog"), "--shards", "--out", str(tmp_path / "shards")]) == 0
    (tmp_path / "it.tsv").write_text("file\tname\n0.png\tred\n2.png\tblue\n4.png\tgreen\n")
    config = Config(str(tmp_path / "out"), str(tokenizer), tokens=str(tmp_path / "shards"))
    run = run_of(dataclasses.replace(config, captions=str(tmp_path / "it.tsv")))
    assert sorted([*run.data.train.asked, *run.data.held_out.asked]) == ["blue", "green", "red"]
    with pytest.raises(ValueError, match="No row of the token shards, such as '0.png', is named in the table"):
        run_of(dataclasses.replace(config, captions=str(table)))


def test_shards_are_learnt_from_without_pictures(tokenizer, pictures, tmp_path):
    assert main(["encode", str(tokenizer), str(pictures), "--shards", "--out", str(tmp_path / "shards")]) == 0
    config = Config(str(tmp_path / "out"), str(tokenizer), tokens=str(tmp_path / "shards"), validation_examples=50)
    run = run_of(config)
    assert run.data.conditions[0].known == ("cat", "dog") and run.data.grid == (3, 4)
    assert len(run.data.train.tokens) + len(run.data.held_out.tokens) == 16
    assert run.validation_count() == len(run.data.held_out.tokens) < 16
    # The size is the pictures', not that of the tokenizer's example.
    assert run.data.size == (10, 14) and run.about()["example"] == {"signal": [10, 14, 3], "tokens": [3, 4, 1]}
    generator = run._generator(build(run.context).fitted)
    run.data._generated = lambda generator: run.data.train.tokens[:3]
    assert run.data.judge(generator)["nearest_in_training"] == 0.0
    # Each row has the class of its picture.
    own = vqzoo.Tokenizer.from_preset(tokenizer)
    for row, name in zip(run.data.train.tokens, run.data.train.names, strict=True):
        np.testing.assert_array_equal(row, own.encode(vqzoo.data.load_image(pictures / name)[None])[0])
    assert run.data.train.asked == [name.split("/")[0] for name in run.data.train.names]
    # What is held out is what is held out of the pictures, so that these may judge repairs.
    held_out = [path.name for path in vqzoo.data.split_images(sorted(pictures.glob("*/*.png")), 0.3)[1]]
    assert sorted(name.split("/")[1] for name in run.data.held_out.names) == sorted(held_out)
    # Another tokenizer, or other tokens of pictures of the same names, are another training.
    assert {name.split()[0] for name in run.data_names[16:]} == {"tokenizer", "tokens"}
    with pytest.raises(ValueError, match="have 10x14 pixels. Received: --size 8. Leave it out"):
        run_of(dataclasses.replace(config, out=str(tmp_path / "b"), size=8))


class Rows(list):
    """In place of token shards."""

    shapes = {(2, 3, 1): 2}


def test_shards_of_several_sizes_or_of_one_row_are_refused():
    rows = [TokenRow(np.zeros((2, 3, 1), "int32"), size, f"{size}.png") for size in ((8, 12), (7, 12))]
    with pytest.raises(ValueError, match=r"have one size.*The shards have images of \(7, 12\) and \(8, 12\) pixels"):
        shard_rows_of(Rows(rows), None, None)
    with pytest.raises(ValueError, match=r"2 or more. Received: 1, '\(8, 12\).png'. Encode more"):
        shard_rows_of(Rows(rows[:1]), None, None)


class Tfds(TfdsImages):
    """A data set with a configuration, in memory."""

    def __init__(self):
        self.text, self.feature = "tfds:flowers/small/train", "image"
        self._rows = [{"image": np.full((8, 12, 3), i, "uint8")} for i in range(4)]


class Zeros:
    """In place of a tokenizer."""

    def encode(self, batch):
        return np.zeros((len(batch), 2, 3, 1), "int32")


def test_the_configuration_of_a_public_data_set_is_no_class():
    crop = {"size": (8, 12), "channels": 3, "scale": (1.0, 1.0), "max_side": 64, "seed": 0, "flip": False}
    for source in (Tfds(), Tfds().subset([1, 3])):
        rows = image_rows_of(source, source.name(0).split(" ")[0], Zeros(), crop, 4)
        assert rows.asked == [""] * 4 and rows.size == (8, 12)


@pytest.fixture
def half():
    yield
    keras.config.set_dtype_policy("float32")


def test_what_is_saved_is_what_is_evaluated_by_the_chief_alone(tokenizer, pictures, tmp_path, monkeypatch, half):
    config = Config(str(tmp_path / "out"), str(tokenizer), str(pictures), precision="mixed_bfloat16")
    run = run_of(config, {"top_p": 0.0})
    with monkeypatch.context() as patched, pytest.raises(ValueError, match="`top_p` is a number above 0 and at most 1"):
        patched.setattr(vqzoo.PriorTrainer, "fit", lambda *a, **k: pytest.fail("hours pass"))
        run.fit(build)
    run.sampling = {}
    trainer = build(run.context)
    monkeypatch.setattr(trainer, "evaluate", lambda *a, **k: pytest.fail("waits for workers that have ended"))
    seen = []
    evaluate = run.evaluate
    monkeypatch.setattr(run, "evaluate", lambda prior: seen.append(prior) or evaluate(prior))

    def fails(generator):
        raise MemoryError("too many neighbours")

    monkeypatch.setattr(run.data, "judge", fails)
    with pytest.raises(MemoryError):
        run.finish(trainer)
    vqzoo.presets.verify_preset(tmp_path / "out")  # the prior is there all the same
    told = vqzoo.presets.read_metadata(tmp_path / "out")["metrics"]
    assert seen[0].dtype_policy.name == "float32" and trainer.prior.dtype_policy.name == "mixed_bfloat16"
    tokens, condition = run.validation_batches.batch(0)
    nats = np.asarray(vqzoo.priors.Prior.from_preset(tmp_path / "out").cross_entropy(tokens, **condition).nats)
    assert told["bits_per_token"] == pytest.approx(nats.mean() / np.log(2), rel=1e-4)
    assert told["perplexity"] == pytest.approx(np.exp(nats.mean()), rel=1e-4) and told["images"] == 4


@pytest.mark.slow
def test_a_run_goes_on_from_a_preset_of_the_same_tokens_and_conditions(finished, tokenizer, pictures, table, tmp_path):
    start = Generator.from_preset(finished[2])
    config = Config(str(tmp_path / "on"), str(tokenizer), str(pictures))
    assert run_of(config, start=start).space == start.prior.space
    (tmp_path / "mine").mkdir()
    shutil.copytree(pictures / "cat", tmp_path / "mine" / "tiger")
    with pytest.raises(
        ValueError, match=r"--init is a prior of tokens \(2, 3\).*'dog'.*Received.*'tiger'.*--tokenizer"
    ):
        run_of(dataclasses.replace(config, data=str(tmp_path / "mine")), start=start)
    config = Config(str(tmp_path / "texts"), str(tokenizer), captions=str(table), caption_length=7, epochs=1)
    with pytest.raises(ValueError, match=r"--init is a prior .*'dog'.*Received.*labels \[\]"):
        run_of(config, start=start)
    first = run_of(config)
    first.finish(first.fit(build))
    (tmp_path / "other.tsv").write_text(table.read_text().replace("bright", "sunny"))
    others = dataclasses.replace(config, out=str(tmp_path / "others"), captions=str(tmp_path / "other.tsv"))
    others = dataclasses.replace(others, data=str(table.parent), pieces=290, caption_length=5)
    again = run_of(others, start=Generator.from_preset(tmp_path / "texts"))
    assert again.space == first.space and again.data.conditions[0].length == 7


def test_without_folders_or_on_request_there_are_no_classes(tokenizer, pictures, tmp_path):
    flat = run_of(Config(str(tmp_path / "a"), str(tokenizer), str(pictures / "cat")))
    assert not flat.data.conditions and "label" not in flat.space.sizes
    assert flat.batches.batch(0).shape == (4, 2, 3, 1)
    plain = run_of(Config(str(tmp_path / "b"), str(tokenizer), str(pictures), classes=False))
    assert not plain.data.conditions
    report = plain.finish(plain.fit(build))
    assert report["images"] == 4
    assert vqzoo.generate(tmp_path / "b", 2).shape == (2, 8, 12, 3)


def test_styles_are_other_crops_of_the_same_picture(tokenizer, pictures, tmp_path, monkeypatch):
    config = Config(str(tmp_path / "out"), str(tokenizer), str(pictures), styles=True, examples=48)
    run = run_of(config)
    others = others_of(run.data.train.names)
    assert run.space.names == ("style", "image") and [part.name for part in run.data.conditions] == ["style"]
    assert (others != np.arange(len(others))).all()
    assert [run.data.train.names[i] for i in others] == run.data.train.names
    expected = run.space.prefix(style=run.data.train.tokens[others])
    np.testing.assert_array_equal(run.batches.prefix, expected)
    generator = run._generator(build(run.context).fitted)
    monkeypatch.setattr(
        generator.prior, "generate", lambda prefix, seed: np.asarray(prefix)[:, :6].reshape(-1, 2, 3, 1) - 5
    )
    drawn, columns, _ = run.data.drawn(generator)  # made here: the style itself
    rows = drawn.reshape(-1, columns, 8, 12, 3)
    np.testing.assert_allclose(rows, rows[:, :1].repeat(columns, axis=1), atol=1e-5)
    with pytest.raises(ValueError, match="--styles takes crops of images, and no conditions"):
        run_of(dataclasses.replace(config, captions="it.tsv"))


def test_what_does_not_fit_is_told(tokenizer, pictures, tmp_path):
    with pytest.raises(ValueError, match="holds the preset of a tokenizer, which a prior would destroy. Give another"):
        run_of(Config(str(tokenizer), str(tokenizer), str(pictures)))
    shutil.copytree(tokenizer, tmp_path / "prior")
    (tmp_path / "prior" / "prior.keras").touch()
    with pytest.raises(ValueError, match="--out is the tokenizer's own folder"):
        run_of(Config(str(tmp_path / "prior" / ".." / "prior"), str(tmp_path / "prior"), str(pictures)))
    with pytest.raises(ValueError, match="--examples is 1 or more. Received: 0"):
        run_of(Config(str(tmp_path / "out"), str(tokenizer), examples=0))
    with pytest.raises(ValueError, match=r"takes images of \(28, 28\) pixels.*Received: --size 32"):
        run_of(Config(str(tmp_path / "out"), "image-vqvae-fashion-28", str(pictures), size=32))
    assert main(["encode", str(tokenizer), str(pictures), "--shards", "--out", str(tmp_path / "shards")]) == 0
    config = Config(str(tmp_path / "out"), "image-vqgan-photos-f4", tokens=str(tmp_path / "shards"))
    with pytest.raises(ValueError, match="was encoded by another model"):
        run_of(config)


def test_classes_are_the_first_folders():
    assert class_of("/a/cats/deep/1.png", "/a") == "cats"
    assert class_of("/a/1.png", "/a") == "" and class_of("1.png", "1.png") == ""
    assert class_of("cats/1.png", None) == "cats" and class_of("1.png", None) == ""


def test_nearest_finds_a_copy():
    rng = np.random.default_rng(0)
    pictures = rng.uniform(-1, 1, (6000, 32, 32, 1)).astype("float32")
    small = small_copies(pictures)
    assert small.shape == (6000, 256)
    wanted = [5, 5999]
    rows, distances = nearest(small, small_copies(pictures[wanted] + 0.1))
    assert rows.tolist() == wanted
    np.testing.assert_allclose(distances, 0.1, atol=0.01)
