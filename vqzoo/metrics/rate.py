"""Rate of tokens without entropy coding."""

import math


def bits_per_pixel(token_shape, codebook_sizes, height, width):
    """Bits per pixel of the tokens of an image, without entropy coding.

    That is `positions * sum_i log2(codebook_sizes_i) / (height * width)`.

    Args:
        token_shape: tuple of ints (batch, *grid, num_codebooks), the shape of the tokens; the batch size does not
            matter.
        codebook_sizes: tuple of ints, the number of codes of each codebook.
        height: int, the height of the image in pixels.
        width: int, the width of the image in pixels.

    Returns:
        float, in bits per pixel.

    Raises:
        ValueError: `token_shape` does not match the codebooks, or the image has no pixels.

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
        raise ValueError(f"An image must have pixels. Received: height={height}, width={width}")
    return math.prod(token_shape[1:-1]) * sum(math.log2(size) for size in codebook_sizes) / (height * width)


def kilobits_per_second(frame_rate, codebook_sizes):
    """Kilobits per second of the tokens of audio, without entropy coding.

    That is `frame_rate * sum_i log2(codebook_sizes_i) / 1000`.

    Args:
        frame_rate: float, token positions per second, in Hz.
        codebook_sizes: tuple of ints, the number of codes of each codebook.

    Returns:
        float, in kbit/s.

    Raises:
        ValueError: `frame_rate` is not positive.

    Example:
    >>> kilobits_per_second(75, (1024,) * 8)  # EnCodec at 24 kHz
    6.0
    """
    if frame_rate <= 0:
        raise ValueError(f"`frame_rate` must be positive, in Hz. Received: frame_rate={frame_rate}")
    return frame_rate * sum(math.log2(size) for size in codebook_sizes) / 1000


def bits_per_character(positions, codebook_sizes, characters):
    """Bits per character of the tokens of text, without entropy coding.

    That is `positions * sum_i log2(codebook_sizes_i) / characters`.

    Args:
        positions: int, the number of token positions of all texts.
        codebook_sizes: tuple of ints, the number of codes of each codebook; for pieces `(pieces.size,)`.
        characters: int, the number of characters of all texts.

    Returns:
        float, in bits per character.

    Raises:
        ValueError: the texts have no characters.

    Example:
    >>> bits_per_character(12, (1024, 1024), characters=80)
    3.0
    """
    if characters < 1:
        raise ValueError(f"`characters` must be positive. Received: characters={characters}")
    return positions * sum(math.log2(size) for size in codebook_sizes) / characters
