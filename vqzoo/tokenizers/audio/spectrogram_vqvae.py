"""VQ-VAE for audio with log-mel spectra as input, residual quantization, and waveforms from the inverse STFT.

| what | from |
|---|---|
| mel bands as channels of a network over time | Chorowski et al. 2019, https://arxiv.org/abs/1901.08810 |
| residual quantization with dropout of levels | Zeghidour et al. 2021, https://arxiv.org/abs/2107.03312 |
| ConvNeXt blocks and the inverse STFT as the last layer | Siuzdak 2023, https://arxiv.org/abs/2306.00814 |

Bit rates: `sample_rate / (hop_length * time_stride)` positions per second, with log2(codebook size) bits for each
codebook.

| sample rate | hop x stride | positions per second | codebooks | kbit/s | |---|---|---|---|---| | 16 kHz | 256 x 1 |
62.5 | 4 of 1,024 | 2.5 | | 16 kHz | 160 x 2 | 50 | 6 of 1,024 | 3.0 | | 24 kHz | 256 x 2 | 46.9 | 6 of 1,024 | 2.8 | |
44.1 kHz | 512 x 1 | 86.1 | 9 of 1,024 | 7.8 |
"""

from vqzoo.networks.audio import spectrogram_decoder
from vqzoo.networks.audio import spectrogram_encoder
from vqzoo.quantizers import EMAVectorQuantizer
from vqzoo.quantizers import ResidualQuantizer
from vqzoo.tokenizers.audio.tokenizer import AudioTokenizer


def spectrogram_vqvae(
    sample_rate=16000,
    channels=1,
    frame_length=1024,
    hop_length=256,
    bands=80,
    time_stride=1,
    filters=256,
    blocks=4,
    attention=0,
    latent_dim=64,
    quantizer=None,
    name="spectrogram_vqvae",
):
    """Builds the VQ-VAE for waveforms of any length.

    Args:
        sample_rate: int, Hz. Defaults to 16000.
        channels: int, channels of the waveforms. Defaults to 1.
        frame_length: int, samples of a frame, even. Defaults to 1024.
        hop_length: int, samples between frames. Defaults to 256.
        bands: int, mel bands of each channel. Defaults to 80.
        time_stride: int, frames per position of tokens. Defaults to 1.
        filters: int, channels of the ConvNeXt blocks. Defaults to 256.
        blocks: int, ConvNeXt blocks of the encoder and of the decoder. Defaults to 4.
        attention: int, self-attention blocks in each of the two. Defaults to 0.
        latent_dim: int, width of a latent vector. Defaults to 64.
        quantizer: `Quantizer`. Defaults to a `ResidualQuantizer` of four `EMAVectorQuantizer(1024)`, with fewer
            codebooks for half of the training examples.
        name: str, name of the tokenizer. Defaults to "spectrogram_vqvae".

    Returns:
        A built `AudioTokenizer`, float32 (batch, samples, channels) to int32 (batch, frames, num_codebooks).

    Example:
    >>> tokenizer = spectrogram_vqvae(filters=16)
    >>> tokenizer.frame_rate, tokenizer.kilobits_per_second(), tokenizer.kilobits_per_second(num_codebooks=1)
    (62.5, 2.5, 0.625)
    """
    decoder = {
        "channels": channels,
        "frame_length": frame_length,
        "hop_length": hop_length,
        "time_stride": time_stride,
        "filters": filters,
        "blocks": blocks,
        "attention": attention,
    }
    tokenizer = AudioTokenizer(
        spectrogram_encoder(latent_dim, sample_rate, bands=bands, **decoder),
        quantizer or ResidualQuantizer([EMAVectorQuantizer(1024) for _ in range(4)], 0.5, name="quantizer"),
        spectrogram_decoder(latent_dim, **decoder),
        sample_rate,
        name=name,
    )
    tokenizer.build((None, None, channels))
    return tokenizer
