"""Every verb that takes files, for every modality: good ones come out, bad ones are named and end nothing."""

import io
import json
import os
import pathlib
import shutil
import sys
import tempfile
import types

import keras
import numpy as np
import pytest
import soundfile
from PIL import Image

import vqzoo
from vqzoo.cli.main import main
from vqzoo.data import Pieces
from vqzoo.data import TokenShards
from vqzoo.modalities import ImageModality
from vqzoo.modalities import modality_named

SUFFIX = {"image": ".png", "audio": ".wav", "text": ".txt"}
VERBS = ("encode", "shards", "reconstruct", "decode", "evaluate")


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    """A tiny preset of each modality."""
    root = tmp_path_factory.mktemp("presets")
    keras.utils.set_random_seed(0)

    def quantizer():
        return vqzoo.VectorQuantizer(16, keras.initializers.RandomNormal(stddev=0.3, seed=1), name="quantizer")

    pieces = Pieces.train(["the cat sat on the mat", "a dog and a cat"], 300, exact=False)
    for tokenizer in (
        vqzoo.image_vqvae(filters=8, blocks=1, latent_dim=4, quantizer=quantizer()),
        vqzoo.spectrogram_vqvae(sample_rate=8000, filters=8, blocks=1, latent_dim=4, quantizer=quantizer()),
        vqzoo.text_vqvae(pieces, stride=2, filters=8, blocks=1, latent_dim=4, quantizer=quantizer()),
    ):
        tokenizer.save_to_preset(root / tokenizer.modality)
    return root


def write_signal(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(len(path.name))
    if path.suffix == ".png":
        Image.fromarray(random.integers(0, 256, (64, 64, 3), "uint8")).save(path)
    elif path.suffix == ".wav":
        soundfile.write(path, random.uniform(-0.5, 0.5, 4000), 8000)
    else:
        path.write_text("the cat sat on the mat\n\na dog\n", encoding="utf-8")


def command(verb, presets, modality, paths, out):
    """The command's words; of `decode` the paths are token files."""
    preset = str(presets / modality)
    words = {"decode": ["decode"], "shards": ["encode", preset, "--shards", "2"]}.get(verb, [verb, preset])
    if verb == "evaluate":
        return [*words, *map(str, paths), "--json", *(["--size", "4000"] if modality == "audio" else [])]
    return [*words, *map(str, paths), "--out", str(out)]


def sources(verb, presets, modality, folder, names):
    """Files that the verb takes: signals, or of `decode` their tokens."""
    signals = folder.parent / "signals" if verb == "decode" else folder
    for name in names:
        write_signal(signals / f"{name}{SUFFIX[modality]}")
    if verb == "decode":
        assert main(["encode", str(presets / modality), str(signals), "--out", str(folder)]) == 0


def results(out):
    return sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file() and p.name != ".vqzoo.lock")


