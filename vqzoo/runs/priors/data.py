"""What a prior learns from: rows of tokens of a target, and of what each is asked by."""

import abc
import dataclasses
import pathlib

import numpy as np

from vqzoo.data import TokenBatches
from vqzoo.files import user_path

# Batches of rows with several lengths are cut to these: each is compiled on its own, and a seventh of it is padding.
_LENGTHS = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)


@dataclasses.dataclass
class Rows:
    """Rows of tokens for one side of a split.

    Attributes:
        tokens: int32 array (rows, *grid, num_codebooks), -1 behind the end of a row where these have several lengths.
        names: list of str, the file of each row.
        values: dict name of a condition part -> list with the value of each row, "" for none.
        skipped: dict path -> reason, what could not be read.
        size: tuple of int, of the signals, where all have one.
    """

    tokens: np.ndarray
    names: list
    values: dict = dataclasses.field(default_factory=dict)
    skipped: dict = dataclasses.field(default_factory=dict)
    size: tuple = ()


class PriorData(abc.ABC):
    """What a prior learns from. `PriorRun` composes one.

    `read` is quick and comes before the output folder is locked; `open` may encode for minutes. After `open` there are
    `target`, `conditions`, `train` and `held_out`.

    Args:
        settings: dataclass, the recipe's.
    """

    noun = "examples"
    """str, what the examples are called in the progress line."""

    files_noun = "files"
    """str, what the examples of the data are called, in the plural."""

    counts = ("examples", "validation_examples")
    """Tuple of str, settings that are 1 or more."""

    as_context = False
    """bool, whether the conditions are the context that the prior's cross-attention sees, instead of a prefix."""

    sample_files = ()
    """Tuple of str, what `save_samples` writes into the preset."""

    def __init__(self, settings):
        self.settings = settings
        self.target = None  # `vqzoo.generation.Part`
        self.conditions = ()  # tuple of them
        self.train = self.held_out = None  # `Rows`

    @abc.abstractmethod
    def read(self, folder):
        """Lists what is there: `vqzoo.modalities.Split`.

        Args:
            folder: path of the preset that the run writes, which none of its tokenizers may be in.
        """

    @abc.abstractmethod
    def open(self, split, start, quiet):
        """Makes the rows of tokens and the parts.

        Args:
            split: `vqzoo.modalities.Split`.
            start: `vqzoo.generation.Generator` of the preset that the run continues from, or None.
            quiet: bool, whether no progress is shown.
        """

    def names(self, split):
        """List that identifies the data.

        Args:
            split: `vqzoo.modalities.Split`.
        """
        return split.train

    def validation_count(self, split):
        """How many held-out examples are wanted, an int.

        Args:
            split: `vqzoo.modalities.Split`.
        """
        return self.settings.validation_examples

    @property
    def skipped(self):
        """Dict path -> reason, what could not be read."""
        return {**self.train.skipped, **self.held_out.skipped}

    @property
    def remark(self):
        """What is to be known of the rows, a str; "" for nothing."""
        return ""

    @property
    def grid(self):
        """Tuple of int, the grid of the target's tokens; None where rows have several lengths."""
        tokens = self.train.tokens
        ragged = tokens.ndim == 3 and any((rows.tokens < 0).any() for rows in (self.train, self.held_out))
        return None if ragged else tokens.shape[1:-1]

    @property
    def lengths(self):
        """Tuple of int, to which batches for training are cut; None where rows have one length."""
        return None if self.grid else _LENGTHS

    def ids(self, space, rows, asked=True):
        """The conditions of rows as ids.

        Args:
            space: `vqzoo.priors.TokenSpace`.
            rows: `Rows`.
            asked: bool. False asks for nothing. Defaults to True.

        Returns:
            int32 tensor (rows, length); None where there are no conditions.
        """
        if not self.conditions:
            return None
        tokens = {part.name: self.condition_tokens(part, rows) for part in self.conditions}
        if not asked:
            tokens = {name: np.full_like(array, -1) for name, array in tokens.items()}
        return space.prefix(**tokens)

    def condition_tokens(self, part, rows):
        """Tokens of one condition of rows, int32 (rows, *grid, num_codebooks), -1 for none.

        Args:
            part: `vqzoo.generation.Part`.
            rows: `Rows`.
        """
        return part.tokens(rows.values[part.name])

    def batches(self, space, rows, batch_size, seed=0, asked=True, lengths=None):
        """`TokenBatches` of rows with their conditions.

        Args:
            space: `vqzoo.priors.TokenSpace`.
            rows: `Rows`.
            batch_size: int.
            seed: int. Defaults to 0.
            asked: bool, as of `ids`. Defaults to True.
            lengths: as of `TokenBatches`. Defaults to none.
        """
        kind = "context" if self.as_context else "prefix"
        ids = self.ids(space, rows, asked)
        return TokenBatches(rows.tokens, batch_size, **{kind: ids}, seed=seed, lengths=lengths)

    # === Results ===
    @abc.abstractmethod
    def describe(self, split):
        """What the card says: dict of `modality`, `description`, `data`, `example` and more.

        Args:
            split: `vqzoo.modalities.Split`.
        """

    @abc.abstractmethod
    def watcher(self, generator, folder):
        """The Keras callback that writes what the prior generates during training.

        Args:
            generator: `vqzoo.generation.Generator` of the prior in training.
            folder: path, of the run.
        """

    @abc.abstractmethod
    def save_samples(self, generator, folder):
        """Writes what the trained prior makes into the preset, as `sample_files`.

        Args:
            generator: `vqzoo.generation.Generator`.
            folder: path.
        """

    def judge(self, generator):
        """Numbers about what the trained prior makes, beside those of its predictions. Defaults to none.

        Args:
            generator: `vqzoo.generation.Generator`.

        Returns:
            Dict of str to numbers.
        """
        return {}


def class_of(name, root):
    """The class of a file: the first folder below `root`, or of a name in shards the first folder of it.

    Args:
        name: path, or str.
        root: path, or None where names are relative.

    Returns:
        str, "" for none.

    Example:
    >>> class_of("pictures/cats/old/1.png", "pictures"), class_of("pictures/1.png", "pictures")
    ('cats', '')
    """
    path = pathlib.PurePath(name)
    if root is not None:
        root = user_path(root)
        path = path.relative_to(root) if path.is_relative_to(root) and path != root else pathlib.PurePath(path.name)
    return path.parts[0] if len(path.parts) > 1 else ""


def padded_rows(rows):
    """Tokens of several lengths as one array.

    Args:
        rows: list of int32 arrays (*grid, num_codebooks), of one shape or with a single grid axis.

    Returns:
        int32 array (rows, *grid, num_codebooks), -1 behind the end of shorter ones.

    Raises:
        ValueError: if rows with two grid axes have several shapes.

    Example:
    >>> padded_rows([np.array([[1], [2]]), np.array([[3]])])[..., 0].tolist()
    [[1, 2], [3, -1]]
    """
    shapes = sorted({row.shape for row in rows})
    if len(shapes) == 1:
        return np.stack(rows).astype("int32")
    if any(len(shape) != 2 for shape in shapes):
        raise ValueError(
            f"A prior's tokens have one shape, or one axis of any length. Received: {shapes[0]} and {shapes[-1]}. "
            "Encode signals of one size."
        )
    tokens = np.full((len(rows), max(shape[0] for shape in shapes), shapes[0][1]), -1, "int32")
    for place, row in zip(tokens, rows, strict=True):
        place[: len(row)] = row
    return tokens
