"""Texts that end before a stop string."""

import collections.abc

from vqzoo.jsons import shown


def checked_stops(stop):
    """The strings before which a text is cut.

    Args:
        stop: str, a sequence of them, or None for none.

    Returns:
        Tuple of str.

    Raises:
        ValueError: one is no str, or empty, or there are none.

    Example:
    >>> checked_stops("Q:"), checked_stops(None)
    (('Q:',), ())
    """
    if stop is None:
        return ()
    stops = (stop,) if isinstance(stop, str) or not isinstance(stop, collections.abc.Iterable) else tuple(stop)
    if not stops or not all(isinstance(text, str) and text for text in stops):
        raise ValueError(
            f"`stop` is a str of one character or more, or a sequence of them. Received: stop={shown(stop)}"
        )
    return stops


def stopped(texts, stops, beginnings=("",)):
    r"""Cuts each text before the first stop string behind its beginning.

    Args:
        texts: list of str.
        stops: tuple of str.
        beginnings: list of str, which the texts begin with and which are kept; they are taken in turn. Only what text
            and beginning have in common is kept. Defaults to none.

    Returns:
        List of str.

    Example:
    >>> stopped(["A: yes.\nQ: why?", "A: no"], ("\n", "Q:"))
    ['A: yes.', 'A: no']
    >>> stopped(["Q: why? A: so. Q: how?"], ("Q:",), ["Q: why?"])
    ['Q: why? A: so. ']
    """
    return [_cut(text, stops, beginnings[i % len(beginnings)]) for i, text in enumerate(texts)]


def _cut(text, stops, beginning):
    pairs = zip(text, beginning, strict=False)
    kept = next((i for i, (one, other) in enumerate(pairs) if one != other), min(len(text), len(beginning)))
    places = [text.find(stop, kept) for stop in stops]
    return text[: min((place for place in places if place >= 0), default=len(text))]
