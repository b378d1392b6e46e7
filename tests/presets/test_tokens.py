import json
import shutil

import numpy as np
import pytest

from vqzoo.presets import check_tokens_of
from vqzoo.presets import find_preset
from vqzoo.presets import load_tokens
from vqzoo.presets import save_tokens
from vqzoo.presets import update_metadata
from vqzoo.presets.manifest import manifest_of

TOKENS = np.arange(12).reshape(3, 4, 1)


@pytest.fixture
def folder(saved_once, tmp_path):
    folder = shutil.copytree(saved_once, tmp_path / "preset")
    update_metadata(folder, modality="image", codebook_sizes=[16])
    return folder


@pytest.fixture
def file(folder, tmp_path):
    path = tmp_path / "photo.npz"
    save_tokens(path, TOKENS, size=(11, 14), preset="preset", folder=folder)
    return path


def test_what_was_saved_comes_back(folder, file):
    loaded = load_tokens(file)
    np.testing.assert_array_equal(loaded.tokens, TOKENS)
    assert loaded.tokens.dtype == np.int32
    assert loaded[1:5] == ((11, 14), (16,), "image", "preset")
    check_tokens_of(loaded, folder, file)
    check_tokens_of(loaded, find_preset(folder), file)


def test_another_model_refuses_them(folder, file):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["tokenizer.keras"]["sha256"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(manifest_of(manifest["files"])))
    with pytest.raises(
        ValueError, match="photo.npz' was encoded by another model .'preset'. than the one in '.*preset'"
    ):
        check_tokens_of(load_tokens(file), folder, file)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (TOKENS + 5, "photo.npz holds tokens from 5 to 16, where the codebooks have .16,. codes"),
        (TOKENS - 1, "holds tokens from -1 to 10"),
        (TOKENS * 1.0, r"must be integers \(\*grid, 1\), and not empty. Received: float64 \(3, 4, 1\)"),
        (TOKENS[..., 0], r"Received: int64 \(3, 4\)"),
        (TOKENS[:0], r"Received: int64 \(0, 4, 1\)"),
    ],
)
def test_tokens_that_the_preset_does_not_have_are_not_written(folder, tmp_path, tokens, message):
    with pytest.raises(ValueError, match=message):
        save_tokens(tmp_path / "photo.npz", tokens, size=(11, 14), preset="preset", folder=folder)
    assert not (tmp_path / "photo.npz").exists()


def rewritten(path, tokens=TOKENS, **changes):
    with np.load(path) as arrays:
        about = {**json.loads(str(arrays["about"])), **changes}
    np.savez(path, tokens=tokens, about=np.array(json.dumps(about)))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "does not exist or is not a file"),
        (lambda path: path.write_bytes(b""), "is not an intact token file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-30]), "is not an intact token file"),
        (
            lambda path: np.savez(path, tokens=TOKENS),
            "is not an intact token file: it has no arrays named tokens and about",
        ),
        (lambda path: np.savez(path, tokens=np.array([{}]), about=np.array("{}")), "allow_pickle=False"),
        (lambda path: np.savez(path, tokens=TOKENS, about=np.array("[]")), "is not an intact token file"),
        (lambda path: rewritten(path, format=2), "format 2 of a newer vqzoo; upgrade vqzoo"),
        (lambda path: rewritten(path, size=[0, 3]), r"its size is \[0, 3\], which"),
        (lambda path: rewritten(path, tokens=TOKENS + 9), "holds tokens from 9 to 20"),
        (lambda path: rewritten(path, tokens=TOKENS.astype("float32")), "Received: float32"),
    ],
)
def test_damaged_files_are_named(file, damage, message):
    damage(file)
    with pytest.raises(ValueError, match=message) as caught:
        load_tokens(file)
    assert "photo.npz" in str(caught.value)


def test_a_file_that_claims_gigabytes_is_refused_unread(file, monkeypatch):
    monkeypatch.setattr("vqzoo.presets.tokens._MOST_BYTES", 10)
    with pytest.raises(ValueError, match=r"it claims \d+ bytes, and at most 10 are read"):
        load_tokens(file)


@pytest.mark.parametrize("times", [2_000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_random_mutations_raise_or_give_valid_tokens(file, times):
    whole = file.read_bytes()
    random = np.random.default_rng(times)
    outcomes = set()
    for _ in range(times):
        mutated = bytearray(whole)
        for position in random.integers(len(whole), size=random.integers(1, 4)):
            mutated[position] = random.integers(256)
        file.write_bytes(mutated)
        try:
            loaded = load_tokens(file)
        except ValueError as error:
            outcomes.add("refused")
            assert "photo.npz" in str(error)
        else:
            outcomes.add("read")
            assert loaded.tokens.min() >= 0 and loaded.tokens.max() < min(loaded.codebook_sizes)
    assert outcomes == {"refused", "read"}
