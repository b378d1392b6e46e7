"""Values that Python takes for numbers, paths or names, and that are none here: one short line for each.

A row is what is called, what is passed, and what the line says.
"""

import fractions

import numpy as np
import pytest

import vqzoo
from vqzoo.generation import Generator
from vqzoo.generation import Labels
from vqzoo.networks import Transformer
from vqzoo.networks.audio import spectrogram_decoder
from vqzoo.networks.audio import spectrogram_encoder
from vqzoo.priors import TokenSpace

TOKENS = np.zeros((1, 2, 2, 1), "int32")
PICTURE = np.zeros((1, 8, 8, 3), "float32")
WAVE = np.zeros((1, 1000, 1), "float32")
NOT_COUNTS = [True, np.True_, 0, -1, 1.5, "2", None, np.timedelta64(3, "s"), np.zeros((40, 40)), [1]]
NOT_PRESETS = [None, 3, True, b"image-tiny", ["image-tiny"], np.zeros((40, 40)), vqzoo.Tokenizer]
LOADERS = [
    vqzoo.Tokenizer.from_preset,
    vqzoo.ImageTokenizer.from_preset,
    vqzoo.priors.Prior.from_preset,
    Generator.from_preset,
    vqzoo.presets.find_preset,
    vqzoo.presets.load_preset,
    vqzoo.presets.verify_preset,
    vqzoo.presets.read_manifest,
    vqzoo.presets.read_metadata,
]


def refused(told, function, *arguments, **options):
    with pytest.raises(ValueError, match=told) as caught:
        function(*arguments, **options)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.fixture(scope="module")
def sounds():
    encoder, decoder = spectrogram_encoder(4, 16000, filters=8), spectrogram_decoder(4, filters=8)
    tokenizer = vqzoo.AudioTokenizer(
        encoder,
        vqzoo.quantizers.ResidualQuantizer([vqzoo.VectorQuantizer(4) for _ in range(3)]),
        decoder,
        sample_rate=16000,
    )
    tokenizer.build((None, None, 1))
    return tokenizer


@pytest.fixture(scope="module")
def generator(tokenizer):
    space = TokenSpace({"label": 2, "image": 16})
    prior = vqzoo.AutoregressivePrior(space, Transformer(1, 2, causal=True), "image", 8, (2, 2))
    return Generator(prior, tokenizer, ["cat", "dog"])


