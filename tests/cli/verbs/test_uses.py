"""The verbs `inpaint`, `restyle` and, of a prior, `export`."""

import re
import shutil

import keras
import numpy as np
import pytest

import vqzoo
from vqzoo.cli.batch import result_path
from vqzoo.cli.main import main
from vqzoo.data import load_image
from vqzoo.data import save_image
from vqzoo.networks import Transformer
from vqzoo.presets import describe_tokens
from vqzoo.priors import TokenSpace


@pytest.fixture(scope="module")
def prior(tiny_preset, tmp_path_factory):
    """A preset of a masked prior of random weights, on the tiny tokenizer."""
    keras.utils.set_random_seed(0)
    told = describe_tokens(tiny_preset)
    space = TokenSpace({"image": told["codebook_sizes"]}, owners={"image": told["sha256"]})
    prior = vqzoo.MaskedPrior(space, Transformer(1, 2), "image", 8, (4, 4), learnt_positions=16)
    prior.build_now()
    folder = tmp_path_factory.mktemp("priors") / "tiny"
    example = {"signal": [16, 16, 3], "tokens": [4, 4, 1]}
    metadata = {"modality": "image", "example": example, "sampling": {"steps": 2}, "codebook_sizes": [16]}
    prior.save_to_preset(folder, metadata=metadata, seal=False)
    shutil.copyfile(tiny_preset / "tokenizer.keras", folder / "tokenizer.keras")
    vqzoo.presets.seal_preset(folder)
    return folder


@pytest.fixture
def picture(tmp_path):
    save_image(tmp_path / "picture.png", np.random.default_rng(0).uniform(-1, 1, (20, 24, 3)))
    return tmp_path / "picture.png"


def test_a_picture_is_repaired_where_it_is_asked(prior, picture, tmp_path, capsys):
    mask = np.full((20, 24, 1), -1.0)
    mask[4:9, 10:] = 1.0
    save_image(tmp_path / "mask.png", mask)
    out = tmp_path / "new" / "repaired.png"
    assert main(["inpaint", str(prior), str(picture), "--mask", str(tmp_path / "mask.png"), "--out", str(out)]) == 0
    assert f"made {5 * 14} of {20 * 24} pixels" in capsys.readouterr().out
    again, known = load_image(out), mask[..., 0] < 0
    np.testing.assert_array_equal(again[known], load_image(picture)[known])
    expected = vqzoo.inpaint(prior, load_image(picture), ~known)
    np.testing.assert_allclose(again, expected, atol=1 / 127)


def test_a_picture_is_continued_on_all_sides(prior, picture, tmp_path):
    out = tmp_path / "larger.png"
    assert main(["inpaint", str(prior), str(picture), "--pad", "5", "--box", "0,0,9,9", "--out", str(out)]) == 0
    again = load_image(out)
    assert again.shape == (30, 34, 3)
    np.testing.assert_array_equal(again[14:25, 14:29], load_image(picture)[9:, 9:])


@pytest.mark.parametrize(
    "flags, message",
    [
        ([], "--mask FILE, --box TOP,LEFT,HEIGHT,WIDTH or --pad PIXELS says what"),
        (["--mask", "MASK"], r"The mask has the size of the picture, \(20, 24\). Received: \(8, 8\)"),
        (["--box", "15,0,6,9"], "which has 20 rows and 24 columns. Received: 15,0,6,9. To go beyond its borders, use"),
        (["--pad", "16384"], "--pad 16384 makes 32788x32792 pixels of a picture of 20x24, and the most are"),
        (["--box", "3,3,0,9"], "--box TOP,LEFT,HEIGHT,WIDTH lies in the picture"),
        (["--pad", "2", "--condition", "bag"], "This prior knows no conditions"),
    ],
)
def test_what_cannot_be_repaired_is_told(flags, message, prior, picture, tmp_path, capsys):
    save_image(tmp_path / "small.png", np.zeros((8, 8, 1)))
    flags = [str(tmp_path / "small.png") if flag == "MASK" else flag for flag in flags]
    with pytest.raises(SystemExit):
        main(["inpaint", str(prior), str(picture), *flags, "--out", str(tmp_path / "it.png")])
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "it.png").exists()


@pytest.mark.parametrize("suffix", [".bmp", "", ".npz", ".png.txt"])
@pytest.mark.parametrize("verb", ["inpaint", "restyle", "grid"])
def test_the_ending_of_a_result_is_checked_before_the_work(verb, suffix, picture, tmp_path, capsys, monkeypatch):
    out = str(tmp_path / f"out{suffix}")
    words = {
        "inpaint": ["inpaint", "image-tiny", str(picture), "--pad", "1", "--out", out],
        "restyle": ["restyle", "image-tiny", str(picture), str(picture), "--out", out],
        "grid": ["generate", "image-tiny", "--grid", out],
    }
    for name in ("generation.Generator", "Tokenizer"):
        monkeypatch.setattr(f"vqzoo.{name}.from_preset", lambda preset: pytest.fail("loaded"))
    with pytest.raises(SystemExit):
        main(words[verb])
    told = capsys.readouterr().err
    assert f"Received: '{out}'" in told and "Pass" in told and ".vqzoo-" not in told


