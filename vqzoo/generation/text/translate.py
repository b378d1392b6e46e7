"""Texts from texts, by a prior that has learnt pairs: each line on its own, long ones sentence by sentence."""

import re

from vqzoo.generation.by_preset import generator_of
from vqzoo.generation.text.part import TextPart

_ENDS = re.compile(r"(?<=[.!?…。！？])[\"'»”’)\]]*\s+")  # white space behind the end of a sentence
_AT_ONCE = 32  # texts


def translate(prior, texts, *, batch_size=_AT_ONCE, callback=None, **options):
    """Translates texts by a prior that generates a text from a text.

    A text without a letter or digit stays as it is. One that is longer than what the prior has learnt is translated in
    parts: sentence by sentence, and a longer sentence in groups of words.

    Args:
        prior: str or path, name or folder of a prior's preset; or a `Generator`.
        texts: str, or sequence of str.
        batch_size: int, parts that are translated at once. Defaults to 32.
        callback: callable, called with the number of parts of each batch that is done. Defaults to none.
        **options: as of `Generator.generate`. Defaults to those of the preset.

    Returns:
        list of str, a translation of each; for a str its translation.

    Raises:
        ValueError: if it is not such a prior, or an option is out of range.

    Example:
    >>> translate("image-prior-emoji", ["red heart"])
    Traceback (most recent call last):
        ...
    ValueError: `translate` needs a prior that generates a text from a text...
    """
    generator = generator_of(prior)
    source = source_part(generator)
    if isinstance(texts, str):
        return translate(generator, [texts], batch_size=batch_size, callback=callback, **options)[0]
    parts = [parts_of(source, text) for text in texts]
    # Texts of similar lengths take a similar number of steps.
    wanted = sorted({part for some in parts for part in some if _says_something(part)}, key=lambda x: (len(x), x))
    translated = {}
    for first in range(0, len(wanted), batch_size):
        some = wanted[first : first + batch_size]
        translated.update(zip(some, generator.generate(len(some), some, batch_size=batch_size, **options), strict=True))
        if callback is not None:
            callback(len(some))
    return [" ".join(translated.get(part, part) for part in some) for some in parts]


def source_part(generator, what="`translate`"):
    """The part with the texts that a generator generates its texts from.

    Args:
        generator: `Generator`.
        what: str, what needs it, for the error. Defaults to `translate`.

    Returns:
        `TextPart`.

    Raises:
        ValueError: the generator makes something else, or from something else.
    """
    part = generator.conditions
    if generator.target.modality != "text" or not isinstance(part, TextPart):
        parts = part if isinstance(part, tuple) else (part,) if part is not None else ()
        asked = f"from {' and '.join(repr(one.name) for one in parts)}" if parts else "without a condition"
        raise ValueError(
            f"{what} needs a prior that generates a text from a text, such as recipes/text_translation.py and "
            f"text_dialogue.py make. Received: one that generates {generator.target.name!r} {asked}."
        )
    return part


def parts_of(part, text):
    """The parts of a text that a prior can read: the whole text where it is short enough.

    Args:
        part: `TextPart`, what the prior reads.
        text: str.

    Returns:
        List of str, at least one.

    Raises:
        ValueError: a single word has too many pieces.
    """
    if part.length is None or part.count(text) <= part.length:
        return [text]
    sentences = [sentence for sentence in _ENDS.split(text) if sentence] if _ENDS.search(text.strip()) else []
    if len(sentences) > 1:
        return [some for sentence in sentences for some in parts_of(part, sentence)]
    words = text.split()
    if len(words) < 2:
        return [part.checked(text)]  # raises
    middle = _middle(words)
    return [some for half in (words[:middle], words[middle:]) for some in parts_of(part, " ".join(half))]


def _middle(words):
    """Where a sentence is cut: behind a comma or the like near its middle, or in the middle."""
    middle = len(words) // 2
    near = [i for i in range(1, len(words)) if words[i - 1][-1] in ",;:" and abs(i - middle) <= len(words) // 4]
    return min(near, key=lambda i: abs(i - middle), default=middle)


def _says_something(text):
    return any(character.isalnum() for character in text)
