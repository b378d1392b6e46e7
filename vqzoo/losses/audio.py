"""Losses between a waveform and its reconstruction: spectral distances, level distances and SI-SDR."""

import math

import keras

from vqzoo.ops.audio import distances as spectral_distances


class SpectralLoss:
    """A loss configured by its constructor. A subclass implements `__call__` and `get_config`."""

    def __call__(self, signal, reconstruction):
        """One value per clip, float32 (batch,)."""
        raise NotImplementedError

    @classmethod
    def from_config(cls, config):
        """Inverse of `get_config`."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="vqzoo")
class MelLoss(SpectralLoss):
    r"""Distance of log-mel spectra at several resolutions, from short frames with few bands to long frames with many.

    $$d(x, y) = \sum_s \operatorname{mean}_{i,m} \left| \log_{10} \max(\epsilon, M_s(x)_{im})
    - \log_{10} \max(\epsilon, M_s(y)_{im}) \right|$$

    with $M_s$ the magnitudes of frames of N_s samples with a hop of N_s / 4, filtered by Slaney's mel filters. The
    defaults are those of DAC, which uses a weight of 15. An error of one decibel everywhere is a distance of 0.35.
    If the narrowest filters of a scale would contain no bin of the spectrum (5 bands at 48 kHz), the scale uses fewer
    bands. The clip is padded with zeros, while DAC pads by reflection.

    Args:
        sample_rate: int, Hz.
        frame_lengths: sequence of int, N_s, samples, even. Defaults to 32, 64, ..., 2048.
        bands: sequence of int, one per frame length. Defaults to 5, 10, ..., 320.
        floor: float, ε, the smallest magnitude. Defaults to 1e-5.

    Call arguments:
        signal: float tensor (batch, samples, channels).
        reconstruction: float tensor of the same shape.

    Returns:
        float32 tensor (batch,), the mean over the channels of each clip.

    Raises:
        ValueError: if the settings do not define mel spectra, or the signals do not have that shape.

    Example:
    >>> noise = np.random.default_rng(0).normal(size=(1, 1600, 1))
    >>> loss = MelLoss(sample_rate=16000)
    >>> float(loss(noise, noise)[0]), round(float(loss(noise, 0.8913 * noise)[0]), 2)  # 1 dB
    (0.0, 0.35)

    Reference:
        Kumar et al. 2023, https://arxiv.org/abs/2306.06546, section 3.5
    """

    def __init__(
        self,
        sample_rate,
        frame_lengths=(32, 64, 128, 256, 512, 1024, 2048),
        bands=(5, 10, 20, 40, 80, 160, 320),
        floor=1e-5,
    ):
        if floor <= 0.0:
            raise ValueError(f"`floor` must be positive, because log(0) is infinite. Received: floor={floor}")
        self.sample_rate = sample_rate
        self.frame_lengths = tuple(frame_lengths)
        self.bands = tuple(bands)
        self.floor = floor
        self._scales = spectral_distances.mel_scales(sample_rate, self.frame_lengths, self.bands)

    def __call__(self, signal, reconstruction):
        return spectral_distances.mel_distance(signal, reconstruction, self._scales, self.floor)

    def get_config(self):
        """The constructor's arguments."""
        return {
            "sample_rate": self.sample_rate,
            "frame_lengths": list(self.frame_lengths),
            "bands": list(self.bands),
            "floor": self.floor,
        }


@keras.saving.register_keras_serializable(package="vqzoo")
class STFTLoss(SpectralLoss):
    r"""Spectral convergence and log-magnitude distance, averaged over several resolutions.

    $$d(x, y) = \frac1M \sum_{m=1}^M \left(
    \frac{\lVert |X_m| - |Y_m| \rVert_F}{\lVert |X_m| \rVert_F}
    + \operatorname{mean} \left|\ln |X_m| - \ln |Y_m|\right| \right)$$

    The first term emphasises loud bins, the second weights all bins equally. Powers are clipped to at least 1e-7, as in
    the code of the paper. The defaults are those of the paper, for 24 kHz.

    Args:
        frame_lengths: sequence of int, samples per Fourier transform, even. Defaults to 512, 1024, 2048.
        hop_lengths: sequence of int, samples between frames. Defaults to 50, 120, 240.
        window_lengths: sequence of int, samples of the Hann window, centred in the frame. Defaults to 240, 600,
            1200.

    Call arguments:
        signal: float tensor (batch, samples, channels).
        reconstruction: float tensor of the same shape.

    Returns:
        float32 tensor (batch,), the mean over the channels of each clip.

    Raises:
        ValueError: if the lengths do not match, or the signals do not have that shape.

    Example:
    >>> noise = np.random.default_rng(0).normal(size=(1, 4000, 1))
    >>> [round(float(STFTLoss()(noise, gain * noise)[0]), 3) for gain in (1.0, 0.5)]  # 1/2 + ln 2
    [0.0, 1.193]

    Reference:
        Yamamoto, Song, Kim 2020, https://arxiv.org/abs/1910.11480, equations 3 to 6 and table 1
    """

    def __init__(self, frame_lengths=(512, 1024, 2048), hop_lengths=(50, 120, 240), window_lengths=(240, 600, 1200)):
        self.frame_lengths = tuple(frame_lengths)
        self.hop_lengths = tuple(hop_lengths)
        self.window_lengths = tuple(window_lengths)
        spectral_distances.check_resolutions(self.frame_lengths, self.hop_lengths, self.window_lengths)

    def __call__(self, signal, reconstruction):
        return spectral_distances.stft_distance(
            signal, reconstruction, self.frame_lengths, self.hop_lengths, self.window_lengths
        )

    def get_config(self):
        """The constructor's arguments."""
        return {name: list(getattr(self, name)) for name in ("frame_lengths", "hop_lengths", "window_lengths")}


