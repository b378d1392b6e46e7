"""Code that makes images of other arrays, for errors."""

import math

import numpy as np

from vqzoo.data.repair import Repairs
from vqzoo.ops import dtype_name

_LUMA = "[[0.299], [0.587], [0.114]]"
_MOST_BANDS = 16  # of an image of more than colours
_LOOKED_AT = 2**20  # values
_CHANNELS = (1, 2, 3, 4)  # grey, grey with opacity, RGB, RGBA


class ImageRepairs(Repairs):
    """Fixes for images, which must be floats in [-1, 1], channels last.

    Args:
        channels: int, the expected channels. Default None, any of 1, 3 and 4.
        size: tuple (height, width), None for any.
        **options: as of `Repairs`.

    Example:
    >>> ImageRepairs(3).way_out(np.zeros((3, 64, 48), "uint8"))
    'Pass `np.moveaxis(x, 0, -1)[None] / 127.5 - 1`.'
    """

    kind = noun = "image"
    files = "images"
    axes = 3

    def __init__(self, channels=None, size=(None, None), **options):
        super().__init__(**options)
        self.channels = channels
        self.size = tuple(size)

    def read(self, path):
        """See `Repairs.read`."""
        channels = "" if self.channels in (None, 3) else f", channels={self.channels}"
        return f"vqzoo.data.load_image({path}{channels})"

    def empty(self):
        """See `Repairs.empty`."""
        height, width = (length or 64 for length in self.size)
        return f'np.zeros((0, {height}, {width}, {self.channels or 3}), "float32")'

    def unwrapped(self, thing, code):
        """See `Repairs.unwrapped`; a Pillow image becomes its pixels."""
        thing, code = super().unwrapped(thing, code)
        if not (hasattr(thing, "mode") and hasattr(thing, "convert")):
            return thing, code
        wanted = {1: "L", 4: "RGBA"}.get(self.channels, "RGB")
        if thing.mode not in ("L", "RGB", "RGBA") and not thing.mode.startswith(("I", "F")):
            thing, code = thing.convert(wanted), f'{code}.convert("{wanted}")'
        return np.asarray(thing), f"np.asarray({code})"

    def layout(self, draft):
        """See `Repairs.layout`."""
        draft = self._channels_last(draft)
        if draft is None:
            return None
        if self.batched and len(draft.shape) == 3:
            draft = draft.then("{x}[None]", (1, *draft.shape))
        elif not self.batched and len(draft.shape) == 4:
            draft = draft.then("{x}[0]", draft.shape[1:])
        return self._with_channels(draft)

    def scale(self, draft):
        """See `Repairs.scale`."""
        draft = draft.then(_range_of(draft))
        if self.channels == 4 and draft.shape[-1] == 3:  # opaque
            before = ", ".join(["(0, 0)"] * (len(draft.shape) - 1))
            draft = draft.then(f"{{np}}.pad({{x}}, ({before}, (0, 1)), constant_values=1)", (*draft.shape[:-1], 4))
        have = draft.shape[-3:-1]
        size = tuple(want or now for want, now in zip(self.size, have, strict=True))
        return draft if size == have else draft.then(f"keras.ops.image.resize({{x}}, {size})")

    def _channels_last(self, draft):
        """(height, width, channels), with or without a batch axis; None if unknown."""
        shape, rank = draft.shape, len(draft.shape)
        known = self.channels or 3
        channels = (*_CHANNELS, known)
        if rank == 1 or (rank == 2 and self._is_flat(shape[-1])):
            side = math.isqrt((shape[-1] or 0) // known)
            size = self.size if self._is_flat(shape[-1]) else (side, side)
            if math.prod(size) * known != shape[-1] or not side:
                return None
            return draft.then(f"{{np}}.reshape({{x}}, {(-1, *size, known)})", (1, *size, known))
        if rank == 2:
            return draft.then("{x}[..., None]", (*shape, 1))
        if rank == 3:
            if shape[-1] in channels and shape[-1] != shape[0]:
                return draft
            if known != 1 and shape[0] in (*channels, 1) and shape[-1] not in (known,):
                return draft.then("{np}.moveaxis({x}, 0, -1)", (*shape[1:], shape[0]))
            bands = None not in shape and shape[-1] <= _MOST_BANDS and shape[-1] < min(shape[:2])
            return draft if bands or shape[-1] in channels else draft.then("{x}[..., None]", (*shape, 1))
        if rank > 4 and None in shape[1:]:
            return None
        if rank > 4:
            inner, count = shape[-3:], None if shape[0] is None else math.prod(shape[:-3])
            draft = draft.then(f"{{np}}.reshape({{x}}, {(-1, *inner)})", (count, *inner))
        shape = draft.shape
        if shape[-1] not in channels and shape[1] in channels:
            return draft.then("{np}.moveaxis({x}, 1, -1)", (shape[0], shape[2], shape[3], shape[1]))
        return draft

    def _is_flat(self, length):
        """Whether rows of this length are images of the expected size."""
        return None not in self.size and length == math.prod(self.size) * (self.channels or 3) != self.size[1]

    def _with_channels(self, draft):
        """Adapts the number of channels. Opacity is added when the values are in [-1, 1]."""
        have, before = draft.shape[-1], draft.shape[:-1]
        wanted = self.channels or (have if have in (1, 3, 4) else 1 if have == 2 else 3)
        if have == wanted:
            return draft
        if wanted not in (1, 3, 4):
            return None if have is None or have < wanted else draft.then(f"{{x}}[..., :{wanted}]", (*before, wanted))
        if have == 2:
            draft, have = draft.then("{x}[..., :1]", (*before, 1)), 1
        elif have is None or have > 3:
            draft, have = draft.then("{x}[..., :3]", (*before, 3)), 3
        if wanted == 1 and have == 3:
            return draft.then("{np}.matmul({x}, " + _LUMA + ")", (*before, 1))
        if wanted in (3, 4) and have == 1:
            return draft.then("{np}.repeat({x}, 3, axis=-1)", (*before, 3))
        return draft


def has_unit_range(images):
    """Whether images seem to be in [0, 1], the range of most libraries, instead of [-1, 1].

    Constant images are undecided, and so are images in [-1, 1] that are bright everywhere. With 8 bits the latter are
    odd multiples of 1/255, while values in [0, 1] are all multiples; with 16 bits the same holds for 1/65535. Other
    values, such as those of a resized image, must be darker than the darkest bright value.

    Args:
        images: float array.

    Returns:
        bool.

    Example:
    >>> pixels = np.array([130, 200, 255], "uint8")
    >>> has_unit_range(pixels / 255), has_unit_range(pixels / 127.5 - 1)
    (True, False)
    """
    # The smallest value first, which is decisive for most images.
    if not images.size or not (low := float(images.min())) >= 0 or not low < float(images.max()) <= 1:
        return False
    rounding = 2.0**-8 if dtype_name(images) == "bfloat16" else float(np.finfo(images.dtype).eps)
    values = images.reshape(-1)[:_LOOKED_AT].astype("float64")
    for largest in (255, 65535):
        steps = values * largest
        known = steps[steps * rounding < 0.25]  # if rounding does not hide the step
        near = np.abs(known - np.rint(known)) <= 0.01 + known * rounding
        if known.size and near.all():
            return bool((np.rint(known) % 2 == 0).any())
    return low < (1 - 2 * rounding) / 255


def _range_of(draft):
    """The code that scales the values to [-1, 1]."""
    low, high, dtype = draft.low, draft.high, draft.dtype
    if dtype == "bool":
        return "{x} * 2.0 - 1"
    if low is None:
        wide = dtype in ("uint16", "int16")
        return "{x}" if "float" in dtype else "{x} / 32767.5 - 1" if wide else "{x} / 127.5 - 1"
    if dtype == "int8" or (dtype.startswith("int") and -128 <= low < -1 and high <= 127):
        return "({x} + 128.0) / 127.5 - 1"
    if low >= 0 and high <= 1:
        whole = not dtype.startswith(("float", "bfloat"))
        if dtype in ("uint8", "uint16"):
            return "{x} / 127.5 - 1" if dtype == "uint8" else "{x} / 32767.5 - 1"
        return "{x} * 2.0 - 1" if whole or has_unit_range(draft.values) else "{x}"
    if low >= 0 and high > 2 or dtype.startswith("uint"):
        return "{x} / 127.5 - 1" if high <= 256 and dtype != "uint16" else f"{{x}} / {_full(high)} - 1"
    if max(-low, high) <= 1.5:
        return "{x}" if "float" in dtype else "{x} * 1.0"
    if max(-low, high) <= 5:  # overshoot of a filter
        return "{np}.clip({x}, -1.0, 1.0)"
    return f"{{x}} / {math.ceil(max(-low, high))}"


def _full(high):
    return "32767.5" if high <= 65535 else math.ceil(high) / 2
