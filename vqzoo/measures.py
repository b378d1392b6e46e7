"""How numbers are shown to people: what each metric is called, its unit, and which direction is better.

The bottom row of the package: the cards of presets, the tables of recipes and the command line show the same numbers.
"""

import math
import re
from typing import NamedTuple

HIGHER, LOWER, ZERO = "higher is better", "lower is better", "nearest to 0 is best"


class Measure(NamedTuple):
    """What a number of a report is.

    Attributes:
        label: str, its name in prose.
        unit: str, "" for none.
        better: str, which direction is better, "" for none.
    """

    label: str
    unit: str = ""
    better: str = ""


MEASURES = {
    # === Images ===
    "psnr": Measure("PSNR", "dB", HIGHER),
    "ssim": Measure("SSIM", "", HIGHER),
    "ms_ssim": Measure("MS-SSIM", "", HIGHER),
    "ms_ssim_4_scales": Measure("MS-SSIM of 4 scales", "", HIGHER),
    "ms_ssim_3_scales": Measure("MS-SSIM of 3 scales", "", HIGHER),
    "ms_ssim_2_scales": Measure("MS-SSIM of 2 scales", "", HIGHER),
    "l1": Measure("mean absolute error", "of values in [-1, 1]", LOWER),
    "bits_per_pixel": Measure("bits per pixel"),
    "images_per_second": Measure("images per second", "", HIGHER),
    # === Audio ===
    "mel_distance": Measure("mel distance", "", LOWER),
    "log_mel_distance": Measure("log-mel distance", "", LOWER),
    "stft_distance": Measure("STFT distance", "", LOWER),
    "si_sdr": Measure("SI-SDR", "dB", HIGHER),
    "level_difference": Measure("level difference", "dB", ZERO),
    "level_difference_median": Measure("median level difference", "dB", ZERO),
    "level_difference_worst": Measure("worst level difference", "dB", ZERO),
    "pesq": Measure("PESQ", "", HIGHER),
    "stoi": Measure("STOI", "", HIGHER),
    "visqol": Measure("ViSQOL", "", HIGHER),
    "kilobits_per_second": Measure("bit rate", "kbit/s"),
    "times_real_time": Measure("speed", "x real time", HIGHER),
    "seconds": Measure("seconds of audio"),
    # === Text ===
    "exact_match": Measure("share of equal texts", "", HIGHER),
    "piece_accuracy": Measure("share of equal pieces", "", HIGHER),
    "character_error_rate": Measure("character error rate", "", LOWER),
    "chrf": Measure("chrF", "", HIGHER),
    "bleu": Measure("BLEU", "", HIGHER),
    "bits_per_character": Measure("bits per character"),
    "bits_per_character_pieces": Measure("bits per character of the pieces"),
    "bits_per_character_zlib": Measure("bits per character by zlib"),
    "bits_per_character_lzma": Measure("bits per character by LZMA"),
    "encoded_tokens_per_second": Measure("tokens encoded per second", "", HIGHER),
    "decoded_tokens_per_second": Measure("tokens decoded per second", "", HIGHER),
    "chrf_of_source": Measure("chrF of the source itself"),
    "bleu_of_source": Measure("BLEU of the source itself"),
    "copied_share": Measure("share of generated texts that are training texts", "", LOWER),
    "copied_run": Measure("share of a generated text that is one run of a training text", "", LOWER),
    "copied_run_of_held_out": Measure("share of a held-out text that is one run of a training text"),
    "self_bleu": Measure("self-BLEU of generated texts", "", LOWER),
    "self_bleu_of_held_out": Measure("self-BLEU of held-out texts"),
    "trigram_bits": Measure("bits per word of generated texts by a trigram model"),
    "trigram_bits_of_held_out": Measure("bits per word of held-out texts by a trigram model"),
    "trigram_bits_of_training": Measure("bits per word of training texts by a trigram model"),
    **{f"distinct_{n}": Measure(f"distinct-{n} of generated texts", "", HIGHER) for n in (1, 2, 3)},
    **{f"distinct_{n}_of_held_out": Measure(f"distinct-{n} of held-out texts") for n in (1, 2, 3)},
    "reply_in_ten": Measure("share of true replies among the ten likeliest", "", HIGHER),
    "reply_in_ten_by_chance": Measure("share of true replies among ten by chance"),
    "reply_rank": Measure("median rank of the true reply", "", LOWER),
    "candidates": Measure("replies that are ranked"),
    # === Codebooks and priors ===
    "usage": Measure("share of codes in use", "", HIGHER),
    "perplexity": Measure("perplexity of codes"),
    "dead_codes": Measure("dead codes", "", LOWER),
    "accuracy": Measure("accuracy", "", HIGHER),
    "bits_per_token": Measure("bits per token", "", LOWER),
    "bits_per_token_in_training": Measure("bits per token of training data", "", LOWER),
    "bits_per_token_unconditional": Measure("bits per token without condition", "", LOWER),
    "bits_per_token_by_chance": Measure("bits per token by chance"),
    "nearest_in_training": Measure("distance of generated images to the nearest training image"),
    "nearest_of_held_out": Measure("distance of held-out images to the nearest training image"),
    # === What was counted ===
    "skipped": Measure("files skipped", "", LOWER),
}