@keras.saving.register_keras_serializable(package="vqzoo")
class LevelLoss(SpectralLoss):
    r"""Distance of levels in time windows, over all frequencies and per mel band.

    Distances of log spectra are minimised by the median of each bin. The energy of noise and of unknown phases has a
    median below its mean. A model trained only with such distances therefore reconstructs audio too quietly. Here the
    logarithm is taken after the mean over many frames, which removes this bias. The timing inside a window is left to
    the other losses.

    $$d(x, y) = \frac14 \sum_{s=1}^2 \operatorname{mean}_{w,b} \left|
    \log_{10} \left(\frac{E_s(x)_{wb} + \delta}{E(x) + \delta} + \epsilon\right)
    - \log_{10} \left(\frac{E_s(y)_{wb} + \delta}{E(x) + \delta} + \epsilon\right) \right|$$

    with E_1 the mean power of the frames of a window over all bins, E_2 that in each of Slaney's bands, E(x) that of
    the whole clip, and δ = 1e-7 the smallest power that counts, as in `STFTLoss`. An error of half a decibel everywhere
    is a distance of 0.025. Windows overlap by half and have at least two frames.

    Args:
        sample_rate: int, Hz.
        frame_length: int, samples per frame, even. The hop is a quarter of it. Defaults to 1024.
        bands: int, number of mel bands; reduced if the narrowest would contain no bin. Defaults to 24.
        seconds: float, length of a window. Defaults to 0.25.
        floor: float, ε, the smallest level that counts, relative to the clip's. Defaults to 1e-5, which is -50 dB.

    Call arguments:
        signal: float tensor (batch, samples, channels).
        reconstruction: float tensor of the same shape.

    Returns:
        float32 tensor (batch,), the mean over the channels of each clip.

    Raises:
        ValueError: if the settings do not define mel spectra, or the signals do not have that shape.

    Example:
    >>> noise = np.random.default_rng(0).normal(size=(1, 4000, 1))
    >>> loss = LevelLoss(sample_rate=16000)
    >>> float(loss(noise, noise)[0]), round(float(loss(noise, 0.8913 * noise)[0]), 2)  # 1 dB
    (0.0, 0.05)
    """

    def __init__(self, sample_rate, frame_length=1024, bands=24, seconds=0.25, floor=1e-5):
        if not 0.0 < floor < math.inf or not 0.0 < seconds < math.inf:
            raise ValueError(f"`floor` and `seconds` must be positive. Received: floor={floor}, seconds={seconds}")
        self.sample_rate = sample_rate
        self.frame_length = frame_length
        self.bands = bands
        self.seconds = seconds
        self.floor = floor
        [(_, hop, self._filters)] = spectral_distances.mel_scales(sample_rate, (frame_length,), (bands,))
        self._pooled = max(2, round(seconds * sample_rate / hop))

    def __call__(self, signal, reconstruction):
        return spectral_distances.level_distance(
            signal, reconstruction, self.frame_length, self._pooled, self._filters, self.floor
        )

    def get_config(self):
        """The constructor's arguments."""
        return {name: getattr(self, name) for name in ("sample_rate", "frame_length", "bands", "seconds", "floor")}


@keras.saving.register_keras_serializable(package="vqzoo")
def si_sdr_loss(signal, reconstruction):
    """The negative of `vqzoo.metrics.si_sdr`, in dB. It depends on phases, which the spectral losses ignore.

    Args:
        signal: float tensor (batch, samples, channels).
        reconstruction: float tensor of the same shape.

    Returns:
        float32 tensor (batch,), the mean over the channels of each clip.

    Raises:
        ValueError: if the signals do not have that shape.

    Example:
    >>> x, y = np.array([1.0, -1, 1, -1]), np.array([1.1, -0.9, 0.9, -1.1])
    >>> round(float(si_sdr_loss(x.reshape(1, 4, 1), y.reshape(1, 4, 1))[0]), 3)
    -20.0

    Reference:
        Le Roux et al. 2019, https://arxiv.org/abs/1811.02508, equation 5
    """
    return -spectral_distances.si_sdr(signal, reconstruction)
