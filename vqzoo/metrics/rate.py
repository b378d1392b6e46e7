"""What the tokens cost."""

import math


def bits_per_pixel(token_shape, codebook_sizes, height, width):
    """Bits per pixel that a picture's tokens take without entropy coding.

    That is `positions * sum_i log2(codebook_sizes_i) / (height * width)`.

    Args:
        token_shape: tuple of ints (batch, *grid, num_codebooks), the tokens' shape; the batch does not
            matter.
        codebook_sizes: tuple of ints, the number of codes of each codebook.
        height: int, the picture's height in pixels.
        width: int, the picture's width in pixels.

    Returns:
        float, in bits per pixel.

    Raises:
        ValueError: `token_shape` is not of tokens of these codebooks, or the picture has no pixels.

    Example:
    >>> bits_per_pixel((1, 16, 16, 1), (1024,), height=256, width=256)
    0.0390625
    """
    if len(token_shape) < 2 or token_shape[-1] != len(codebook_sizes):
        raise ValueError(
            "`token_shape` must be (batch, *grid, num_codebooks) with one codebook size for each codebook. "
            f"Received: token_shape={tuple(token_shape)}, codebook_sizes={tuple(codebook_sizes)}"
        )
    if height < 1 or width < 1:
        raise ValueError(f"A picture must have pixels. Received: height={height}, width={width}")
    return math.prod(token_shape[1:-1]) * sum(math.log2(size) for size in codebook_sizes) / (height * width)
