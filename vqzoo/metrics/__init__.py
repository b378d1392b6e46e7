"""What is reported: how near pictures and sounds are, how the codebooks are used, how many bits the tokens cost."""

from vqzoo.metrics.audio import log_mel_distance
from vqzoo.metrics.audio import mel_distance
from vqzoo.metrics.audio import si_sdr
from vqzoo.metrics.audio import stft_distance
from vqzoo.metrics.audio_quality import pesq
from vqzoo.metrics.audio_quality import stoi
from vqzoo.metrics.audio_quality import visqol
from vqzoo.metrics.codebook import CodebookUsage
from vqzoo.metrics.codebook import codebook_statistics
from vqzoo.metrics.evaluate import evaluate_images
from vqzoo.metrics.evaluate_audio import evaluate_audio
from vqzoo.metrics.frechet import FrechetDistance
from vqzoo.metrics.frechet import frechet_distance
from vqzoo.metrics.image import ms_ssim
from vqzoo.metrics.image import ms_ssim_scales
from vqzoo.metrics.image import psnr
from vqzoo.metrics.image import ssim
from vqzoo.metrics.rate import bits_per_pixel
from vqzoo.metrics.rate import kilobits_per_second

__all__ = [
    "CodebookUsage",
    "FrechetDistance",
    "bits_per_pixel",
    "codebook_statistics",
    "evaluate_audio",
    "evaluate_images",
    "frechet_distance",
    "kilobits_per_second",
    "log_mel_distance",
    "mel_distance",
    "ms_ssim",
    "ms_ssim_scales",
    "pesq",
    "psnr",
    "si_sdr",
    "ssim",
    "stft_distance",
    "stoi",
    "visqol",
]
