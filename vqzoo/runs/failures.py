"""Files that could not be read, in lines for people."""

import re

from vqzoo.files import shown_path


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
    name, reason = shown_path(name), shown_path(reason)
    named = re.search(rf"(?<![\w/\\.-]){re.escape(name)}(?![\w/\\-])", reason)
    return reason if named else f"{name}: {reason}"
