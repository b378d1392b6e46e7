"""VQGAN for audio: the networks of `spectrogram_vqvae` in the size of Vocos, with low-dimensional codebooks as in DAC.

| what | from | |---|---| | 8 blocks of 512 channels, the inverse STFT as the last layer | Siuzdak 2023,
https://arxiv.org/abs/2306.00814 | | codebooks of 8 dimensions, by cosine similarity | Kumar et al. 2023,
https://arxiv.org/abs/2306.06546 | | multi-period and multi-resolution discriminators, in the trainer | the same,
section 3.3 |
"""

from vqzoo.quantizers import CosineVectorQuantizer
from vqzoo.quantizers import ProjectedQuantizer
from vqzoo.quantizers import ResidualQuantizer
from vqzoo.tokenizers.audio.spectrogram_vqvae import spectrogram_vqvae


def spectrogram_vqgan(
    sample_rate=16000,
    channels=1,
    frame_length=1024,
    hop_length=256,
    bands=80,
    time_stride=1,
    filters=512,
    blocks=8,
    attention=0,
    latent_dim=256,
    quantizer=None,
    name="spectrogram_vqgan",
):
    """Builds the tokenizer of a VQGAN for waveforms of any length. The discriminators belong to the trainer.

    Args:
        sample_rate: int, Hz. Defaults to 16000.
        channels: int, channels of the waveforms. Defaults to 1.
        frame_length: int, samples of a frame, even. Defaults to 1024.
        hop_length: int, samples between frames. Defaults to 256.
        bands: int, mel bands of each channel. Defaults to 80.
        time_stride: int, frames per position of tokens. Defaults to 1.
        filters: int, channels of the ConvNeXt blocks. Defaults to 512.
        blocks: int, ConvNeXt blocks of the encoder and of the decoder. Defaults to 8.
        attention: int, self-attention blocks in each of the two. Defaults to 0.
        latent_dim: int, width of a latent vector. Defaults to 256.
        quantizer: `Quantizer`. Defaults to a `ResidualQuantizer` of four
            `ProjectedQuantizer(CosineVectorQuantizer(1024), 8)`, with fewer codebooks for half of the training
            examples.
        name: str, name of the tokenizer. Defaults to "spectrogram_vqgan".

    Returns:
        A built `AudioTokenizer`, float32 (batch, samples, channels) to int32 (batch, frames, num_codebooks).

    Example:
    >>> tokenizer = spectrogram_vqgan(filters=16, blocks=2)
    >>> tokenizer.frame_rate, tokenizer.kilobits_per_second(), tokenizer.kilobits_per_second(num_codebooks=1)
    (62.5, 2.5, 0.625)
    """
    return spectrogram_vqvae(
        sample_rate,
        channels,
        frame_length,
        hop_length,
        bands,
        time_stride,
        filters,
        blocks,
        attention,
        latent_dim,
        quantizer or _codebooks(),
        name,
    )


def _codebooks():
    levels = [ProjectedQuantizer(CosineVectorQuantizer(1024), 8) for _ in range(4)]
    return ResidualQuantizer(levels, 0.5, name="quantizer")
