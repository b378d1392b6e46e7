"""The grammar of token sequences: which ids may follow, as lookup tables for a graph."""

from typing import Any
from typing import NamedTuple

import keras
import numpy as np

from vqzoo.priors.token_space import PADDING
from vqzoo.priors.token_space import STOP

BETWEEN, STOPPED = range(2)  # states


class Span(NamedTuple):
    """The span of a part in a sequence of ids."""

    name: str
    tokens: Any  # int32 (positions, num_codebooks)


class Grammar:
    """The valid sequences of ids: spans, one after another, and `STOP`.

    A span is the start token of its part, the codes of its positions, codebook after codebook, and its end token. The
    ids that may follow depend on an integer state. There are two states between spans, and one or more inside each kind
    of span. A loop in a graph carries one integer per example, and looks up the mask and the next state.

    Args:
        space: `TokenSpace`.
        lengths: dict name -> int, the exact number of positions of a span (rows times columns of an image); None for
            any number. Only these parts occur.

    Raises:
        ValueError: if a part does not exist, or a length is below 1.

    Example:
    >>> from vqzoo.priors.token_space import TokenSpace
    >>> grammar = Grammar(TokenSpace({"image": 4}), {"image": 2})
    >>> state = grammar.after([grammar.space.start("image"), 5, 8])  # a complete image
    >>> np.flatnonzero(grammar.allowed(np.array([state]))[0])  # its end, and nothing else
    array([4])
    """

    def __init__(self, space, lengths):
        self.space = space
        self.lengths = dict(lengths)
        for name, length in self.lengths.items():
            space.start(name)
            if length is not None and length < 1:
                raise ValueError(f"A span must have at least one position. Received: {name!r} with {length}")
        # A row of allowed ids for each kind of state; the kind of each state; the next state if it does not depend on
        # the id, or -1 if it does.
        self.masks = [self._row([STOP, *map(space.start, self.lengths)]), self._row([PADDING])]
        self.kinds = [BETWEEN, STOPPED]
        self.follows = [-1, STOPPED]
        self.jumps = np.zeros(space.size, "int32")
        self.jumps[STOP] = STOPPED
        self._first = {}
        for name, length in self.lengths.items():
            self._add(name, length)
        self.masks = np.stack(self.masks)
        self.kinds, self.follows = (np.array(x, "int32") for x in (self.kinds, self.follows))

    def first(self, name):
        """The state after the start token of a span."""
        if name not in self._first:
            raise ValueError(f"This grammar has spans of {', '.join(self._first)}. Received: {name!r}")
        return self._first[name]

    def allowed(self, states):
        """The allowed ids of states, int32 (batch,) -> bool (batch, size of the space)."""
        return keras.ops.take(self.masks, keras.ops.take(self.kinds, states, axis=0), axis=0)

    def step(self, states, ids):
        """The states after ids, int32 (batch,), int32 (batch,) -> int32 (batch,)."""
        follows = keras.ops.take(self.follows, states, axis=0)
        return keras.ops.where(follows < 0, keras.ops.take(self.jumps, ids, axis=0), follows)

    def after(self, ids, state=BETWEEN):
        """The state after a sequence of ids.

        Args:
            ids: sequence of int.
            state: int, the state before it. Defaults to the one between spans.

        Returns:
            int.

        Raises:
            ValueError: at the first id that may not stand where it does.
        """
        for place, number in enumerate(ids):
            if not 0 <= number < self.space.size or not self.masks[self.kinds[state], number]:
                wanted = [self.space.meaning(int(i)) for i in np.flatnonzero(self.masks[self.kinds[state]])]
                several = f"{wanted[0]} to {wanted[-1]}" if len(wanted) > 3 else " or ".join(wanted)
                raise ValueError(
                    f"Id {int(number)} at {place} is {self.space.meaning(int(number))}. Expected: {several}."
                )
            follows = int(self.follows[state])
            state = follows if follows >= 0 else int(self.jumps[number])
        return state

    def read(self, ids):
        """Splits a sequence of ids into spans. An unfinished last span has its complete positions.

        Args:
            ids: sequence of int.

        Returns:
            List of `Span`.

        Raises:
            ValueError: at the first id that may not stand where it does.
        """
        self.after(ids)
        spans, name, codes = [], None, []
        for number in [*ids, STOP]:
            if name is None:
                name = next((n for n in self.lengths if number == self.space.start(n)), None)
                codes = []
            elif number in (self.space.end(name), STOP):
                codebooks = len(self.space.sizes[name])
                whole = np.array(codes[: len(codes) // codebooks * codebooks], "int32").reshape(-1, codebooks)
                spans.append(Span(name, np.asarray(self.space.to_tokens(name, whole))))
                name = None
            else:
                codes.append(number)
        return spans

    def _add(self, name, length):
        """The states and kinds of the spans of one part."""
        space, codebooks = self.space, len(self.space.sizes[name])
        kinds, first = len(self.masks), len(self.kinds)
        self.masks += [self._row(space.codes(name, k)) for k in range(codebooks)]
        self._first[name] = self.jumps[space.start(name)] = first
        self.jumps[space.end(name)] = BETWEEN
        if length is None:
            # One state per codebook, in a ring. At the first of them the span may end.
            self.masks[kinds][space.end(name)] = True
            for k in range(codebooks):
                self.jumps[space.codes(name, k)] = first + (k + 1) % codebooks
            self.kinds += [kinds + k for k in range(codebooks)]
            self.follows += [-1] * codebooks
            return
        self.masks.append(self._row([space.end(name)]))
        steps = length * codebooks
        self.kinds += [kinds + i % codebooks for i in range(steps)] + [kinds + codebooks]
        self.follows += [first + i + 1 for i in range(steps)] + [BETWEEN]

    def _row(self, ids):
        row = np.zeros(self.space.size, bool)
        row[list(ids)] = True
        return row
