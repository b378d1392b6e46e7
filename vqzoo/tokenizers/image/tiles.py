"""Overlapping tiles of large images, so that the networks need only the memory of a few tiles."""

import itertools
from typing import NamedTuple

import keras
import numpy as np

from vqzoo.data.stream import is_count
from vqzoo.jsons import shown

# Tokens of context on each side of a tile. Half of them are discarded. The networks of `image_vqvae` see less than 4
# tokens at every stride, and the fifth is for sizes that are not whole strides.
MARGIN = 10
# Side in pixels of a test image, from whose grid the stride is found. This works for strides up to its square root.
PROBE = 4096


class Tile(NamedTuple):
    """One tile along one axis."""

    source: slice  # of the input of the network
    target: slice  # of its output
    weights: np.ndarray  # (length of the target,) float32, for blending


def tiles_along(tokens, stride, tile_size, tile_margin=None):
    """Places tiles of equal length along an axis, as few as `tile_size` allows, evenly spaced.

    Neighbors overlap by two margins or slightly more.

    Args:
        tokens: int, positions of the grid along the axis.
        stride: int, side of a token in pixels.
        tile_size: int, maximum pixels of a tile without its margins, rounded up to whole strides.
        tile_margin: int, minimum pixels of context on either side, rounded up to whole strides. Defaults to 10 strides.

    Returns:
        List of (start, stop), tokens. A single tile is the whole axis.

    Raises:
        ValueError: if `tile_size` or `tile_margin` is not a number of pixels.

    Example:
    >>> tiles_along(tokens=10, stride=4, tile_size=16, tile_margin=4)
    [(0, 6), (4, 10)]
    """
    _check_pixels("tile_size", tile_size, 1)
    _check_pixels("tile_margin", 0 if tile_margin is None else tile_margin, 0)
    margin = MARGIN if tile_margin is None else -(-int(tile_margin) // stride)
    inner = tokens - 2 * margin  # the first and the last tile need no margin outside the image
    count = max(1, -(-inner // -(-int(tile_size) // stride)))
    length = -(-inner // count) + 2 * margin if count > 1 else tokens
    starts = [i * (tokens - length) // max(count - 1, 1) for i in range(count)]
    return [(start, start + length) for start in starts]


def encoding_tiles(size, stride, tile_size, tile_margin=None):
    """Tiles of the pixels of an axis, for the encoder.

    Strided "same" convolutions pad by the remainder of the size. All tiles have the remainder of the image, so that
    they have its phase, and the last tile ends with it.

    Args:
        size: int, pixels of the image along the axis.
        stride: int, side of a token in pixels.
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
    """Tiles of the tokens of an axis, for the decoder.

    Args:
        tokens: int, positions of the grid along the axis.
        stride: int, side of a token in pixels.
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
    """Runs a network tile by tile, blends the results, and yields them from top to bottom.

    Args:
        network: callable, tensor (tiles, *source, channels) to a tensor (tiles, *target, width).
        inputs: array (batch, height, width, channels), float or integer.
        rows: list of `Tile` along the height.
        columns: list of `Tile` along the width.
        width: int, channels of the result.
        batch_size: int, tiles per batch.

    Yields:
        Slice of the result's rows, and a float32 array (batch, those rows, columns of the result, width).

    Raises:
        ValueError: if the output of the network has not the size of the tile.
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
        # Rows that overlap with the next tiles are not complete yet.
        done = (below.target.start if below else row.target.stop) - row.target.start
        yield slice(row.target.start, row.target.start + done), band[:, :done]
        rest = band[:, done:]


def grid_of(tokenizer):
    """Finds the size of a token in pixels, and the width of the latents.

    Args:
        tokenizer: a built `ImageTokenizer`.

    Returns:
        Tuple ((pixels down, pixels across), latent_dim), ints.

    Raises:
        ValueError: if the tokenizer is not built, only takes images of one size, or its tokens are not a grid of rows
            and columns with one stride.
    """
    if not tokenizer.built:
        raise ValueError(
            "The stride is known only after `build`. Received: a tokenizer that is not built. Train it, or call "
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
            "Tiles need a tokenizer for images of any size, with ceil(size / stride) rows and columns of tokens. "
            f"Received: one for the shape {shape} with {type(tokenizer.quantizer).__name__}"
            + (f" and {grid} tokens of {PROBE}x{PROBE} pixels" if grid else "")
            + ". Leave `tile_size` out."
        )
    return strides, latents[-1]


def _check_pixels(name, value, smallest):
    if not is_count(value, smallest):
        raise ValueError(
            f"`{name}` must be a number of pixels, an integer of at least {smallest}. Received: {name}={shown(value)}. "
            "Tiles are squares, and sizes are rounded up to whole strides."
        )


def _run(network, tiles, expected):
    """The output of the network for tiles, as an array; raises if its shape is not `expected`."""
    dtype = "float32" if np.issubdtype(tiles.dtype, np.floating) else "int32"
    made = keras.ops.convert_to_numpy(network(keras.ops.convert_to_tensor(tiles, dtype)))
    if made.shape[1:] != expected:
        raise ValueError(
            f"The output for tiles of the shape {tiles.shape[1:]} must have the shape {expected}, by the encoder's "
            f"stride. Received: {made.shape[1:]}. Leave `tile_size` out, which needs a decoder of the same stride."
        )
    return made


def _weights(places, scale):
    r"""The weights of each tile at its positions, with `scale` positions per token.

    $$w_i(x) = r_i(x) - r_{i+1}(x), \qquad \sum_i w_i(x) = 1,$$

    with r_i rising linearly from 0 to 1 over the middle half of the overlap of tiles i - 1 and i. Its outer quarters,
    next to the borders of the tiles, are not used. r_0 is 1, and after the last tile r is 0.
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
    """A ramp from 0 to 1 over the middle half of the overlap from token `start` to `stop`."""
    quarter = (stop - start) * scale / 4
    return np.interp(positions, (start * scale + quarter, stop * scale - quarter), (0.0, 1.0))
