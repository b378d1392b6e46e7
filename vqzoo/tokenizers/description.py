"""A tokenizer in one line."""

import math

from vqzoo.measures import codebooks_line
from vqzoo.measures import model_line


def tokenizer_line(tokenizer, stride=""):
    """What `repr` of a tokenizer is: class, preset, stride, codebooks, parameters. It never raises.

    Args:
        tokenizer: `Tokenizer`, also one that is not built.
        stride: str, what a position of tokens stands for. Default "": not known.

    Returns:
        str.

    Example:
    >>> import vqzoo
    >>> tokenizer = vqzoo.text_vqvae(vqzoo.data.Pieces.train(["a b"], 270, exact=False), stride=4)
    >>> type(tokenizer)(tokenizer.pieces, tokenizer.encoder, tokenizer.quantizer, tokenizer.decoder)
    TextTokenizer(4 codebooks of 1024, not built)
    """
    quantizer = getattr(tokenizer, "quantizer", None)
    return model_line(tokenizer, stride, codebooks_line(quantizer.codebook_sizes) if quantizer else "")


def stride_line(stride, unit, tokenizer):
    """What one position of a grid of tokens stands for.

    Args:
        stride: int, or tuple of int.
        unit: str, of the signal, such as "samples".
        tokenizer: `Tokenizer`.

    Returns:
        str.
    """
    shown = "x".join(map(str, stride)) if isinstance(stride, tuple) else str(stride)
    count = tokenizer.num_codebooks
    return f"{shown} {unit} a token" if count == 1 else f"{shown} {unit} for {count} tokens"


def pixels_line(tokenizer, probe):
    """What a token of an image stands for.

    Args:
        tokenizer: `ImageTokenizer`.
        probe: int, pixels a side of the image that it is asked about, where it takes any size.

    Returns:
        str, "" where it is not known.
    """
    if not tokenizer.built:
        return ""
    import keras

    _, height, width, channels = tokenizer.signal_shape
    size = (height or probe, width or probe)
    try:
        latents = tokenizer.encoder.compute_output_spec(keras.KerasTensor((1, *size, channels)))
        grid = tokenizer.quantizer.compute_output_spec(latents).tokens.shape[1:-1]
    except Exception:  # somebody's network; a line about it is no reason to fail
        return ""
    if len(grid) == 2:
        return stride_line(tuple(-(-n // m) for n, m in zip(size, grid, strict=True)), "pixels", tokenizer)
    if height and width:  # without rows and columns, as in a multi-scale quantizer
        return f"{height}x{width} pixels in {math.prod(grid) * tokenizer.num_codebooks} tokens"
    return ""
