"""Tokenizers of an encoder, a quantizer and a decoder. One page per paper."""

from vqzoo.tokenizers.audio.spectrogram_vqgan import spectrogram_vqgan
from vqzoo.tokenizers.audio.spectrogram_vqvae import spectrogram_vqvae
from vqzoo.tokenizers.audio.tokenizer import AudioTokenizer
from vqzoo.tokenizers.image.tokenizer import ImageTokenizer
from vqzoo.tokenizers.image.vqgan import image_vqgan
from vqzoo.tokenizers.image.vqvae import image_vqvae
from vqzoo.tokenizers.image.vqvae import image_vqvae_dense
from vqzoo.tokenizers.text.tokenizer import TextTokenizer
from vqzoo.tokenizers.text.vqgan import text_vqgan
from vqzoo.tokenizers.text.vqvae import text_vqvae
from vqzoo.tokenizers.tokenizer import Reconstruction
from vqzoo.tokenizers.tokenizer import Tokenizer

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
