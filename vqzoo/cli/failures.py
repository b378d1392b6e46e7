"""Files that could not be read, in lines for people."""

import re


def failure_line(name, reason):
    """A file and what is wrong with it, the file once.

    Args:
        name: str or path.
        reason: str, which may hold the path already.

    Returns:
        str.

    Example:
    >>> failure_line("a.png", "it is empty"), failure_line("a.png", "Cannot read the picture a.png: it is empty.")
    ('a.png: it is empty', 'Cannot read the picture a.png: it is empty.')
    """
    named = re.search(rf"(?<![\w/\\.-]){re.escape(str(name))}(?![\w/\\-])", reason)
    return _in_one_line(reason if named else f"{name}: {reason}")


def _in_one_line(text):
    """The text with what would end its line, or reach the terminal as a command, written out."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
