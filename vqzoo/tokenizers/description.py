"""The one-line description of a tokenizer."""

import math

from vqzoo.measures import codebooks_line
from vqzoo.measures import model_line


def tokenizer_line(tokenizer, stride=""):
    """The `repr` of a tokenizer with class, preset, stride, codebooks and parameters. It never raises.

    Args:
        tokenizer: `Tokenizer`, built or not.
        stride: str, extent of a position of tokens. Defaults to "", for unknown.

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
    """Describes the extent of one position of a grid of tokens.

    Args:
        stride: int, or tuple of int.
        unit: str, unit of the signal, such as "samples".
        tokenizer: `Tokenizer`.

    Returns:
        str.
    """
    shown = "x".join(map(str, stride)) if isinstance(stride, tuple) else str(stride)
    count = tokenizer.num_codebooks
    return f"{shown} {unit} a token" if count == 1 else f"{shown} {unit} for {count} tokens"


def pixels_line(tokenizer, probe):
    """Describes the extent of a token of an image.

    Args:
        tokenizer: `ImageTokenizer`.
        probe: int, side in pixels of the image to test, if the tokenizer takes any size.

    Returns:
        str, "" if unknown.
    """
    if not tokenizer.built:
        return ""
    import keras

    _, height, width, channels = tokenizer.signal_shape
    size = (height or probe, width or probe)
    try:
        latents = tokenizer.encoder.compute_output_spec(keras.KerasTensor((1, *size, channels)))
        grid = tokenizer.quantizer.compute_output_spec(latents).tokens.shape[1:-1]
    except Exception:  # a custom network may fail, but a description must not
        return ""
    if len(grid) == 2:
        return stride_line(tuple(-(-n // m) for n, m in zip(size, grid, strict=True)), "pixels", tokenizer)
    if height and width:  # a multi-scale quantizer has no rows and columns
        return f"{height}x{width} pixels in {math.prod(grid) * tokenizer.num_codebooks} tokens"
    return ""
