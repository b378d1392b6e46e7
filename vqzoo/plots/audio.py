"""Reconstructed audio as files, and spectrograms of it."""

import keras
import numpy as np

from vqzoo.data import save_audio
from vqzoo.files import atomic_path
from vqzoo.files import user_path
from vqzoo.ops import magnitudes
from vqzoo.ops import stft

_FRAME_SECONDS = 0.032  # long enough to resolve the harmonics of a voice, short enough for its plosives
_RANGE = 80.0  # dB, dynamic range of the plot, that of most recordings


def save_spectrograms(path, originals, reconstructions, sample_rate):
    """Plots the spectrograms of audio next to those of its reconstructions.

    Both share a colour scale per row, from the loudest level of the original to 80 dB below.

    Args:
        path: str or path of the PNG.
        originals: float array (batch, samples, channels) in [-1, 1]; channels are averaged.
        reconstructions: float array of the same shape.
        sample_rate: int, Hz.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        ValueError: if the shapes do not match.

    Example:
    >>> import pathlib, tempfile
    >>> tone = np.sin(np.arange(8000) / 10)[None, :, None]
    >>> save_spectrograms(pathlib.Path(tempfile.mkdtemp(), "tone.png"), tone, 0.5 * tone, 16000).name
    'tone.png'
    """
    from matplotlib.figure import Figure  # imported here, because it takes half a second

    originals, reconstructions = map(keras.ops.convert_to_numpy, (originals, reconstructions))
    if originals.ndim != 3 or not len(originals) or originals.shape != reconstructions.shape:
        raise ValueError(
            "Audio must be (batch, samples, channels), not empty, and reconstructions of the same shape. Received: "
            f"{originals.shape} and {reconstructions.shape}"
        )
    rows = len(originals)
    figure = Figure(figsize=(11.0, 1.9 * rows + 0.7), dpi=110, layout="constrained")
    panels = figure.subplots(rows, 2, squeeze=False, sharex=True, sharey=True)
    seconds = originals.shape[1] / sample_rate
    for line, pair in zip(panels, zip(originals, reconstructions, strict=True), strict=True):
        spectra = [_decibels(sound.mean(axis=-1), sample_rate) for sound in pair]
        loudest = spectra[0].max()
        for axes, spectrum in zip(line, spectra, strict=True):
            axes.imshow(
                spectrum.T,
                origin="lower",
                aspect="auto",
                extent=(0.0, seconds, 0.0, sample_rate / 2000.0),
                vmin=loudest - _RANGE,
                vmax=loudest,
                cmap="magma",
            )
            axes.tick_params(labelsize=8)
        line[0].set_ylabel("kHz", fontsize=9)
    for axes, title in zip(panels[0], ("original", "reconstruction"), strict=True):
        axes.set_title(title, loc="left", fontsize=10)
    for axes in panels[-1]:
        axes.set_xlabel("seconds", fontsize=9)
    path = user_path(path)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
    return path


def save_sounds(folder, tokenizer, sounds):
    """Encodes and decodes audio, and writes spectrograms and audio files.

    Args:
        folder: str or path, for `spectrograms.png`, and `1_original.wav` and `1_reconstruction.wav` for each example.
        tokenizer: `AudioTokenizer`.
        sounds: float array (batch, samples, channels) in [-1, 1].

    Returns:
        List of the paths.

    Raises:
        ValueError: as `save_spectrograms`.
    """
    folder = user_path(folder)
    sounds = keras.ops.convert_to_numpy(sounds)
    reconstructions = keras.ops.convert_to_numpy(tokenizer.decode(tokenizer.encode(sounds), length=sounds.shape[1]))
    paths = [save_spectrograms(folder / "spectrograms.png", sounds, reconstructions, tokenizer.sample_rate)]
    for i, pair in enumerate(zip(sounds, np.clip(reconstructions, -1.0, 1.0), strict=True)):
        for name, sound in zip(("original", "reconstruction"), pair, strict=True):
            paths.append(folder / f"{i + 1}_{name}.wav")
            save_audio(paths[-1], sound, tokenizer.sample_rate)
    return paths


def _decibels(signal, sample_rate):
    """(frames, bins), dB."""
    frame = 2 * round(_FRAME_SECONDS * sample_rate / 2)
    # One frame per pixel of a panel, without gaps between frames.
    hop = max(1, min(frame // 2, len(signal) // 500))
    spectrum = keras.ops.convert_to_numpy(magnitudes(*stft(signal[None], frame, hop)))[0]
    return 20.0 * np.log10(np.maximum(spectrum, 1e-8))