@pytest.mark.parametrize("load", LOADERS, ids=lambda load: load.__qualname__)
def test_what_is_no_preset(load):
    for value in NOT_PRESETS:
        refused("A preset is a name or a folder, as a str or a pathlib.Path. Received: .*`vqzoo list`", load, value)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_rates_of_files(suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    values = [True, 0, 2**40, 10**5000, 0.5, np.inf, np.nan, "16000", None, np.timedelta64(9, "s"), np.zeros((40, 40))]
    for value in values:
        refused("sample_rate must be an int from 1 to .*Pass the rate", vqzoo.data.save_audio, path, WAVE[0], value)
    refused("Pass `16000`", vqzoo.data.save_audio, path, WAVE[0], 16000.0)
    refused("Pass `7`", vqzoo.data.save_audio, path, WAVE[0], fractions.Fraction(7))
    assert not list(tmp_path.iterdir())


def test_rates_that_flac_cannot_say(tmp_path):
    for rate in (65537, 100_001, 655_360):
        refused("in flac of whole tens above 65535", vqzoo.data.save_audio, tmp_path / "a.flac", WAVE[0], rate)
    for rate in (65535, 65540, 655_350):
        vqzoo.data.save_audio(tmp_path / "a.flac", WAVE[0], rate)
        assert vqzoo.data.load_audio(tmp_path / "a.flac").shape == (1000, 1)


NO_NAMES = {
    "long": ("a" * 252 + ".png", "has at most 255 bytes. Received: 256 bytes, 'aaa"),
    "long_in_bytes": ("\u00e4" * 126 + ".png", "has at most 255 bytes. Received: 256 bytes"),
    "a_long_folder": ("b" * 10**5 + "/a.png", "has at most 255 bytes. Received: 100000 bytes, 'bbb"),
    "a_zero": ("a\0.png", "text without zeros. Received: 'a"),
    "half_a_character": ("\ud800.png", "text without zeros. Received: '.ud800"),
}


@pytest.mark.parametrize("row", NO_NAMES)
def test_names_that_no_file_can_have(row, tokenizer, saved_once, tmp_path):
    name, told = NO_NAMES[row]
    path, wave = tmp_path / name, tmp_path / name.replace(".png", ".wav")
    tokens = {"size": (8, 8), "preset": "image-tiny", "folder": saved_once}
    refused(told, vqzoo.data.save_image, path, PICTURE[0])
    refused(told, vqzoo.data.save_audio, wave, WAVE[0], 16000)
    refused(told, vqzoo.presets.save_tokens, path.with_suffix(".npz"), TOKENS[0], **tokens)
    refused(told, tokenizer.save_to_preset, path)
    assert not list(tmp_path.iterdir())
    vqzoo.data.save_image(tmp_path / ("a" * 251 + ".png"), PICTURE[0])


def test_sizes(tokenizer):
    for size in (
        (True, True),
        (8, np.True_),
        (0, 8),
        (8, None),
        (8, "8"),
        {8, 4},
        [8],
        ([1], 2),
        {"h": 8, "w": 8},
        True,
    ):
        refused("`size` must be .height, width. in pixels.*Received: size=", tokenizer.decode, TOKENS, size=size)
    for size in ((8, 7), [8, np.int64(7)], np.array([8, 7])):
        assert tokenizer.decode(TOKENS, size=size).shape == (1, 8, 7, 3)


def test_tiles(tokenizer):
    for value in NOT_COUNTS:
        if value is not None:
            refused("`tile_size` must be a number of pixels.*tile_size=", tokenizer.encode, PICTURE, tile_size=value)
            refused("`tile_size` must be a number of pixels.*tile_size=", tokenizer.decode, TOKENS, tile_size=value)
    refused("`tile_margin` must be a number of pixels", tokenizer.encode, PICTURE, tile_size=8, tile_margin=True)


def test_windows_and_codebooks(sounds):
    for value in NOT_COUNTS:
        if value is not None:
            refused("`window` must be a number of samples.*Received: window=", sounds.encode, WAVE, window=value)
            told = "`num_codebooks` must be an integer from 1 to 3.*Received: num_codebooks="
            refused(told, sounds.encode, WAVE, num_codebooks=value)
            refused(told, sounds.kilobits_per_second, value)
    refused("`overlap` must be a number of samples", sounds.encode, WAVE, window=500, overlap=True)
    assert sounds.encode(WAVE, num_codebooks=np.int64(2)).shape[-1] == 2


def test_rates_of_tokenizers(sounds):
    for value in NOT_COUNTS:
        parts = sounds.encoder, sounds.quantizer, sounds.decoder
        refused("`sample_rate` is a positive integer, in Hz", vqzoo.AudioTokenizer, *parts, sample_rate=value)


def test_batch_sizes(tokenizer, generator):
    for value in NOT_COUNTS:
        if value is not None:
            refused("`batch_size` is a positive integer", tokenizer.encode, PICTURE, batch_size=value)
            refused("`batch_size` is an integer from 1", generator.generate, batch_size=value)
            refused("`batch_size` is an integer from 1", generator.decode, TOKENS, batch_size=value)
    refused("`batch_size` is an integer from 1", generator.generate, batch_size=np.ma.masked)
    for value in (np.ma.array(3), np.array(3), np.int64(3)):
        assert generator.generate(count=1, batch_size=value).shape == (1, 8, 8, 3)


def test_conditions(tokenizer, generator):
    space = TokenSpace({"image": 16})
    prior = vqzoo.AutoregressivePrior(space, Transformer(1, 2, causal=True), "image", 8, (2, 2))
    plain = Generator(prior, tokenizer)
    for condition in ("x" * 10**6, np.zeros((40, 40)), [["cat"] * 1000], 10**5000, b"x" * 10**6):
        refused("This prior knows no conditions. Received: condition=", plain.conditions_of, condition)
        refused("There is no label", generator.conditions_of, condition)
    with pytest.raises(ValueError, match="There is no label 'dogg'. Did you mean 'dog'"):
        Labels(["cat", "dog"]).checked("dogg")