def measure_of(name):
    """What a number of a report is.

    Args:
        name: str, its key in the report. `usage_2` is that of codebook 2.

    Returns:
        `Measure`. A name that is not known is its own label, with spaces for underscores.

    Example:
    >>> measure_of("psnr")
    Measure(label='PSNR', unit='dB', better='higher is better')
    >>> measure_of("usage_2").label, measure_of("frechet_mine").label
    ('share of codes in use, codebook 2', 'frechet mine')
    """
    if name in MEASURES:
        return MEASURES[name]
    numbered = re.fullmatch(r"(usage|perplexity|dead_codes)_(\d+)", name)
    if numbered:
        measure = MEASURES[numbered[1]]
        return measure._replace(label=f"{measure.label}, codebook {numbered[2]}")
    return Measure(name.replace("_", " "))


def metric_label(name):
    """A number's name with its unit and direction, as tables show it.

    Args:
        name: str, its key in the report.

    Returns:
        str.

    Example:
    >>> metric_label("psnr"), metric_label("bits_per_pixel"), metric_label("mel_distance")
    ('PSNR dB, higher is better', 'bits per pixel', 'mel distance, lower is better')
    """
    measure = measure_of(name)
    return ", ".join(filter(None, [f"{measure.label} {measure.unit}".strip(), measure.better]))


def metric_rows(report, digits=4):
    """A report as the rows of a table.

    Args:
        report: dict of str to numbers.
        digits: int, of each float. Default 4.

    Returns:
        List of (label, number), two str.

    Example:
    >>> metric_rows({"psnr": 21.54321, "images": 5})
    [('PSNR dB, higher is better', '21.54'), ('images', '5')]
    """

    def shown(value):
        if value is None:  # as what is not finite is stored
            return "none"
        return f"{value:.{digits}g}" if isinstance(value, float) else str(value)

    return [(metric_label(name), shown(value)) for name, value in report.items()]


def codebooks_line(sizes):
    """Codebooks in words.

    Args:
        sizes: sequence of int, codes of each.

    Returns:
        str.

    Example:
    >>> codebooks_line([1024]), codebooks_line([8, 8]), codebooks_line([8, 5, 5])
    ('1 codebook of 1024', '2 codebooks of 8', '3 codebooks of 8, 5, 5')
    """
    sizes = [int(size) for size in sizes]
    shown = sizes[:1] if len(set(sizes)) == 1 else sizes
    named = ", ".join(map(str, shown[:4])) + (", ..." if len(shown) > 4 else "")
    return f"{len(sizes)} codebook{'' if len(sizes) == 1 else 's'}" + (f" of {named}" if named else "")


def parameters_line(count):
    """A number of parameters in words.

    Args:
        count: int.

    Returns:
        str.

    Example:
    >>> parameters_line(1_234_567), parameters_line(4_321), parameters_line(21)
    ('1.2 M parameters', '4.3 k parameters', '21 parameters')
    """
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit} parameters"
    return f"{count} parameters"


def model_line(model, *facts):
    """A model in one line: its class, the preset that it was loaded from, some facts, its parameters.

    Args:
        model: `keras.Model`, built or not.
        *facts: str, "" for what is not known.

    Returns:
        str.

    Example:
    >>> import keras
    >>> model_line(keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]), "two numbers")
    'Sequential(two numbers, 9 parameters)'
    """
    if getattr(model, "built", False):
        size = parameters_line(sum(math.prod(weight.shape) for weight in model.weights))
    else:
        size = "not built"
    preset = getattr(model, "preset_name", None)
    named = f"{preset!r}: " if preset else ""
    return f"{type(model).__name__}({named}{', '.join(filter(None, [*facts, size]))})"


def bits_of(shape, codebook_sizes):
    """The bits of tokens that are stored without any model of them.

    Args:
        shape: (*grid, num_codebooks).
        codebook_sizes: sequence of int, codes of each.

    Returns:
        float.

    Example:
    >>> bits_of((16, 16, 1), [1024])
    2560.0
    """
    return math.prod(shape[:-1]) * sum(map(math.log2, codebook_sizes))
