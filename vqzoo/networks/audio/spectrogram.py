"""Encoders from log-mel spectra and decoders by the inverse Fourier transform, for waveforms of any length."""

import keras

from vqzoo.networks.audio.head import InverseSTFTHead
from vqzoo.networks.audio.log_mel import LogMel
from vqzoo.networks.sequence.blocks import EPSILON
from vqzoo.networks.sequence.blocks import ConvNeXtBlock1D
from vqzoo.networks.sequence.blocks import SelfAttentionBlock1D
from vqzoo.networks.sequence.convolution import TimeConv1D
from vqzoo.networks.sequence.convolution import UpsampleConv1D

HEAD_WIDTH = 64  # channels of one attention head, approximately


def spectrogram_encoder(
    latent_dim,
    sample_rate,
    channels=1,
    frame_length=1024,
    hop_length=256,
    bands=80,
    time_stride=1,
    filters=256,
    blocks=4,
    attention=0,
):
    """Builds an encoder of waveforms: log-mel spectra, mel bands as channels, and ConvNeXt blocks over time.

    It accepts any length. n samples become ceil(n / (hop_length * time_stride)) latents, with zero padding at the ends.
    With a mask, `encoder(waveform, mask=mask)` of shape (batch, samples), each example has the same latents as by
    itself.

    Args:
        latent_dim: int, width of a latent vector.
        sample_rate: int, Hz.
        channels: int, of the waveforms. Defaults to 1.
        frame_length: int, samples of a frame, even. Defaults to 1024.
        hop_length: int, samples between frames. Defaults to 256.
        bands: int, mel bands of each channel. Defaults to 80.
        time_stride: int, frames per latent vector. Defaults to 1.
        filters: int, channels of the blocks. Defaults to 256.
        blocks: int, ConvNeXt blocks; the first half before the stride in time. Defaults to 4.
        attention: int, self-attention blocks after them, over the whole waveform. Defaults to 0.

    Returns:
        `keras.Model`, waveforms (batch, samples, channels) to latents (batch, frames, latent_dim).

    Raises:
        ValueError: if mel bands are so narrow that some contain no bin, or the lengths are not valid for frames.

    Example:
    >>> spectrogram_encoder(8, 16000, filters=16).compute_output_shape((1, 16000, 1))
    (1, 63, 8)

    Reference:
        Siuzdak 2023, https://arxiv.org/abs/2306.00814, section 3.2, for the blocks
    """
    waveform = keras.Input((None, channels), name="waveform")
    x = LogMel(sample_rate, frame_length, hop_length, bands, name="log_mel")(waveform)
    x = TimeConv1D(filters, 7, name="conv_in")(x)
    x = _norm("norm_in")(x)
    early = blocks // 2
    x = _blocks(x, range(early), blocks)
    if time_stride > 1:
        x = TimeConv1D(filters, 2 * time_stride, time_stride, name="down")(x)
    x = _blocks(x, range(early, blocks), blocks)
    x = _attention(x, attention)
    x = _norm("norm_out")(x)
    latents = keras.layers.Dense(latent_dim, name="latents")(x)
    return _masking(keras.Model(waveform, latents, name="encoder"))


def spectrogram_decoder(
    latent_dim,
    channels=1,
    frame_length=1024,
    hop_length=256,
    time_stride=1,
    filters=256,
    blocks=4,
    attention=0,
):
    """Builds the counterpart of `spectrogram_encoder`: blocks over time and the head of Vocos, without a vocoder.

    Args:
        latent_dim: int, width of a latent vector.
        channels: int, of the waveforms. Defaults to 1.
        frame_length: int, samples of a frame, even. Defaults to 1024.
        hop_length: int, samples between frames. Defaults to 256.
        time_stride: int, frames per latent vector. Defaults to 1.
        filters: int, channels of the blocks. Defaults to 256.
        blocks: int, ConvNeXt blocks; the first half before the upsampling in time. Defaults to 4.
        attention: int, self-attention blocks before them, over the whole waveform. Defaults to 0.

    Returns:
        `keras.Model`, latents (batch, frames, latent_dim) to float32 waveforms
        (batch, frames * time_stride * hop_length, channels).

    Raises:
        ValueError: if the lengths are not valid for frames.

    Example:
    >>> spectrogram_decoder(8, filters=16).compute_output_shape((1, 63, 8))
    (1, 16128, 1)

    Reference:
        Siuzdak 2023, https://arxiv.org/abs/2306.00814
    """
    x = latents = keras.Input((None, latent_dim), name="latents")
    x = TimeConv1D(filters, 7, name="conv_in")(x)
    x = _norm("norm_in")(x)
    x = _attention(x, attention)
    early = blocks // 2
    x = _blocks(x, range(early), blocks)
    if time_stride > 1:
        x = UpsampleConv1D(filters, time_stride, name="up")(x)
    x = _blocks(x, range(early, blocks), blocks)
    x = _norm("norm_out")(x)
    waveform = InverseSTFTHead(frame_length, hop_length, channels, name="waveform")(x)
    return _masking(keras.Model(latents, waveform, name="decoder"))


def _masking(model):
    model.supports_masking = True  # as its layers do; otherwise Keras warns
    return model


def _norm(name):
    return keras.layers.LayerNormalization(epsilon=EPSILON, name=name)


def _blocks(x, numbers, blocks):
    for i in numbers:
        x = ConvNeXtBlock1D(scale=1.0 / blocks, name=f"block_{i}")(x)
    return x


def _attention(x, attention):
    heads = max(1, x.shape[-1] // HEAD_WIDTH)
    for i in range(attention):
        x = SelfAttentionBlock1D(heads, name=f"attention_{i}")(x)
    return x
