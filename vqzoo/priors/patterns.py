"""Codebook patterns: the order in which several tokens per position form one sequence, as a lookup table."""

import keras
import numpy as np


class Pattern:
    """The order of the tokens of a signal, as a table of steps and streams.

    A step predicts the tokens of all its streams at once from the preceding steps. A subclass implements `streams` and
    `slots`.
    """

    def streams(self, num_codebooks):
        """Number of tokens per step.

        Args:
            num_codebooks: int.

        Returns:
            int.
        """
        raise NotImplementedError

    def slots(self, frames, num_codebooks):
        """The table of token indices.

        Args:
            frames: int, number of positions of the signal.
            num_codebooks: int, number of tokens per position.

        Returns:
            int32 array (steps, streams): position * num_codebooks + codebook, and -1 for empty slots.
        """
        raise NotImplementedError

    def apply(self, tokens, fill=-1):
        """Arranges tokens as a sequence.

        Args:
            tokens: int array or tensor (batch, frames, num_codebooks), the last two sizes static.
            fill: int, value of empty slots. Defaults to -1.

        Returns:
            int32 tensor (batch, steps, streams).

        Raises:
            ValueError: if a size is unknown.
        """
        tokens = keras.ops.convert_to_tensor(tokens, "int32")
        _, frames, codebooks = tokens.shape
        if frames is None or codebooks is None:
            raise ValueError(
                f"A pattern needs a static number of positions and codebooks. Received: shape={tokens.shape}. "
                "Give the batch a static shape."
            )
        slots = self.slots(frames, codebooks)
        return _placed(tokens, slots, fill)

    def revert(self, sequence, frames, num_codebooks, fill=-1):
        """Restores tokens from a sequence, or from its first steps.

        Args:
            sequence: int array or tensor (batch, steps or fewer, streams), the last two sizes static.
            frames: int, number of positions of the signal.
            num_codebooks: int.
            fill: int, value of tokens that the steps do not reach. Defaults to -1.

        Returns:
            int32 tensor (batch, frames, num_codebooks).

        Raises:
            ValueError: if the sequence has a wrong number of streams, or too many steps.
        """
        sequence = keras.ops.convert_to_tensor(sequence, "int32")
        slots = self.slots(frames, num_codebooks)
        _, steps, streams = sequence.shape
        if steps is None or steps > len(slots) or streams != slots.shape[1]:
            raise ValueError(
                f"{frames} positions with {num_codebooks} codebooks are {slots.shape} steps and streams. Received: "
                f"shape={tuple(sequence.shape)}"
            )
        places = np.full(frames * num_codebooks, -1, "int32")
        reached = slots[:steps].reshape(-1)
        places[reached[reached >= 0]] = np.flatnonzero(reached >= 0)
        return _placed(sequence, places.reshape(frames, num_codebooks), fill)

    def whole_frames(self, steps, frames, num_codebooks):
        """Number of leading positions whose tokens are complete after some steps.

        Args:
            steps: int, number of completed steps.
            frames: int, number of positions of the signal.
            num_codebooks: int.

        Returns:
            int.

        Example:
        >>> DelayPattern().whole_frames(4, frames=10, num_codebooks=2)
        3
        """
        reached = self.slots(frames, num_codebooks)[:steps]
        done = np.isin(np.arange(frames * num_codebooks), reached).reshape(frames, num_codebooks).all(axis=1)
        return int(np.argmin(np.append(done, False)))

    # === Config ===
    def get_config(self):
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config):
        """Creates a pattern from its config."""
        return cls(**config)

    def __eq__(self, other):
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self):
        return hash((type(self), str(self.get_config())))


@keras.saving.register_keras_serializable(package="vqzoo")
class FlattenPattern(Pattern):
    """One token per step: the tokens of a position, codebook after codebook, then the next position.

    It is exact, and the longest: frames * num_codebooks steps.

    Example:
    >>> FlattenPattern().slots(3, 2).tolist()
    [[0], [1], [2], [3], [4], [5]]
    """

    def streams(self, num_codebooks):
        """One."""
        return 1

    def slots(self, frames, num_codebooks):
        """See `Pattern`."""
        return np.arange(frames * num_codebooks, dtype="int32")[:, None]


