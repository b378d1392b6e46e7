"""Encoder, quantizer and decoder together: signals to tokens and back. One page per paper."""

from vqzoo.tokenizers.audio import AudioTokenizer
from vqzoo.tokenizers.image import ImageTokenizer
from vqzoo.tokenizers.spectrogram_vqgan import spectrogram_vqgan
from vqzoo.tokenizers.spectrogram_vqvae import spectrogram_vqvae
from vqzoo.tokenizers.text import TextTokenizer
from vqzoo.tokenizers.text_vqgan import text_vqgan
from vqzoo.tokenizers.text_vqvae import text_vqvae
from vqzoo.tokenizers.tokenizer import Reconstruction
from vqzoo.tokenizers.tokenizer import Tokenizer
from vqzoo.tokenizers.vqgan import image_vqgan
from vqzoo.tokenizers.vqvae import image_vqvae
from vqzoo.tokenizers.vqvae import image_vqvae_dense

__all__ = [
    "AudioTokenizer",
    "ImageTokenizer",
    "Reconstruction",
    "TextTokenizer",
    "Tokenizer",
    "image_vqgan",
    "image_vqvae",
    "image_vqvae_dense",
    "spectrogram_vqgan",
    "spectrogram_vqvae",
    "text_vqgan",
    "text_vqvae",
]
