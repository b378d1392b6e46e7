"""What is reported: how good the pictures are, how the codebooks are used, how many bits the tokens cost."""

from vqzoo.metrics.codebook import CodebookUsage
from vqzoo.metrics.codebook import codebook_statistics
from vqzoo.metrics.evaluate import evaluate_images
from vqzoo.metrics.frechet import FrechetDistance
from vqzoo.metrics.frechet import frechet_distance
from vqzoo.metrics.image import ms_ssim
from vqzoo.metrics.image import ms_ssim_scales
from vqzoo.metrics.image import psnr
from vqzoo.metrics.image import ssim
from vqzoo.metrics.rate import bits_per_pixel

__all__ = [
    "CodebookUsage",
    "FrechetDistance",
    "bits_per_pixel",
    "codebook_statistics",
    "evaluate_images",
    "frechet_distance",
    "ms_ssim",
    "ms_ssim_scales",
    "psnr",
    "ssim",
]
