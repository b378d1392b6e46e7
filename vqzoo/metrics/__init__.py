"""Evaluation metrics: quality of reconstructed images, audio and text, codebook usage, and the rate of tokens."""

from vqzoo.metrics.audio.distances import level_difference
from vqzoo.metrics.audio.distances import log_mel_distance
from vqzoo.metrics.audio.distances import mel_distance
from vqzoo.metrics.audio.distances import si_sdr
from vqzoo.metrics.audio.distances import stft_distance
from vqzoo.metrics.audio.evaluate import evaluate_audio
from vqzoo.metrics.audio.quality import pesq
from vqzoo.metrics.audio.quality import stoi
from vqzoo.metrics.audio.quality import visqol
from vqzoo.metrics.codebook import CodebookUsage
from vqzoo.metrics.codebook import codebook_statistics
from vqzoo.metrics.frechet import FrechetDistance
from vqzoo.metrics.frechet import frechet_distance
from vqzoo.metrics.image.evaluate import evaluate_images
from vqzoo.metrics.image.similarity import ms_ssim
from vqzoo.metrics.image.similarity import ms_ssim_scales
from vqzoo.metrics.image.similarity import psnr
from vqzoo.metrics.image.similarity import ssim
from vqzoo.metrics.predicted import TokenEntropy
from vqzoo.metrics.rate import bits_per_character
from vqzoo.metrics.rate import bits_per_pixel
from vqzoo.metrics.rate import kilobits_per_second
from vqzoo.metrics.text.agreement import bleu
from vqzoo.metrics.text.agreement import character_error_rate
from vqzoo.metrics.text.agreement import chrf
from vqzoo.metrics.text.agreement import compressed_bits_per_character
from vqzoo.metrics.text.agreement import edit_distance
from vqzoo.metrics.text.agreement import exact_match
from vqzoo.metrics.text.agreement import piece_accuracy
from vqzoo.metrics.text.evaluate import evaluate_text
from vqzoo.metrics.text.novelty import TrigramModel
from vqzoo.metrics.text.novelty import copied_runs
from vqzoo.metrics.text.novelty import copied_share
from vqzoo.metrics.text.novelty import distinct_ngrams
from vqzoo.metrics.text.novelty import self_bleu

__all__ = [
    "CodebookUsage",
    "FrechetDistance",
    "TokenEntropy",
    "TrigramModel",
    "bits_per_character",
    "bits_per_pixel",
    "bleu",
    "character_error_rate",
    "chrf",
    "codebook_statistics",
    "compressed_bits_per_character",
    "copied_runs",
    "copied_share",
    "distinct_ngrams",
    "edit_distance",
    "evaluate_audio",
    "evaluate_images",
    "evaluate_text",
    "exact_match",
    "frechet_distance",
    "kilobits_per_second",
    "level_difference",
    "log_mel_distance",
    "mel_distance",
    "ms_ssim",
    "ms_ssim_scales",
    "pesq",
    "piece_accuracy",
    "psnr",
    "self_bleu",
    "si_sdr",
    "ssim",
    "stft_distance",
    "stoi",
    "visqol",
]
