"""Arguments in each other's place: the message names the command that was meant, and the command is run."""

import contextlib
import re
import shlex

import keras
import numpy as np
import pytest

import vqzoo
from vqzoo.cli.main import main


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    """One tiny preset of each modality, which come before those that are shipped."""
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("presets")
    options = {"filters": 8, "blocks": 1, "latent_dim": 4}
    pieces = vqzoo.data.Pieces.train(["the cat sat on the mat"], size=300, exact=False)
    found = {
        "a-image": vqzoo.image_vqvae(quantizer=vqzoo.VectorQuantizer(16), **options),
        "a-audio": vqzoo.spectrogram_vqvae(bands=16, quantizer=vqzoo.VectorQuantizer(16), **options),
        "a-text": vqzoo.text_vqvae(pieces, stride=2, quantizer=vqzoo.VectorQuantizer(16), **options),
    }
    for name, tokenizer in found.items():
        most = {"tokens": [1000, 1000, 1]}  # of all that are here
        tokenizer.save_to_preset(folder / name, metadata={"example": most})
    return folder


@pytest.fixture
def place(presets, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VQZOO_PRESETS", str(presets))
    monkeypatch.delenv("VQZOO_TRACEBACK", raising=False)
    for name in "ab":
        vqzoo.data.save_image(f"photos/{name}.png", np.linspace(-1, 1, 3 * 32 * 32).reshape(32, 32, 3))
        vqzoo.data.save_audio(f"talks/{name}.wav", 0.5 * np.sin(np.arange(4000))[:, None], 16000)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("the cat\n")
    tokenizer, folder = vqzoo.Tokenizer.from_preset("a-image"), presets / "a-image"
    tokens = np.asarray(tokenizer.encode(vqzoo.data.load_image("photos/a.png")[None]))[0]
    (tmp_path / "tokens").mkdir()
    vqzoo.presets.save_tokens("tokens/a.npz", tokens, size=(32, 32), preset="a-image", folder=folder)
    return tmp_path


# what is typed -> what was meant
COMMANDS = {
    "encode photos a-image --out t": "encode a-image photos --out t",
    "encode photos/a.png a-image --out t": "encode a-image photos/a.png --out t",
    "encode --out t talks a-audio": "encode --out t a-audio talks",
    "encode texts a-text --out t": "encode a-text texts --out t",
    "reconstruct photos a-image --out r": "reconstruct a-image photos --out r",
    "evaluate talks a-audio --crops 1": "evaluate a-audio talks --crops 1",
    "restyle photos/a.png photos/b.png a-image --out x.png": "restyle a-image photos/a.png photos/b.png --out x.png",
    "encode a-image tokens --out t": "decode tokens --out decoded",
    "encode a-image tokens/a.npz --out t": "decode tokens/a.npz --out decoded",
    "reconstruct a-image tokens --out t": "decode tokens --out decoded",
    "evaluate a-image tokens": "decode tokens --out decoded",
    "encode a-image talks --out t": "encode a-audio talks --out t",
    "encode a-image talks/a.wav --out t": "encode a-audio talks/a.wav --out t",
    "encode a-audio photos --out t": "encode a-image photos --out t",
    "encode a-text photos/a.png --out t": "encode a-image photos/a.png --out t",
    "encode a-image texts --out t": "encode a-text texts --out t",
    "reconstruct a-image talks --out t": "reconstruct a-audio talks --out t",
    "decode photos --out d": "encode a-image photos --out tokens_2",
    "decode talks/a.wav --out d": "encode a-audio talks/a.wav --out tokens_2",
    "decode texts --out d": "encode a-text texts --out tokens_2",
    "decode a-image tokens --out d": "decode tokens --out d --preset a-image",
    "shard a-image photos --out s": "encode a-image photos --out s --shards",
    "verify tokens": "decode tokens --out decoded",
    "info tokens": "decode tokens --out decoded",
    "export tokens/a.npz": "decode tokens/a.npz --out decoded",
    "verify texts": "evaluate a-text texts",
    "export texts/a.txt": "evaluate a-text texts/a.txt",
}


@pytest.mark.slow
@pytest.mark.parametrize("typed", COMMANDS)
def test_the_command_that_was_meant_is_named_and_works(typed, place, capsys):
    before = sorted(place.rglob("*"))
    with pytest.raises(SystemExit, match="1"):
        main(typed.split())
    error = capsys.readouterr().err
    found = re.search(r"^error: [^\n]+ Run `vqzoo ([^`\n]+)`\.\n$", error)
    assert found, error
    assert sorted(place.rglob("*")) == before
    assert found[1] == COMMANDS[typed]
    assert main(shlex.split(found[1])) == 0, capsys.readouterr()


RIGHT = (
    "encode a-image photos --out t",
    "encode a-image photos talks --out t",  # named by the verb, file by file or folder by folder
    "info a-image",
    "info tokens/a.npz",
    "decode tokens --out d",
)


@pytest.mark.parametrize("typed", RIGHT)
def test_right_commands_pass(typed, place, capsys):
    with contextlib.suppress(SystemExit):
        main(typed.split())
    assert "Run `" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("photos", r"The folder 'photos' is not a preset: .*It holds 2 .png. Known presets: a-audio, a-image, "),
        ("photos/a.png", "A preset is a folder. Received: the file 'photos/a.png'. Known presets: a-audio, a-image"),
        (".", "The folder '.' is not a preset: it has neither manifest.json nor a model. It holds no files"),
    ],
)
def test_what_is_no_preset_is_told_what_is(name, message, place):
    with pytest.raises(ValueError, match=message):
        vqzoo.presets.find_preset(name)


def test_a_folder_of_presets_and_a_file_of_one(presets):
    with pytest.raises(ValueError, match=r"The folder '.*' holds presets. Give one of them, such as '.*a-audio'"):
        vqzoo.presets.find_preset(presets)
    with pytest.raises(ValueError, match=r"Received: the file '.*tokenizer.keras'. Give its folder, '.*a-image'"):
        vqzoo.presets.find_preset(presets / "a-image" / "tokenizer.keras")
