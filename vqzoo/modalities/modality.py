"""The contract of a modality: all that is special to one kind of signal."""

import abc
import collections
import dataclasses
import math
import weakref
from typing import NamedTuple

import keras

from vqzoo.data import TokenRow

EXAMPLES = 4
"""int, how many examples exports are verified on."""


@dataclasses.dataclass
class Split:
    """The data of a training run, split into two.

    Attributes:
        train: list of files or of examples, or a source of them.
        validation: the same, held out.
        ignored: dict ending -> count, files of other kinds in the folders.
        skipped: dict path -> reason, files that could not be read.
        context: dict, what the recipe's `build` needs to know of the data, such as the `pieces` of text.
    """

    train: object
    validation: object
    ignored: dict = dataclasses.field(default_factory=dict)
    skipped: dict = dataclasses.field(default_factory=dict)
    context: dict = dataclasses.field(default_factory=dict)


def ignored_in(*found):
    """Files of other kinds in several listings.

    Args:
        *found: `FileList`s, or lists without such counts.

    Returns:
        Dict ending -> count.

    Example:
    >>> from vqzoo.data.files import FileList
    >>> ignored_in(FileList([], {".md": 1}), FileList([], {".md": 2, "": 1}), [])
    {'.md': 3, '': 1}
    """
    counts = collections.Counter()
    for files in found:
        counts.update(getattr(files, "ignored", {}))
    return dict(counts)


class Evaluation(NamedTuple):
    """What was measured, and on what.

    Attributes:
        report: dict of str to numbers.
        measured: str, one line: on how many examples of which size out of how many files.
        files: int, how many there are.
        skipped: dict of path to reason, those that could not be read.
        ignored: dict of ending to count, files of other kinds.
    """

    report: dict
    measured: str
    files: int
    skipped: dict
    ignored: dict


