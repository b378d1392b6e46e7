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


def kilobits_per_second(frame_rate, codebook_sizes):
    """Kilobits that a second of a sound's tokens takes without entropy coding.

    That is `frame_rate * sum_i log2(codebook_sizes_i) / 1000`.

    Args:
        frame_rate: float, positions of tokens a second, in Hz.
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
        raise ValueError(f"`frame_rate` is in Hz and positive. Received: frame_rate={frame_rate}")
    return frame_rate * sum(math.log2(size) for size in codebook_sizes) / 1000


def bits_per_character(positions, codebook_sizes, characters):
    """Bits per character of text that its tokens take without entropy coding.

    That is `positions * sum_i log2(codebook_sizes_i) / characters`.

    Args:
        positions: int, of the tokens of all texts.
        codebook_sizes: tuple of ints, the number of codes of each codebook; for pieces `(pieces.size,)`.
        characters: int, of all texts.

    Returns:
        float, in bits per character.

    Raises:
        ValueError: the texts have no characters.

    Example:
    >>> bits_per_character(12, (1024, 1024), characters=80)
    3.0
    """
    if characters < 1:
        raise ValueError(f"A text must have characters to divide by. Received: characters={characters}")
    return positions * sum(math.log2(size) for size in codebook_sizes) / characters
