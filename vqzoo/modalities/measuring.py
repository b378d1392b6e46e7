"""The files and examples that an evaluation goes through."""

from vqzoo.data.files import kept_going


class Reconstructed:
    """Stands for a tokenizer whose work on the one signal that is measured is already done.

    Args:
        tokenizer: `Tokenizer`.
    """

    def __init__(self, tokenizer):
        self.codebook_sizes = tokenizer.codebook_sizes
        self.sample_rate = getattr(tokenizer, "sample_rate", None)
        self.tokens = self.reconstruction = None

    def encode(self, signal):
        """The tokens of the signal."""
        return self.tokens

    def decode(self, tokens, **size):
        """The reconstruction of the signal."""
        return self.reconstruction


def reconstructed_files(modality, tokenizer, result, loaders, skipped):
    """Yields each signal that can be read and reconstructed, as a batch of one.

    Args:
        modality: `Modality`.
        tokenizer: `Tokenizer`.
        result: `Reconstructed`, which holds the tokens and the reconstruction of the signal that was yielded.
        loaders: list of (name, callable that loads the signal).
        skipped: dict, to which the reasons of the others are added.

    Yields:
        Array (1, *size, channels).

    Raises:
        ValueError: if no file can be measured.
    """
    for name, load in loaders:
        signal = None
        with kept_going(lambda reason, name=name: skipped.__setitem__(name, reason)):
            loaded = load()
            tokens = modality.encode(tokenizer, [loaded])
            result.tokens = tokens
            result.reconstruction = modality.decode(tokenizer, tokens[0], loaded.shape[:-1])[None]
            signal = loaded[None]
        if signal is not None:
            yield signal
    if len(skipped) == len(loaders):
        raise ValueError(f"None of the {len(loaders)} files can be measured. The first: {next(iter(skipped.values()))}")


def batches_of(examples, count):
    """Yields exactly `count` examples in batches.

    Args:
        examples: object with `batch(step)` and `batch_size`.
        count: int.
    """
    for step, first in enumerate(range(0, count, examples.batch_size)):
        yield examples.batch(step)[: count - first]
