"""Pure functions of tensors, without classes and weights."""

from vqzoo.ops.audio.griffin_lim import griffin_lim
from vqzoo.ops.audio.sinc import resample_signal
from vqzoo.ops.audio.spectra import hann
from vqzoo.ops.audio.spectra import inverse_stft
from vqzoo.ops.audio.spectra import magnitudes
from vqzoo.ops.audio.spectra import mel_filters
from vqzoo.ops.audio.spectra import stft
from vqzoo.ops.compiled import compiled
from vqzoo.ops.compiled import dtype_name
from vqzoo.ops.compiled import fused
from vqzoo.ops.compiled import known_value
from vqzoo.ops.digits import digits_to_tokens
from vqzoo.ops.digits import reverse_bits
from vqzoo.ops.digits import tokens_to_digits
from vqzoo.ops.entropy import bit_entropy
from vqzoo.ops.entropy import mean_code_entropy
from vqzoo.ops.estimators import rotation_trick
from vqzoo.ops.estimators import straight_through
from vqzoo.ops.gradients import custom_gradient
from vqzoo.ops.gradients import input_gradient
from vqzoo.ops.gradients import silu
from vqzoo.ops.image.upsample import upsample_conv
from vqzoo.ops.image.upsample import upsample_nearest
from vqzoo.ops.litert import as_read
from vqzoo.ops.litert import exact_product
from vqzoo.ops.litert import for_litert
from vqzoo.ops.litert import is_for_litert
from vqzoo.ops.masks import mask_until
from vqzoo.ops.masks import masked_gradient
from vqzoo.ops.masks import masked_mean
from vqzoo.ops.masks import masked_tokens
from vqzoo.ops.nearest import central_code
from vqzoo.ops.nearest import codes_at
from vqzoo.ops.nearest import highest_scores
from vqzoo.ops.nearest import largest
from vqzoo.ops.nearest import nearest_codes
from vqzoo.ops.nearest import sampled_codes
from vqzoo.ops.normalize import l2_normalize
from vqzoo.ops.replicas import replica_gather
from vqzoo.ops.replicas import replica_mean
from vqzoo.ops.replicas import replica_sum
from vqzoo.ops.resize import area_matrix
from vqzoo.ops.resize import bicubic_matrix
from vqzoo.ops.resize import crop
from vqzoo.ops.resize import resize
from vqzoo.ops.rows import spread_rows

__all__ = [
    "area_matrix",
    "as_read",
    "bicubic_matrix",
    "bit_entropy",
    "central_code",
    "codes_at",
    "compiled",
    "crop",
    "custom_gradient",
    "digits_to_tokens",
    "dtype_name",
    "exact_product",
    "for_litert",
    "fused",
    "griffin_lim",
    "hann",
    "highest_scores",
    "input_gradient",
    "inverse_stft",
    "is_for_litert",
    "known_value",
    "l2_normalize",
    "largest",
    "magnitudes",
    "mask_until",
    "masked_gradient",
    "masked_mean",
    "masked_tokens",
    "mean_code_entropy",
    "mel_filters",
    "nearest_codes",
    "replica_gather",
    "replica_mean",
    "replica_sum",
    "resample_signal",
    "resize",
    "reverse_bits",
    "rotation_trick",
    "sampled_codes",
    "silu",
    "spread_rows",
    "stft",
    "straight_through",
    "tokens_to_digits",
    "upsample_conv",
    "upsample_nearest",
]