class Modality(abc.ABC):
    """Answers every question that a run, a verb, an export or a card has about one kind of signal.

    There is one object of each modality, in `vqzoo.modalities.MODALITIES`. It keeps no state of a run. A signal is an
    array (*size, channels).
    """

    name = None
    """str, the `modality` of its tokenizers and presets."""

    noun = None
    """str, what examples are called, in the plural."""

    files_noun = None
    """str, what the examples of the training data are called, in the plural."""

    skipped_noun = None
    """str, what the files that could not be read are called. Defaults to `files_noun`."""

    suffix = None
    """str, the ending of a file that `save` writes, with its dot."""

    sample_files = ("samples.png",)
    """Tuple of str, the files and folders that `save_samples` writes into a preset."""

    generated_files = ("samples",)
    """Tuple of str, the files and folders that `save_generated` writes into a preset."""

    prints = False
    """bool, whether what a prior generates is text, which is printed where no file is given."""

    has_size = False
    """bool, whether generated results have a size that their tokens do not determine."""

    has_grid = False
    """bool, whether one picture can show several generated results."""

    at_once = None
    """int, values of a batch of signals of one size; larger signals are encoded one at a time."""

    counts = ()
    """Tuple of str, settings of a training run that are 1 or more."""

    def __init__(self):
        self._grids = weakref.WeakKeyDictionary()  # tokenizer -> {size of a signal: grid of its tokens}

    # === Files ===
    @abc.abstractmethod
    def find(self, path):
        """`FileList` of the files of this modality at a path, a folder or one file."""

    @abc.abstractmethod
    def load(self, tokenizer, path):
        """The signal of one file as the tokenizer takes it, an array (*size, channels)."""

    @abc.abstractmethod
    def save(self, tokenizer, path, signal):
        """Writes one signal to a file."""

    # === Tokens ===
    @abc.abstractmethod
    def encode(self, tokenizer, signals):
        """Tokens of a list of signals of one size, int32 arrays (*grid, num_codebooks)."""

    @abc.abstractmethod
    def decode(self, tokenizer, tokens, size):
        """The signal of one file's tokens, an array (*size, channels); raises ValueError where they do not fit."""

    @abc.abstractmethod
    def compare(self, tokenizer, signal, reconstruction):
        """How near a reconstruction is to its signal: dict of numbers."""

    @abc.abstractmethod
    def examples(self, tokenizer):
        """A batch of a few examples that are already here, to verify exports on."""

    def rows(self, tokenizer, name, signal, tokens):
        """The rows of token shards that one file's tokens become.

        Args:
            tokenizer: `Tokenizer`.
            name: str, the file's.
            signal: array (*size, channels).
            tokens: int32 array (*grid, num_codebooks).

        Returns:
            List of `vqzoo.data.TokenRow`.
        """
        return [TokenRow(tokens, signal.shape[:-1], name)]

    # === Training ===
    @abc.abstractmethod
    def split(self, settings):
        """Reads what a run trains on: `Split`.

        Args:
            settings: dataclass, the recipe's, with `data`, `validation_data`, `validation_share` and what the modality
                needs besides.

        Raises:
            ValueError: if nothing can be read, or a setting is out of its range.
        """

    @abc.abstractmethod
    def datasets(self, settings, split, validation_batch):
        """Two objects with `batch(step)`, `dataset(start, steps, worker, workers)` and `skipped`.

        Args:
            settings: dataclass, the recipe's.
            split: `Split`.
            validation_batch: int, held-out examples at once.

        Returns:
            Tuple of two, for training and for validation.
        """

    @abc.abstractmethod
    def validation_count(self, settings, split):
        """How many examples a run validates on, an int."""

    def shown(self, split, examples):
        """What is shown of the held-out data during training. Defaults to the examples themselves.

        Args:
            split: `Split`.
            examples: array (count, *size, channels), a few held-out ones.

        Returns:
            What `save_samples` takes.
        """
        return examples

    def check(self, settings, split, tokenizer):  # noqa: B027
        """Raises ValueError before training where a tokenizer does not fit the data. Defaults to no check."""

    # === Results ===
    @abc.abstractmethod
    def evaluate(self, tokenizer, split, batches):
        """Dict of numbers on the held-out data of a run.

        Args:
            tokenizer: `Tokenizer`.
            split: `Split`.
            batches: iterable of batches of the held-out examples.
        """

    @abc.abstractmethod
    def evaluate_sample(self, tokenizer, path, size, scale, count, seed):
        """Measures examples that are drawn from a folder.

        Args:
            tokenizer: `Tokenizer`.
            path: str, a folder or one file.
            size: int, of an example, where the tokenizer takes any.
            scale: float, the resize of an image before its crop; other modalities have none.
            count: int, how many are drawn.
            seed: int.

        Returns:
            `Evaluation`.

        Raises:
            ValueError: if nothing can be read, or an argument is out of its range.
        """

    @abc.abstractmethod
    def evaluate_whole(self, tokenizer, path):
        """Measures every file of a folder as it is, each once: `Evaluation`.

        Args:
            tokenizer: `Tokenizer`.
            path: str, a folder or one file.

        Raises:
            ValueError: if nothing can be read.
        """

    @abc.abstractmethod
    def save_samples(self, tokenizer, folder, samples):
        """Writes a few examples beside their reconstructions into a preset, as `sample_files`.

        Args:
            tokenizer: `Tokenizer`.
            folder: path.
            samples: as from `shown`.
        """

    def save_result(self, tokenizer, path, result):
        """Writes one generated result to a file. Defaults to `save`.

        Args:
            tokenizer: `Tokenizer`; None where text is generated by its pieces.
            path: path.
            result: as a `vqzoo.generation.Part` of this modality returns it.
        """
        self.save(tokenizer, path, result)

    def save_generated(self, tokenizer, folder, signals, names):
        """Writes what a prior has generated, as `generated_files`. Defaults to a file each in `samples`.

        Args:
            tokenizer: `Tokenizer`.
            folder: path, of a preset or of an epoch.
            signals: array or list of signals.
            names: list of str, what each was asked by; or empty.
        """
        (folder / "samples").mkdir(parents=True, exist_ok=True)
        for i, signal in enumerate(signals):
            self.save_result(tokenizer, folder / "samples" / f"{i:04d}{self.suffix}", signal)

    @abc.abstractmethod
    def watcher(self, tokenizer, folder, samples):
        """The Keras callback that writes samples during training.

        Args:
            tokenizer: `Tokenizer` that is trained.
            folder: path, of the run.
            samples: as from `shown`.
        """

    @abc.abstractmethod
    def describe(self, settings, split):
        """What the card of a trained preset says: dict of `description`, `signal` and `data`.

        Args:
            settings: dataclass, the recipe's.
            split: `Split`.
        """

    # === Checks ===
    def check_grid(self, tokenizer, tokens, size, most):
        """Raises before anything is decoded where a file's tokens are not those of a signal of its size.

        Args:
            tokenizer: `Tokenizer`.
            tokens: int32 array (*grid, num_codebooks).
            size: tuple of int, as the file has it.
            most: int, values of a signal that is read, without its channels.

        Raises:
            ValueError: if the size is too large, the tokenizer does not take it, or its grid is another one.
        """
        fixed = tokenizer.encoder.input_shape[1:-1]
        check_size(size, len(fixed))
        if any(length not in (None, own) for length, own in zip(fixed, size, strict=True)):
            raise ValueError(
                f"This preset only takes signals of the size {fixed}. Received: a size of {size}. The file is "
                "damaged: encode the signal again."
            )
        if math.prod(size) > most:
            raise ValueError(f"A signal has at most {most} values. Received: a size of {size}. Encode it in parts.")
        grids = self._grids.setdefault(tokenizer, {})
        if size not in grids:
            grids[size] = self.grid_of(tokenizer, size)
        if tokens.shape[:-1] != grids[size]:
            raise ValueError(
                f"A signal of the size {size} has tokens of the grid {grids[size]}. Received: {tokens.shape[:-1]}. The "
                "file is damaged: encode the signal again."
            )

    def grid_of(self, tokenizer, size):
        """The grid of the tokens of a signal.

        Args:
            tokenizer: `Tokenizer`.
            size: tuple of int.

        Returns:
            Tuple of int.
        """
        signal = keras.KerasTensor((1, *size, tokenizer.encoder.input_shape[-1]))
        latents = tokenizer.encoder.compute_output_spec(signal)
        return tuple(tokenizer.quantizer.compute_output_spec(latents).tokens.shape[1:-1])


def check_size(size, axes):
    """Raises where a token file's size does not belong to the modality.

    Args:
        size: tuple of int.
        axes: int, how many there are.

    Raises:
        ValueError: if there are more or fewer.
    """
    if len(size) != axes:
        raise ValueError(f"A size of {axes} numbers is needed. Received: {size}. Encode the file again.")