def test_a_tokenizer_is_told_which_priors_repair(tiny_preset, prior, picture, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("VQZOO_PRESETS", str(prior.parent))
    words = ["inpaint", str(tiny_preset), str(picture), "--pad", "1", "--out", str(tmp_path / "it.png")]
    with pytest.raises(SystemExit, match="1"):
        main(words)
    told = capsys.readouterr().err
    assert "A prior repairs images, and" in told and "image-vqgan" not in told
    assert "Give the preset of a prior whose tokens have rows and columns: " in told and "image-prior-emoji" in told


def test_an_error_names_the_result_and_not_its_hidden_place(tmp_path):
    with pytest.raises(ValueError, match="^cannot write .*/a.png$") as caught:
        with result_path(tmp_path / "a.png", False) as temporary:
            raise ValueError(f"cannot write {temporary}")
    assert str(tmp_path / "a.png") in str(caught.value) and ".vqzoo-" not in str(caught.value)


def test_a_picture_is_restyled(tiny_preset, picture, tmp_path, capsys):
    save_image(tmp_path / "style.png", np.random.default_rng(1).uniform(-1, 0, (9, 30, 3)))
    out = tmp_path / "restyled.png"
    command = ["restyle", "image-tiny", str(picture), str(tmp_path / "style.png"), "--out", str(out)]
    assert main(command) == 0
    tokenizer = vqzoo.Tokenizer.from_preset(tiny_preset)
    expected = vqzoo.restyle(tokenizer, load_image(picture), load_image(tmp_path / "style.png"))
    np.testing.assert_allclose(load_image(out), expected, atol=1 / 127)
    with pytest.raises(SystemExit):
        main(command)
    assert "is there already" in capsys.readouterr().err


def test_a_prior_is_exported_as_what_generates(prior, tmp_path, capsys):
    assert main(["export", str(prior), "--out", str(tmp_path / "copy")]) == 0
    assert "100.00% of tokens equal" in capsys.readouterr().out
    assert main(["verify", str(tmp_path / "copy")]) == 0
    assert re.search(r"\ngenerator: .* MB, 100.00% of tokens equal, .* on 2 examples\n", capsys.readouterr().out)
    files = vqzoo.presets.verify_preset(tmp_path / "copy")["files"]
    assert "generator/saved_model.pb" in files and "prior.keras" in files
    assert main(["export", str(tmp_path / "copy"), "--json"]) == 0  # once more, in its place
    vqzoo.presets.verify_preset(tmp_path / "copy")


def test_an_export_that_is_wrong_is_deleted(prior, tmp_path, capsys, monkeypatch):
    def wrong(prior, folder, *args, **options):
        folder.mkdir()
        raise ValueError("makes something else")

    monkeypatch.setattr("vqzoo.export.prior_preset.export_generator", wrong)
    with pytest.raises(SystemExit):
        main(["export", str(prior), "--out", str(tmp_path / "copy")])
    assert "makes something else" in capsys.readouterr().err and not (tmp_path / "copy" / "generator").exists()
    with pytest.raises(SystemExit):
        main(["export", str(prior), "--litert", "float16"])
    assert "--litert is for tokenizers. A prior is only exported as a SavedModel" in capsys.readouterr().err


def test_a_masked_prior_generates_with_steps_and_noise_as_asked(prior, tmp_path, monkeypatch):
    seen, made = [], vqzoo.MaskedPrior.generate
    monkeypatch.setattr(
        vqzoo.MaskedPrior,
        "generate",
        lambda self, *args, **options: seen.append(options) or made(self, *args, **options),
    )
    main(["generate", str(prior), "--count", "2", "--steps", "3", "--noise", "0.5", "--out", str(tmp_path / "made")])
    assert len(list((tmp_path / "made").glob("*.png"))) == 2
    assert seen[0]["steps"] == 3 and seen[0]["noise"] == 0.5


def test_a_tokenizer_generates_nothing(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["generate", "image-tiny", "--out", str(tmp_path / "made")])
    assert "has no prior.keras" in capsys.readouterr().err


def test_an_export_in_place_replaces_a_link_and_a_failed_one_changes_nothing(prior, tmp_path, capsys, monkeypatch):
    folder, mine = tmp_path / "linked", tmp_path / "mine"
    shutil.copytree(prior, folder)
    mine.mkdir()
    (mine / "saved_model.pb").write_text("mine")
    (folder / "generator").symlink_to(mine, target_is_directory=True)
    assert main(["export", str(folder)]) == 0
    files = vqzoo.presets.verify_preset(folder)["files"]
    assert "generator/saved_model.pb" in files and not (folder / "generator").is_symlink()
    assert [path.read_text() for path in mine.iterdir()] == ["mine"]

    def wrong(prior, path, *args, **options):
        path.mkdir()
        raise ValueError(f"{path} makes something else")

    monkeypatch.setattr("vqzoo.export.prior_preset.export_generator", wrong)
    for command in (["export", str(folder)], ["export", str(prior), "--out", str(folder), "--force"]):
        with pytest.raises(SystemExit):
            main(command)
        assert f"{folder / 'generator'} makes something else" in capsys.readouterr().err
        assert vqzoo.presets.verify_preset(folder)["files"] == files
