"""Reconstructs signals from the magnitudes of their spectra."""

import keras
import numpy as np

from vqzoo.ops.audio.spectra import inverse_stft
from vqzoo.ops.audio.spectra import magnitudes as magnitudes_of
from vqzoo.ops.audio.spectra import stft


def griffin_lim(magnitudes, frame_length, hop_length, iterations=32, momentum=0.99, seed=0):
    r"""Estimates phases from magnitudes by the fast Griffin-Lim algorithm, and returns the signal.

    $$c_n = P(t_{n-1}), \qquad t_n = A\left(c_n + \alpha (c_n - c_{n-1})\right)$$

    with P the projection to the nearest spectrum of a signal, A the replacement of the magnitudes by the given ones,
    and random initial phases. It is meant for spectrograms without a network that predicts their phases, and sounds
    hollow in comparison. The result has the loudness of the magnitudes.

    Args:
        magnitudes: float tensor, shape (batch, frames, frame_length // 2 + 1), of `stft`.
        frame_length: int, samples of a frame, even.
        hop_length: int, samples between frames.
        iterations: int. Defaults to 32.
        momentum: float >= 0, α; 0 is the original Griffin-Lim algorithm. Defaults to 0.99.
        seed: int, seed of the initial phases. Defaults to 0.

    Returns:
        float32 tensor, shape (batch, frames * hop_length).

    Raises:
        ValueError: if the magnitudes do not have that shape, or a number is out of range.

    Example:
    >>> tone = np.sin(np.arange(2048) * 0.3)[None]
    >>> wanted = magnitudes_of(*stft(tone, 256, 64))
    >>> error = magnitudes_of(*stft(griffin_lim(wanted, 256, 64), 256, 64)) - wanted
    >>> bool(np.linalg.norm(error) < 0.2 * np.linalg.norm(wanted))
    True

    Reference:
        Griffin, Lim 1984; Perraudin, Balazs, Søndergaard 2013, A fast Griffin-Lim algorithm, algorithm 2
    """
    if len(magnitudes.shape) != 3 or magnitudes.shape[2] != frame_length // 2 + 1:
        raise ValueError(
            f"`magnitudes` have the shape (batch, frames, {frame_length // 2 + 1}) for frame_length={frame_length}. "
            f"Received: shape={tuple(magnitudes.shape)}. Convert mel spectra to bins first."
        )
    if iterations < 0 or momentum < 0.0:
        raise ValueError(
            f"`iterations` and `momentum` must be at least 0. Received: iterations={iterations}, momentum={momentum}"
        )
    magnitudes = keras.ops.cast(magnitudes, "float32")
    phases = keras.random.uniform(keras.ops.shape(magnitudes), 0.0, 2.0 * np.pi, seed=seed)
    spectrum = magnitudes * keras.ops.cos(phases), magnitudes * keras.ops.sin(phases)
    before = None
    for _ in range(iterations):
        consistent = stft(inverse_stft(*spectrum, frame_length, hop_length), frame_length, hop_length)
        moved = consistent
        if before is not None:
            moved = [now + momentum * (now - then) for now, then in zip(consistent, before, strict=True)]
        before = consistent
        scale = magnitudes / keras.ops.maximum(magnitudes_of(*moved), 1e-9)
        spectrum = moved[0] * scale, moved[1] * scale
    return inverse_stft(*spectrum, frame_length, hop_length)