def made(verb, modality, names):
    if verb == "shards":
        count = -(-len(names) // 2)
        shards = [f"tokens-{i:05d}-of-{count:05d}" for i in range(count)]
        return sorted(
            ["manifest.json", "plan.json", *(f"{s}{e}" for s in shards for e in (".tfrecord", ".index.json"))]
        )
    return sorted(f"{name}{'.npz' if verb == 'encode' else SUFFIX[modality]}" for name in names)


@pytest.mark.parametrize("modality", SUFFIX)
@pytest.mark.parametrize("verb", VERBS)
def test_good_files_come_out(verb, modality, presets, tmp_path, capsys):
    folder, out = tmp_path / "in", tmp_path / "out"
    sources(verb, presets, modality, folder, ["a", "deep/b", "c"])
    capsys.readouterr()
    assert main(command(verb, presets, modality, [folder], out)) == 0
    told = capsys.readouterr()
    if verb == "evaluate":
        assert json.loads(told.out)["skipped"] == 0
        return
    assert ("3 files" in told.out or "shards" in told.out) and told.err == ""
    assert results(out) == made(verb, modality, ["a", "deep/b", "c"])
    if verb in ("reconstruct", "decode") and modality == "text":
        assert len((out / "a.txt").read_text(encoding="utf-8").split("\n")) == 4  # the blank one and the end too


def junk(path):
    path.write_bytes(b"\0\1\2\3 no file of this kind \xff\xfe" * 3)


def pipe(path):
    os.mkfifo(path)


def endless(path):
    path.symlink_to("/dev/zero")


def dangling(path):
    path.symlink_to(path.parent / "missing")


def loop(path):
    path.symlink_to(path.name)


def empty(path):
    path.touch()


BAD = (junk, pipe, endless, dangling, loop, empty)


@pytest.mark.parametrize("modality", SUFFIX)
@pytest.mark.parametrize("verb", ["encode", "reconstruct", "decode", "evaluate"])
def test_bad_files_are_named_and_end_nothing(verb, modality, presets, tmp_path, capsys):
    folder, out = tmp_path / "in", tmp_path / "out"
    sources(verb, presets, modality, folder, ["a", "z"])
    names = {bad: f"m_{bad.__name__}{'.npz' if verb == 'decode' else SUFFIX[modality]}" for bad in BAD}
    for bad, name in names.items():
        bad(folder / name)
    capsys.readouterr()
    status = main(command(verb, presets, modality, [folder], out))
    told = capsys.readouterr()
    if verb == "evaluate":
        assert status == 1 and json.loads(told.out)["skipped"] == len(BAD)
        return
    assert status == 1 and f"2 files, {len(BAD)} failed" in told.err and "Traceback" not in told.err
    for name in names.values():
        (line,) = (line for line in told.err.splitlines() if name in line)
        assert line.count(name) == 1 + ("iconv" in line), line  # which says how to convert it
    assert results(out) == made(verb, modality, ["a", "z"])


ERRORS = [MemoryError(), RuntimeError("odd"), TypeError("odd"), KeyError("odd"), OSError(36, "x"), UnicodeError("odd")]


@pytest.mark.parametrize("modality", SUFFIX)
@pytest.mark.parametrize("verb", ["encode", "reconstruct", "shards"])
def test_an_error_of_any_kind_is_that_of_one_file(verb, modality, presets, tmp_path, capsys, monkeypatch):
    folder, out = tmp_path / "in", tmp_path / "out"
    sources(verb, presets, modality, folder, ["a", *(f"m{number}" for number in range(len(ERRORS))), "z"])
    load = modality_named(modality).load

    def fails(tokenizer, path):
        if path.stem.startswith("m"):
            raise ERRORS[int(path.stem[1:])]
        return load(tokenizer, path)

    monkeypatch.setattr(modality_named(modality), "load", fails)
    assert main(command(verb, presets, modality, [folder], out)) == 1
    told = capsys.readouterr().err
    assert f"{len(ERRORS)} failed" in told and all(f"m{number}" in told for number in range(len(ERRORS)))
    if verb == "shards":
        assert len(TokenShards(out)) == (4 if modality == "text" else 2)
    else:
        assert results(out) == made(verb, modality, ["a", "z"])


@pytest.mark.parametrize("modality", SUFFIX)
def test_a_file_that_fails_in_a_batch_leaves_the_others_their_tokens(modality, presets, tmp_path, capsys, monkeypatch):
    sources("encode", presets, modality, tmp_path / "in", ["a", "m", "z"])
    encode, calls = modality_named(modality).encode, []

    def fails(tokenizer, signals):
        calls.append(len(signals))
        if len(calls) in (1, 3):  # the batch of three, then the second file alone
            raise RuntimeError("odd")
        return encode(tokenizer, signals)

    monkeypatch.setattr(modality_named(modality), "encode", fails)
    assert main(command("encode", presets, modality, [tmp_path / "in"], tmp_path / "out")) == 1
    assert calls == [3, 1, 1, 1] and results(tmp_path / "out") == ["a.npz", "z.npz"]
    assert "RuntimeError: odd" in capsys.readouterr().err


NAMES = ["~photo", "~", "~nobody-of-this-name", "-x", "a b", "\u00f6\udcff", "a\nb", "c" * 251, "\u00fc" * 125 + "d"]


@pytest.mark.parametrize("modality", SUFFIX)
def test_any_name_of_up_to_255_bytes_can_be_listed_and_written(modality, presets, tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for name in NAMES:
        write_signal(pathlib.Path(f"plain{SUFFIX[modality]}"))
        target = pathlib.Path("in", name[:100], f"{name}{SUFFIX[modality]}")
        target.parent.mkdir(parents=True)
        os.rename(f"plain{SUFFIX[modality]}", target)
    paths = [f"{name[:100]}/{name}" for name in NAMES]
    os.chdir("in")
    assert main(["encode", str(presets / modality), ".", "--out", "../~out"]) == 0
    os.chdir("..")
    assert results(pathlib.Path("~out")) == sorted(f"{path}.npz" for path in paths)
    os.chdir("~out")
    assert main(["decode", ".", "--out", "../again"]) == 0
    assert results(pathlib.Path("../again")) == sorted(f"{path}{SUFFIX[modality]}" for path in paths)
    assert results(tmp_path / "home") == []


@pytest.mark.parametrize(
    "names",
    [
        ["a.png", "a.jpg", "a.jpg.webp"],
        ["a.png", "a.png.png", "a.png.png.png", "a.jpg"],
        ["a.png", "a.jpg", "a.png.jpg", "a.jpg.png"],
        ["a.PNG", "a.png"],
        ["d/a.png", "d/a.jpg", "d.a.png"],
    ],
)
def test_files_of_one_stem_have_results_of_their_own(names, presets, tmp_path):
    for number, name in enumerate(names):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        kind = {"jpg": "JPEG", "webp": "WEBP"}.get(name.rpartition(".")[-1], "PNG")
        Image.new("RGB", (8 + 4 * number, 8)).save(tmp_path / "in" / name, kind)
    assert main(command("encode", presets, "image", [tmp_path / "in"], tmp_path / "out")) == 0
    widths = {vqzoo.presets.load_tokens(tmp_path / "out" / name).size[1] for name in results(tmp_path / "out")}
    assert widths == {8 + 4 * number for number in range(len(names))}


@pytest.mark.parametrize("modality", SUFFIX)
def test_endings_that_are_not_read_are_counted(modality, presets, tmp_path, capsys):
    sources("encode", presets, modality, tmp_path / "in", ["a"])
    for name in ("b.xyz", "deep/c.XYZ", "README", ".hidden.xyz"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).touch()
    assert main(command("encode", presets, modality, [tmp_path / "in"], tmp_path / "out")) == 0
    assert "encoded 1 file, ignored 2 .xyz, 1 no ending" in capsys.readouterr().out


def test_linked_folders_are_followed_and_each_file_counts_once(presets, tmp_path, capsys):
    for name in ("elsewhere/cats/1.png", "data/dogs/2.png"):
        write_signal(tmp_path / name)
    (tmp_path / "data" / "cats").symlink_to(tmp_path / "elsewhere" / "cats")
    (tmp_path / "data" / "again").symlink_to(tmp_path / "data" / "dogs")
    (tmp_path / "data" / "dogs" / "up").symlink_to(tmp_path / "data")
    (tmp_path / "elsewhere" / "cats" / "round").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "dogs" / "same.png").symlink_to("2.png")
    assert main(command("encode", presets, "image", [tmp_path / "data", tmp_path / "elsewhere"], tmp_path / "out")) == 0
    assert results(tmp_path / "out") == ["cats/1.npz", "dogs/2.npz"]


@pytest.mark.parametrize("verb", ["encode", "decode", "reconstruct"])
def test_without_force_nothing_is_overwritten_that_came_in_the_meantime(verb, presets, tmp_path, capsys, monkeypatch):
    """Two processes at once: the second to finish a file finds that of the first."""
    folder, out = tmp_path / "in", tmp_path / "out"
    sources(verb, presets, "image", folder, ["a", "z"])
    module = sys.modules[f"vqzoo.cli.verbs.{verb}"]
    name, function = ("save_tokens", module.save_tokens) if verb == "encode" else (None, None)
    save = ImageModality.save

    def racing(*arguments, **options):
        path = arguments[0] if verb == "encode" else arguments[2]
        target = out / pathlib.Path(path).name
        if target.stem == "a":
            target.write_bytes(b"the other's")
        return (function if verb == "encode" else save)(*arguments, **options)

    monkeypatch.setattr(*((module, name) if verb == "encode" else (ImageModality, "save")), racing)
    assert main(command(verb, presets, "image", [folder], out)) == 1
    assert "is there already. Give --force" in capsys.readouterr().err
    first, second = results(out)
    assert (out / first).read_bytes() == b"the other's" and (out / second).stat().st_size > 50


@pytest.mark.parametrize("verb", ["encode", "decode"])
def test_standard_input_may_be_closed_empty_or_anything(verb, presets, tmp_path, monkeypatch, capsys):
    words = [verb, *([str(presets / "image")] if verb == "encode" else []), "-"]
    for stdin, expected in (
        (None, "Standard input is closed"),
        (types.SimpleNamespace(closed=True), "Standard input is closed"),
        (types.SimpleNamespace(closed=False, buffer=io.BytesIO()), "Standard input is empty"),
        (types.SimpleNamespace(closed=False, buffer=io.BytesIO(b"no file of this kind")), "standard input"),
    ):
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(SystemExit) as stop:
            main(words)
        told = capsys.readouterr().err
        assert stop.value.code == 1 and expected in told and told.count("\n") == 1 and tempfile.gettempdir() not in told


def test_more_than_the_bound_of_standard_input_is_refused(monkeypatch):
    from vqzoo.cli.batch import piped_file

    class Endless:
        closed = False
        buffer = open("/dev/zero", "rb")

    monkeypatch.setattr(sys, "stdin", Endless())
    with pytest.raises(ValueError, match="Standard input has more than 4096 bytes"), piped_file("a", 4096):
        pass
    Endless.buffer.close()


@pytest.mark.parametrize("name", ["~nobody-of-this-name/x", "~/x", "~", "hf://~/x"])
def test_a_preset_that_a_token_file_names_is_no_place_of_ours(name, presets, tmp_path, capsys, monkeypatch):
    """Of two token files one names a preset that nobody typed: it fails alone, and no home folder is looked at."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    shutil.copytree(presets / "image", tmp_path / "home" / "x")
    sources("decode", presets, "image", tmp_path / "in", ["a", "b"])
    file = vqzoo.presets.load_tokens(tmp_path / "in" / "a.npz")
    about = {**file._asdict(), "format": 1, "preset": name}
    tokens = about.pop("tokens")
    np.savez_compressed(tmp_path / "in" / "a.npz", tokens=tokens, about=np.array(json.dumps(about)))
    capsys.readouterr()
    assert main(["decode", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 1
    assert "1 failed" in capsys.readouterr().err and results(tmp_path / "out") == ["b.png"]


@pytest.mark.parametrize("roots", ["~nobody-of-this-name", "~", "~/", ":", "/dev/null", "~nobody:~"])
def test_folders_of_presets_may_be_written_with_a_tilde(roots, presets, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(presets / "image", tmp_path / "image-of-home")
    monkeypatch.setenv("VQZOO_PRESETS", roots)
    assert main(["list"]) == 0
    at_home = any(root in ("~", "~/") for root in roots.split(":"))
    assert ("image-of-home" in capsys.readouterr().out) == at_home


@pytest.mark.parametrize("modality", ["shard", "image", "text"])
def test_shards_may_lie_in_a_folder_whose_name_is_not_text(modality, presets, tmp_path, capsys):
    kind = modality.replace("shard", "image")
    write_signal(tmp_path / f"a{SUFFIX[kind]}")
    out = os.path.join(tmp_path, os.fsdecode(b"\xff\xfeout"))
    first = ["shard"] if modality == "shard" else ["encode", str(presets / kind), "--shards"]
    paths = [str(tmp_path / f"a{SUFFIX[kind]}"), "--out", out]
    assert main([*first[:2], *paths, *first[2:]]) == 0 and main(["verify", out]) == 0


def test_a_path_that_no_file_can_have_fails_alone(presets, tmp_path, capsys):
    write_signal(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("a.png")
    paths = [tmp_path / "a.png", tmp_path / ("x" * 300 + ".png"), tmp_path / "b.png"]
    assert main(command("encode", presets, "image", paths, tmp_path / "out")) == 1
    assert results(tmp_path / "out") == ["a.npz"]  # under the name that was given first
    assert "1 failed" in capsys.readouterr().err


def test_an_empty_path_is_not_the_current_folder(presets, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(command("encode", presets, "image", [""], tmp_path / "out"))
    assert "A path is empty" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["encode", "decode"])
def test_standard_output_may_be_closed(verb, presets, tmp_path, monkeypatch, capsys):
    sources(verb, presets, "image", tmp_path / "in", ["a"])
    (file,) = (tmp_path / "in").iterdir()
    stdin = types.SimpleNamespace(closed=False, buffer=io.BytesIO(file.read_bytes()))
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(SystemExit):
        main([verb, *([str(presets / "image")] if verb == "encode" else []), "-"])
    assert "Standard output is closed" in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--whole"]])
def test_a_line_that_is_too_long_skips_its_file(options, presets, tmp_path, capsys):
    write_signal(tmp_path / "in" / "a.txt")
    (tmp_path / "in" / "b.txt").write_bytes(b"ab " * 200_000)
    assert main(["evaluate", str(presets / "text"), str(tmp_path / "in"), "--json", *options]) == 1
    report = json.loads(capsys.readouterr().out)
    assert [pathlib.Path(path).name for path in report["failed"]] == ["b.txt"]


def test_a_name_with_a_line_end_is_named_in_one_line(presets, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for name in ("a\nb.png", "c\x1b[31m.png", "d\u2028e.png"):
        (tmp_path / "in" / name).write_bytes(b"no picture")
    assert main(command("encode", presets, "image", [tmp_path / "in"], tmp_path / "out")) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 4 and "\x1b" not in told and "\u2028" not in told and r"a\nb.png" in told
