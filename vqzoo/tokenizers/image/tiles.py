"""Large pictures in overlapping tiles: the networks need the memory of a few tiles, however large the picture is."""

import itertools
from typing import NamedTuple

import keras
import numpy as np

from vqzoo.data.stream import is_count
from vqzoo.jsons import shown

# Tokens of context on each side of a tile. Half of them are cut away, and the networks of `image_vqvae` see less than
# 4 tokens far at every stride; the fifth makes up for a size that is no whole number of strides.
MARGIN = 10
# Pixels a side of the imagined picture whose grid tells the stride; strides up to its square root are told apart.
PROBE = 4096


class Tile(NamedTuple):
    """One tile along one axis."""

    source: slice  # of what a network sees
    target: slice  # of what it makes of it
    weights: np.ndarray  # (length of the target,) float32, its share there


def tiles_along(tokens, stride, tile_size, tile_margin=None):
    """Lays tiles of one length along an axis: as few as `tile_size` allows, evenly spread.

    Neighbours overlap by two margins or a little more.

    Args:
        tokens: int, positions of the grid along the axis.
        stride: int, pixels a token stands for.
        tile_size: int, pixels of a tile without its margins, at most; rounded up to whole strides.
        tile_margin: int, pixels of context on either side, at least; rounded up too. Defaults to 10 strides.

    Returns:
        List of (start, stop), tokens. One tile is the whole axis.

    Raises:
        ValueError: if `tile_size` or `tile_margin` is no number of pixels.

    Example:
    >>> tiles_along(tokens=10, stride=4, tile_size=16, tile_margin=4)
    [(0, 6), (4, 10)]
    """
    _check_pixels("tile_size", tile_size, 1)
    _check_pixels("tile_margin", 0 if tile_margin is None else tile_margin, 0)
    margin = MARGIN if tile_margin is None else -(-int(tile_margin) // stride)
    inner = tokens - 2 * margin  # the first and the last tile need no margin outside the picture
    count = max(1, -(-inner // -(-int(tile_size) // stride)))
    length = -(-inner // count) + 2 * margin if count > 1 else tokens
    starts = [i * (tokens - length) // max(count - 1, 1) for i in range(count)]
    return [(start, start + length) for start in starts]


def encoding_tiles(size, stride, tile_size, tile_margin=None):
    """Tiles of the pixels of an axis, to be made latents.

    Strided "same" convolutions pad by the remainder of the size. All tiles have the picture's, so that they see the
    pixels in its phase, and the last one ends where it does.

    Args:
        size: int, pixels of the picture along the axis.
        stride: int, pixels a token stands for.
        tile_size: int, as in `tiles_along`.
        tile_margin: int, as in `tiles_along`.

    Returns:
        List of `Tile`, pixels to tokens.

    Example:
    >>> [tile[:2] for tile in encoding_tiles(39, 4, 16, 4)]
    [(slice(0, 23, None), slice(0, 6, None)), (slice(16, 39, None), slice(4, 10, None))]
    """
    places, missing = tiles_along(-(-size // stride), stride, tile_size, tile_margin), -size % stride
    weights = _weights(places, 1)
    return [
        Tile(slice(start * stride, stop * stride - missing), slice(start, stop), weight)
        for (start, stop), weight in zip(places, weights, strict=True)
    ]


def decoding_tiles(tokens, stride, tile_size, tile_margin=None):
    """Tiles of the tokens of an axis, to be made pixels.

    Args:
        tokens: int, positions of the grid along the axis.
        stride: int, pixels a token stands for.
        tile_size: int, as in `tiles_along`.
        tile_margin: int, as in `tiles_along`.

    Returns:
        List of `Tile`, tokens to pixels.

    Example:
    >>> [tile[:2] for tile in decoding_tiles(10, 4, 16, 4)]
    [(slice(0, 6, None), slice(0, 24, None)), (slice(4, 10, None), slice(16, 40, None))]
    """
    places = tiles_along(tokens, stride, tile_size, tile_margin)
    weights = _weights(places, stride)
    return [
        Tile(slice(start, stop), slice(start * stride, stop * stride), weight)
        for (start, stop), weight in zip(places, weights, strict=True)
    ]


def bands_of_tiles(network, inputs, rows, columns, width, batch_size):
    """Runs a network tile by tile, fades the results into each other, and yields them from top to bottom.

    Args:
        network: callable, tensor (tiles, *source, channels) to a tensor (tiles, *target, width).
        inputs: array (batch, height, width, channels), float or integer.
        rows: list of `Tile` along the height.
        columns: list of `Tile` along the width.
        width: int, channels of the result.
        batch_size: int, tiles at once.

    Yields:
        Slice of the result's rows, and a float32 array (batch, those rows, columns of the result, width).

    Raises:
        ValueError: if the network's result has another size than the tile stands for.
    """
    rest = np.zeros((len(inputs), 0, columns[-1].target.stop, width), "float32")
    for row, below in itertools.zip_longest(rows, rows[1:]):
        missing = len(row.weights) - rest.shape[1]
        band = np.pad(rest, ((0, 0), (0, missing), (0, 0), (0, 0)))
        places = itertools.product(range(len(inputs)), columns)
        while batch := list(itertools.islice(places, batch_size)):
            tiles = np.stack([inputs[image, row.source, column.source] for image, column in batch])
            made = _run(network, tiles, (len(row.weights), len(columns[0].weights), width))
            for (image, column), tile in zip(batch, made, strict=True):
                band[image, :, column.target] += tile * row.weights[:, None, None] * column.weights[:, None]
        # Rows that the next tiles share are not done.
        done = (below.target.start if below else row.target.stop) - row.target.start
        yield slice(row.target.start, row.target.start + done), band[:, :done]
        rest = band[:, done:]


def grid_of(tokenizer):
    """Finds how many pixels a token stands for, and how wide the latents are.

    Args:
        tokenizer: a built `ImageTokenizer`.

    Returns:
        Tuple ((pixels down, pixels across), latent_dim), ints.

    Raises:
        ValueError: if the tokenizer is not built, takes pictures of one size alone, or its tokens are no grid of rows
            and columns with one stride.
    """
    if not tokenizer.built:
        raise ValueError(
            "Only a tokenizer with weights knows its stride. Received: one that is not built. Train it, or call "
            "`tokenizer.build((None, None, None, channels))`."
        )
    channels = tokenizer.signal_shape[-1]
    shape = tuple(tokenizer.expected_shape)
    grid = latents = ()
    if shape[1:-1] == (None, None):
        latents = tokenizer.encoder.compute_output_spec(keras.KerasTensor((1, PROBE, PROBE, channels))).shape
        any_grid = keras.KerasTensor((None, *[None] * (len(latents) - 2), latents[-1]))
        if len(tokenizer.quantizer.compute_output_spec(any_grid).tokens.shape) == 4:
            grid = tuple(latents[1:-1])
    strides = tuple(-(-PROBE // positions) for positions in grid)
    if not grid or any(-(-PROBE // s) != positions for s, positions in zip(strides, grid, strict=True)):
        raise ValueError(
            "Tiles need a tokenizer for pictures of any size, with ceil(size / stride) rows and columns of tokens. "
            f"Received: one for the shape {shape} with {type(tokenizer.quantizer).__name__}"
            + (f" and {grid} tokens of {PROBE}x{PROBE} pixels" if grid else "")
            + ". Leave `tile_size` out."
        )
    return strides, latents[-1]


def _check_pixels(name, value, smallest):
    if not is_count(value, smallest):
        raise ValueError(
            f"`{name}` is a number of pixels, an integer from {smallest} up. Received: {name}={shown(value)}. Tiles "
            "are squares; other sizes than whole strides are rounded up."
        )


def _run(network, tiles, expected):
    """The network's result for tiles, as an array; raises where one has not the shape `expected`."""
    dtype = "float32" if np.issubdtype(tiles.dtype, np.floating) else "int32"
    made = keras.ops.convert_to_numpy(network(keras.ops.convert_to_tensor(tiles, dtype)))
    if made.shape[1:] != expected:
        raise ValueError(
            f"Tiles of the shape {tiles.shape[1:]} have to become {expected}, by the encoder's stride. "
            f"Received: {made.shape[1:]}. Leave `tile_size` out, which needs a decoder of the same stride."
        )
    return made


def _weights(places, scale):
    r"""Each tile's share of its positions, `scale` of them a token.

    $$w_i(x) = r_i(x) - r_{i+1}(x), \qquad \sum_i w_i(x) = 1,$$

    with r_i rising linearly from 0 to 1 over the middle half of the overlap of tiles i - 1 and i: its outer quarters,
    next to a tile's border, are not used. r_0 is 1, and there is none behind the last tile.
    """
    overlaps = [(start, stop) for (_, stop), (start, _) in itertools.pairwise(places)]
    weights = []
    for i, (start, stop) in enumerate(places):
        positions = np.arange(start * scale, stop * scale) + 0.5
        rises = _ramp(positions, scale, *overlaps[i - 1]) if i > 0 else np.ones(len(positions))
        falls = _ramp(positions, scale, *overlaps[i]) if i < len(overlaps) else 0.0
        weights.append((rises - falls).astype("float32"))
    return weights


def _ramp(positions, scale, start, stop):
    """0 before the middle half of the overlap from token `start` to `stop`, 1 behind it."""
    quarter = (stop - start) * scale / 4
    return np.interp(positions, (start * scale + quarter, stop * scale - quarter), (0.0, 1.0))