@keras.saving.register_keras_serializable(package="vqzoo")
class ParallelPattern(Pattern):
    """All tokens of a position in one step, sampled independently.

    Example:
    >>> ParallelPattern().slots(3, 2).tolist()
    [[0, 1], [2, 3], [4, 5]]
    """

    def streams(self, num_codebooks):
        """The number of codebooks."""
        return num_codebooks

    def slots(self, frames, num_codebooks):
        """See `Pattern`."""
        return np.arange(frames * num_codebooks, dtype="int32").reshape(frames, num_codebooks)


@keras.saving.register_keras_serializable(package="vqzoo")
class DelayPattern(Pattern):
    """One position per step, with each codebook delayed, so that it depends on the coarser codebooks.

    Args:
        delays: sequence of int, delay of each codebook in steps. Defaults to 0, 1, 2, ...

    Raises:
        ValueError: if a delay is negative, none is 0, or (in `slots`) their number is not the number of codebooks.

    Example:
    >>> DelayPattern().slots(3, 2).tolist()
    [[0, -1], [2, 1], [4, 3], [-1, 5]]

    Reference:
        Copet et al. 2023 (MusicGen), https://arxiv.org/abs/2306.05284, section 2.2
    """

    def __init__(self, delays=None):
        self.delays = None if delays is None else tuple(int(delay) for delay in delays)
        if self.delays is not None and (not self.delays or min(self.delays) != 0):
            raise ValueError(f"Delays are numbers of steps, and the smallest is 0. Received: delays={self.delays}")

    def streams(self, num_codebooks):
        """The number of codebooks."""
        return num_codebooks

    def slots(self, frames, num_codebooks):
        """See `Pattern`."""
        return _delayed(frames, self._delays(num_codebooks))

    def _delays(self, num_codebooks):
        delays = tuple(range(num_codebooks)) if self.delays is None else self.delays
        if len(delays) != num_codebooks:
            raise ValueError(f"Each of the {num_codebooks} codebooks needs a delay. Received: delays={delays}")
        return delays

    def get_config(self):
        """The constructor's arguments."""
        return {"delays": None if self.delays is None else list(self.delays)}


@keras.saving.register_keras_serializable(package="vqzoo")
class CoarseFirstPattern(Pattern):
    """The first codebook at all positions, then all the others, one position per step.

    Example:
    >>> CoarseFirstPattern().slots(2, 3).tolist()
    [[0, -1, -1], [3, -1, -1], [-1, 1, 2], [-1, 4, 5]]

    Reference:
        Wang et al. 2023 (VALL-E), https://arxiv.org/abs/2301.02111, section 4.2, which samples the finer ones level by
        level; this order: Copet et al. 2023 (MusicGen), https://arxiv.org/abs/2306.05284, figure 1, "VALL-E"
    """

    def streams(self, num_codebooks):
        """The number of codebooks."""
        return num_codebooks

    def slots(self, frames, num_codebooks):
        """See `Pattern`."""
        return _delayed(frames, (0, *(frames for _ in range(num_codebooks - 1))))


def _delayed(frames, delays):
    steps = np.arange(frames + max(delays))[:, None] - np.array(delays)
    slots = steps * len(delays) + np.arange(len(delays))
    return np.where((steps >= 0) & (steps < frames), slots, -1).astype("int32")


def _placed(numbers, places, fill):
    """Gathers from (batch, *two axes) at the flat indices `places` (a, b), with `fill` where the index is -1."""
    batch = keras.ops.shape(numbers)[0]
    flat = keras.ops.reshape(numbers, (batch, numbers.shape[1] * numbers.shape[2]))
    # `fill` is an additional entry of the table.
    padded = keras.ops.pad(flat, ((0, 0), (0, 1)), constant_values=fill)
    taken = keras.ops.take(padded, np.where(places < 0, flat.shape[1], places).reshape(-1), axis=1)
    return keras.ops.reshape(taken, (batch, *places.shape))
