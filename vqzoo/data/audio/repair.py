"""Fixes in errors about waveforms: code that converts other arrays."""

import math

import numpy as np

from vqzoo.data.repair import Repairs
from vqzoo.ops import resample_signal

_MOST_CHANNELS = 8


class AudioRepairs(Repairs):
    """Fixes for waveforms, which must be floats in [-1, 1], channels last.

    Args:
        channels: int, the expected channels. Default None, any of 1 to 8.
        length: int, samples, None for any.
        sample_rate: int, Hz, None if unknown.
        **options: as of `Repairs`.

    Example:
    >>> import numpy as np
    >>> AudioRepairs(1).way_out(np.zeros(16000, "int16"))
    'Pass `x[None, :, None] / 32768`.'
    """

    kind, noun = "audio", "waveform"
    files = "audio"
    axes = 2

    def __init__(self, channels=None, length=None, sample_rate=None, **options):
        super().__init__(**options)
        self.channels = channels
        self.length = length
        self.sample_rate = sample_rate

    def read(self, path):
        """See `Repairs.read`."""
        rate = "" if self.sample_rate is None else f", {self.sample_rate}"
        channels = "" if self.channels is None else f", channels={self.channels}"
        return f"vqzoo.data.load_audio({path}{rate}{channels})"

    def empty(self):
        """See `Repairs.empty`."""
        return f'np.zeros((0, {self.length or self.sample_rate or 16000}, {self.channels or 1}), "float32")'

    def layout(self, draft):
        """See `Repairs.layout`."""
        draft = self._channels_last(draft)
        if draft is None:
            return None
        if not self.batched and len(draft.shape) == 3:
            draft = draft.then("{x}[0]", draft.shape[1:])
        return self._with_channels(draft)

    def scale(self, draft):
        """See `Repairs.scale`."""
        draft = self._resampled(draft.then(_range_of(draft)))
        if draft is None:
            return None
        have, want = draft.shape[-2], self.length
        if want is None or have is None or have == want:
            return draft
        if have > want:
            return draft.then(f"{{x}}[:, :{want}]" if "/" not in draft.code else f"({{x}})[:, :{want}]")
        return draft.then(f"{{np}}.pad({{x}}, ((0, 0), (0, {want - have}), (0, 0)))")

    def _resampled(self, draft):
        """The draft at the expected sample rate, if the array came with a different one.

        None if the common divisor of the rates is too small, so that only loading can resample.
        """
        rate, wanted = draft.rate, self.sample_rate
        if None in (rate, wanted) or rate == wanted:
            return draft
        try:
            resample_signal(np.zeros((1, 1, 1), "float32"), rate, wanted)
        except ValueError:
            return None
        shape = draft.shape
        length = None if shape[-2] is None else -(-shape[-2] * wanted // rate)
        x = "{x}" if self.batched else "({x})[None]"
        code = f"vqzoo.ops.resample_signal({x}, {draft.rate_code}, {wanted}){'' if self.batched else '[0]'}"
        return draft.then(code, (*shape[:-2], length, shape[-1]), "float32")

    def _channels_last(self, draft):
        """(batch, samples, channels), or (samples, channels) for one signal; None if unknown."""
        shape, rank, wanted = draft.shape, len(draft.shape), self.channels
        if rank == 1:
            return draft.then(
                *(("{x}[None, :, None]", (1, *shape, 1)) if self.batched else ("{x}[:, None]", (*shape, 1)))
            )
        if rank == 2:
            one = self._one_of_two_axes(draft)
            if one is None:
                return draft.then("{x}[..., None]", (*shape, 1))
            return one.then("{x}[None]", (1, *one.shape)) if self.batched else one
        if rank > 3 and None in shape[1:]:
            return None
        if rank > 3:
            count = None if shape[0] is None else math.prod(shape[:-2])
            draft = draft.then(f"{{np}}.reshape({{x}}, {(-1, *shape[-2:])})", (count, *shape[-2:]))
        shape = draft.shape
        if shape[-1] is not None and shape[-1] > _MOST_CHANNELS and shape[-1] != wanted:
            if shape[1] is None or shape[1] > _MOST_CHANNELS:
                return None  # a spectrogram, for instance
            return draft.then("{np}.moveaxis({x}, 1, -1)", (shape[0], shape[2], shape[1]))
        return draft

    def _one_of_two_axes(self, draft):
        """One waveform (samples, channels); None if the axes are (batch, samples)."""
        shape, wanted = draft.shape, self.channels
        few = [length is not None and length <= _MOST_CHANNELS for length in shape]
        if few[1] and (not few[0] or shape[1] == wanted):
            return draft
        one = not self.batched or draft.rate is not None  # a rate belongs to one recording
        if few[0] and not few[1] and (one or shape[0] == wanted != 1):
            return draft.then("{x}.T", shape[::-1])
        return None

    def _with_channels(self, draft):
        have, before, wanted = draft.shape[-1], draft.shape[:-1], self.channels
        if wanted is None or have == wanted:
            return draft
        if have is not None and have > wanted > 1:
            return draft.then(f"{{x}}[..., :{wanted}]", (*before, wanted))
        if have != 1:
            draft = draft.then("{np}.mean({x}, axis=-1, keepdims=True)", (*before, 1))
        return draft if wanted == 1 else draft.then(f"{{np}}.repeat({{x}}, {wanted}, axis=-1)", (*before, wanted))


def _range_of(draft):
    """The code that scales the values to [-1, 1]."""
    dtype, peak = draft.dtype, None if draft.low is None else max(-draft.low, draft.high)
    if dtype == "bool":
        return "{x} * 2.0 - 1"
    if dtype in ("uint8", "uint16"):
        half = 128 if dtype == "uint8" else 32768
        return f"({{x}} - {half}.0) / {half}"
    if dtype in ("int8", "int16"):
        return "{x} / 128" if dtype == "int8" else "{x} / 32768"
    if "float" not in dtype:
        # If the integers are wider than the recording, the peak shows the number of recorded bits.
        bits = next((bits for bits in (15, 23) if peak is not None and peak <= 2**bits), 31)
        return "{x} / 32768" if bits == 15 else f"{{x}} / 2**{bits}"
    if peak is None or peak <= 1.5:
        return "{x}"
    if peak <= 8:  # above full scale, as in a mix
        return "{np}.clip({x}, -1.0, 1.0)"
    return next((f"{{x}} / {2**bits}" for bits in (15, 23, 31) if peak <= 2**bits), f"{{x}} / {math.ceil(peak)}")
