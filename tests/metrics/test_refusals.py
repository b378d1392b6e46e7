"""What the measures refuse: one line that names the argument, what was received and the way out."""

import numpy as np
import pytest

from vqzoo import metrics

BATCH = np.linspace(-1, 1, 2 * 16 * 16 * 3).reshape(2, 16, 16, 3).astype("float32")
PIXELS = np.rint((BATCH + 1) * 127.5).astype("uint8")
CLIPS = BATCH.reshape(2, -1, 1)

IMAGES = {
    "pixels": (PIXELS, PIXELS, {}, "`images` must be floating point. Received: dtype=uint8. Pass `max_value=255`"),
    "pixels_of_one": (BATCH, PIXELS, {}, "`reconstructions` must be floating point. Received: dtype=uint8"),
    "pixels_in_unit_range": (PIXELS, PIXELS, {"max_value": 1.0}, "Received: dtype=uint8"),
    "floats_up_to_255": (PIXELS * 1.0, PIXELS * 1.0, {}, "magnitudes of at most 3. Received: up to 255.*max_value=255"),
    "one_up_to_255": (
        BATCH,
        PIXELS * 1.0,
        {},
        "`reconstructions` must have magnitudes of at most 20. Received: up to 255",
    ),
    "below_zero": (BATCH - 100, BATCH, {}, "Received: up to 101"),
    "infinity": (BATCH, BATCH + np.inf, {}, "Received: up to inf"),
    "a_path": ("a.png", BATCH, {}, "`images` is an array of numbers.*Received: 'a.png'. Read a file first"),
    "texts": (BATCH, [["a"]], {}, "`reconstructions` is an array of numbers"),
    "none": (BATCH, None, {}, "`reconstructions` is an array of numbers.*Received: None"),
    "rows_of_two_lengths": (BATCH, [[1.0], [1.0, 2.0]], {}, "all rows of one length"),
    "other_shapes": (BATCH, BATCH[:1], {}, "must have the same shape"),
    "no_max_value": (
        BATCH,
        BATCH,
        {"max_value": None},
        "`max_value` must be positive, the largest.*Received: max_value=None",
    ),
    "a_max_value_of_0": (
        BATCH,
        BATCH,
        {"max_value": 0},
        "`max_value` must be positive, the largest.*Received: max_value=0",
    ),
    "an_endless_max_value": (BATCH, BATCH, {"max_value": np.inf}, "`max_value` must be positive, the largest"),
    "true": (BATCH, BATCH, {"max_value": True}, "`max_value` must be positive, the largest"),
}
AUDIO = {
    "a_path": ("a.wav", CLIPS, "`signal` is an array of numbers.*Received: 'a.wav'. Read a file first"),
    "texts": (CLIPS, np.array([["a"]]), "`reconstruction` is an array of numbers"),
    "none": (None, CLIPS, "`signal` is an array of numbers.*Received: None"),
    "integers": (
        CLIPS,
        (CLIPS * 100).astype("int16"),
        "must be floating point. Received: dtype=int16. Pass `x / 32768`",
    ),
    "other_shapes": (CLIPS, CLIPS[:1], "Both signals must have the same shape"),
}
ROWS = [[5, 6, 2], [7, 2]]
TEXTS = {
    "a_text": ("exact_match", ("a cat", "a cat"), "Give two lists.*Received: one str and one str"),
    "none": ("exact_match", (None, ["a"]), "Give two lists.*Received: one NoneType and 1"),
    "bytes": ("exact_match", ([b"a"], ["a"]), r"texts\[0\]=b'a'. Decode bytes by `x.decode\(\)`"),
    "ids_for_texts": ("character_error_rate", (["a", "b"], ROWS), r"decoded\[0\]=\[5, 6, 2\].*pieces.decode"),
    "numbers": ("character_error_rate", (["a", 3], ["a", "b"]), r"texts\[1\]=3"),
    "ids": ("bleu", (ROWS, ROWS), "`texts` must be a list of str"),
    "ids_again": ("chrf", (ROWS, ROWS), "`texts` must be a list of str"),
    "a_text_as_list": ("compressed_bits_per_character", ("abc", "zlib"), "Received: 'abc'. Pass `.x.`"),
    "a_list": ("compressed_bits_per_character", (["abc"], ["zlib"]), "`compressor` must be one of"),
    "none_for_a_text": ("edit_distance", ("a", None), "`second` must be a str. Received: second=None"),
    "images": ("piece_accuracy", (PIXELS, PIXELS), r"row of integer ids.*rows\[0\]=array.*Pass `x\[..., 0\]`"),
    "tokens": ("piece_accuracy", (ROWS, np.zeros((2, 3, 1), int)), r"decoded\[0\]=array"),
    "texts_for_ids": ("piece_accuracy", (["a"], ["a"]), r"rows\[0\]='a'"),
    "floats": ("piece_accuracy", (ROWS, [[5.0, 6.0], [7.0]]), r"decoded\[0\]=\[5.0, 6.0\]"),
    "deeper_lists": ("piece_accuracy", ([[[1], [2, 3]]], [[1]]), "row of integer ids"),
    "no_pieces": ("piece_accuracy", ([[], []], [[], []]), "There are no pieces to count. Received: 2 rows"),
}


def refused(told, function, *arguments, **options):
    with pytest.raises(ValueError, match=told) as caught:
        function(*arguments, **options)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize("row", IMAGES)
def test_of_images(row):
    *pair, options, told = IMAGES[row]
    refused(told, metrics.psnr, *pair, **options)
    refused(told, metrics.ssim, *pair, **options)
    refused(told, metrics.ms_ssim, *pair, scales=1, **options)


@pytest.mark.parametrize("row", AUDIO)
def test_of_audio(row):
    *pair, told = AUDIO[row]
    refused(told, metrics.si_sdr, *pair)
    refused(told, metrics.level_difference, *pair)
    refused(told, metrics.stft_distance, *pair)
    refused(told, metrics.mel_distance, *pair, 16000)
    refused(told, metrics.log_mel_distance, *pair, 16000)


@pytest.mark.parametrize("rate", ["16000", None, True, 0, np.nan, [16000]])
def test_of_rates(rate):
    refused("`sample_rate` must be positive, in Hz. Received: sample_rate=", metrics.mel_distance, CLIPS, CLIPS, rate)


@pytest.mark.parametrize("row", TEXTS)
def test_of_texts(row):
    name, arguments, told = TEXTS[row]
    refused(told, getattr(metrics, name), *arguments)


def test_what_is_in_range_is_taken():
    eight_bits = metrics.psnr(PIXELS, PIXELS[::-1], max_value=255)
    np.testing.assert_allclose(eight_bits, metrics.psnr(BATCH, BATCH[::-1]), rtol=1e-3)
    assert metrics.psnr(BATCH, 9 * BATCH)[0] < 0  # as an untrained network may make them
    assert np.isnan(metrics.psnr(BATCH + np.nan, BATCH)).all()  # as a diverged network makes them
    assert metrics.piece_accuracy(np.array([[5, 6]], "uint16"), [[5, 7]]) == 0.5
