"""What a prior is conditioned on: values of its parts, as the ids of a prefix or of a context."""

import collections.abc
import math

import keras
import numpy as np

from vqzoo.generation.parts import LABEL
from vqzoo.generation.parts import STYLE
from vqzoo.generation.parts import Labels
from vqzoo.generation.parts import Part
from vqzoo.generation.signal_part import SignalPart
from vqzoo.jsons import shown
from vqzoo.priors.generation import most_positions
from vqzoo.priors.settings import checked
from vqzoo.priors.token_space import PADDING

_LENGTH = 256  # positions, where nothing says how many the prior has learnt


def condition_parts(prior, target, conditions):
    """The parts that a prior is conditioned on.

    Args:
        prior: `Prior`.
        target: `Part` that it makes.
        conditions: `Part`, a sequence of them, or a sequence of str, the names of the labels of the part "label"; None
            or none for the labels' numbers. Tokens of the part "style" are of the target's tokenizer.

    Returns:
        Tuple of `Part`, in the order in which the prior reads them.

    Raises:
        ValueError: a part is given twice, is not of the prior's space, or is another model's.
    """
    sizes = prior.space.sizes
    given = [conditions] if isinstance(conditions, Part) else list(conditions or ())
    if not any(isinstance(part, Part) for part in given):
        count = 0 if target.name == LABEL else sum(sizes.get(LABEL, ()))
        labels = Labels(tuple(given) or [str(i) for i in range(count)])
        given = [labels] if given or labels.size else []
    wrong = [part for part in given if not isinstance(part, Part)]
    names = [part.name for part in given if isinstance(part, Part)]
    if wrong or len({target.name, *names}) <= len(names):
        raise ValueError(
            "`conditions` are parts of different names, none of them the target, or the names of labels. Received: "
            f"{', '.join([*map(repr, names), *map(shown, wrong)])} for the target {target.name!r}"
        )
    if STYLE in sizes and STYLE not in (target.name, *names) and isinstance(target, SignalPart):
        style = SignalPart(STYLE, target.tokenizer, target.size, target.length, target.file)
        if style.codebook_sizes == sizes[STYLE]:
            given.append(style)
    for part in given:
        part.check_space(prior.space)
    return tuple(given)


class Conditions:
    """Turns what is asked of a prior into ids.

    The conditions are the context of a prior whose transformer has `cross_attention`, and the prefix of any other, in
    their order.

    Args:
        prior: `Prior`.
        parts: tuple of `Part`.
    """

    def __init__(self, prior, parts):
        self.prior = prior
        self.parts = parts

    def listed(self, condition):
        """Dict part -> list of what is asked for; nothing is checked but the names of the parts."""
        if condition is None:
            return {}
        if not self.parts:
            raise ValueError(f"This prior knows no conditions. Received: condition={shown(condition)}. Leave it out.")
        names = ", ".join(part.name for part in self.parts)
        if not isinstance(condition, collections.abc.Mapping):
            if len(self.parts) > 1:
                example = f"{{{self.parts[0].name!r}: ...}}"
                raise ValueError(
                    f"This prior has several conditions: {names}. Received: a condition without the name of its part. "
                    f"Give a dict, such as `condition={example}`."
                )
            return {self.parts[0]: self.parts[0].listed(condition)}
        known = {part.name: part for part in self.parts}
        for name in condition:
            if name not in known:
                raise ValueError(f"This prior is conditioned on {names}. Received: condition of the part {shown(name)}")
        return {known[name]: known[name].listed(value) for name, value in condition.items() if value is not None}

    def count(self, condition):
        """How many values are asked for, at least 1."""
        return max([1, *map(len, self.listed(condition).values())])

    def asked(self, condition=None, count=None):
        """The values for a number of examples.

        Args:
            condition: a value or a sequence of them, which are taken in turn; of several parts a dict of part to these;
                None for all that the parts know.
            count: int. Defaults to as many as there are values, or 1.

        Returns:
            Dict name of the part -> list of values; empty where there is no condition.

        Raises:
            ValueError: there is no such part or value.
        """
        count = checked("count", count)
        listed = self.listed(condition)
        if condition is None:
            count = count or max([1, *(part.default_count for part in self.parts)])
            return {part.name: part.asked(None, count) for part in self.parts if part.known}
        count = self.count(condition) if count is None else count
        return {part.name: part.asked(values, count) for part, values in listed.items()}

    def ids(self, asked):
        """The ids of values.

        Args:
            asked: dict, as `asked` returns it.

        Returns:
            Dict with int32 tensor (batch, length) as `prefix` or as `context`. A context is always there where the
            prior has cross-attention.
        """
        where = "context" if self.prior.transformer.cross_attention else "prefix"
        tokens = {part.name: part.tokens(asked[part.name]) for part in self.parts if part.name in asked}
        rows = self.prior.space.prefix(**tokens) if tokens else None
        if where == "context" and (rows is None or not rows.shape[1]):
            batch = 1 if rows is None else rows.shape[0]
            rows = keras.ops.full((batch, 1), PADDING, "int32")
        return {} if rows is None else {where: rows}


def default_length(prior, length=None):
    """How many positions are made at most.

    Args:
        prior: `Prior`.
        length: int, what is known of it. Defaults to the most that the prior has learnt, and without learnt positions
            to 256.

    Returns:
        int, within what the prior has learnt; None for a prior with a grid.
    """
    if prior.grid is not None:
        return None
    learnt = most_positions(prior)
    length = length or learnt or _LENGTH
    return length if learnt is None else min(length, learnt)


def tokens_of_prompts(prior, target, prompts, settings):
    """What is known of each example.

    Args:
        prior: `Prior`.
        target: `Part` that it makes.
        prompts: list of values of the target, which are taken in turn.
        settings: dict with `count`, examples, and without a grid `length`, positions that are made.

    Returns:
        int32 array (count, positions, num_codebooks), -1 where a token is to be made; None where all are.

    Raises:
        ValueError: the prior's tokens have rows and columns, or a prompt is not a value of the part, or not shorter
            than the result.
    """
    grid, count = prior.grid, settings["count"]
    length = settings["length"] if grid is None else math.prod(grid)
    rows = [target.beginning(prompt) for prompt in prompts]
    if grid is not None and len(grid) > 1:
        raise ValueError(
            f"What is continued has one axis. Received: `prompt` for a prior of the grid {grid}. Give `complete` the "
            "tokens that are known, or call `vqzoo.inpaint` for images."
        )
    longest = max(map(len, rows))
    if longest >= length:
        raise ValueError(
            f"A prompt is shorter than what is made, {length} positions. Received: one of {longest} positions. Give a "
            f"shorter one{'' if grid else ', or a larger `length`'}."
        )
    known = np.full((count, longest if grid is None else length, prior.num_codebooks), -1, "int32")
    for i, place in enumerate(known):
        row = rows[i % len(rows)]
        place[: len(row)] = row
    return known if longest else None
