"""Distances of a waveform and its reconstruction as they are heard: of spectra, of levels, and SI-SDR."""

import math

import keras

from vqzoo.ops.audio import distances as spectral_distances


class SpectralLoss:
    """A loss whose settings are its constructor's arguments; a subclass writes `__call__` and `get_config`."""

    def __call__(self, signal, reconstruction):
        """One number for each clip: float32 (batch,)."""
        raise NotImplementedError

    @classmethod
    def from_config(cls, config):
        """Inverse of `get_config`."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="vqzoo")
class MelLoss(SpectralLoss):
    r"""The distance of log-mel spectra at several resolutions, from short frames with few bands to long with many.

    $$d(x, y) = \sum_s \operatorname{mean}_{i,m} \left| \log_{10} \max(\epsilon, M_s(x)_{im})
    - \log_{10} \max(\epsilon, M_s(y)_{im}) \right|$$

    with $M_s$ the magnitudes of frames of N_s samples, N_s / 4 apart, through Slaney's filters. The defaults are DAC's,
    which weighs it 15; one decibel off everywhere is a distance of 0.35. Where a scale's narrowest filters would see no
    bin of the spectrum (its 5 bands at 48 kHz), it has as many bands as do. Beyond the clip's ends are zeros, where
    DAC mirrors the clip.

    Args:
        sample_rate: int, Hz.
        frame_lengths: sequence of int, N_s, samples, even. Defaults to 32, 64, ..., 2048.
        bands: sequence of int, as many. Defaults to 5, 10, ..., 320.
        floor: float, ε, of magnitudes. Defaults to 1e-5.

    Call arguments:
        signal: float tensor (batch, samples, channels).
        reconstruction: float tensor of the same shape.

    Returns:
        float32 tensor (batch,), the mean over the channels of each clip.

    Raises:
        ValueError: if the numbers are none of mel spectra, or the signals are not of that shape.

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
            raise ValueError(f"`floor` is positive: the logarithm of 0 is infinite. Received: floor={floor}")
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
    r"""Spectral convergence and the distance of log magnitudes, averaged over several resolutions.

    $$d(x, y) = \frac1M \sum_{m=1}^M \left(
    \frac{\lVert |X_m| - |Y_m| \rVert_F}{\lVert |X_m| \rVert_F}
    + \operatorname{mean} \left|\ln |X_m| - \ln |Y_m|\right| \right)$$

    The first weighs the loud, the second all alike. Powers count as 1e-7 at least, as in the paper's code. The defaults
    are the paper's, for 24 kHz.

    Args:
        frame_lengths: sequence of int, samples of a Fourier transform, even. Defaults to 512, 1024, 2048.
        hop_lengths: sequence of int, samples between frames. Defaults to 50, 120, 240.
        window_lengths: sequence of int, samples of the Hann window in the middle of a frame. Defaults to 240, 600,
            1200.

    Call arguments:
        signal: float tensor (batch, samples, channels).
        reconstruction: float tensor of the same shape.

    Returns:
        float32 tensor (batch,), the mean over the channels of each clip.

    Raises:
        ValueError: if the lengths do not fit, or the signals are not of that shape.

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
    r"""The distance of levels in windows of time: of the whole sound, and of its bands.

    The distances of log spectra are least where each bin is guessed at its median, and the energy of noise, or of
    phases that nobody knows, has a median below its mean: trained by them alone, sounds come back too quiet. Here the
    logarithm is taken after the mean over many frames, which leaves no such gap; times inside a window are the other
    losses' to judge.

    $$d(x, y) = \frac14 \sum_{s=1}^2 \operatorname{mean}_{w,b} \left|
    \log_{10} \left(\frac{E_s(x)_{wb} + \delta}{E(x) + \delta} + \epsilon\right)
    - \log_{10} \left(\frac{E_s(y)_{wb} + \delta}{E(x) + \delta} + \epsilon\right) \right|$$

    with E_1 the mean power of the frames of a window over all bins, E_2 that in each of Slaney's bands, E(x) that of
    the whole clip, and δ a power of 1e-7, below which nothing matters, as in `STFTLoss`. Half a decibel off everywhere
    is a distance of 0.025. Windows overlap by half, and are two frames long at least.

    Args:
        sample_rate: int, Hz.
        frame_length: int, samples of a frame, even; frames are a quarter of it apart. Defaults to 1024.
        bands: int; fewer where the narrowest would see no bin. Defaults to 24.
        seconds: float, of a window. Defaults to 0.25.
        floor: float, ε: a level of so small a share of the clip's does not matter. Defaults to 1e-5, 50 dB below.

    Call arguments:
        signal: float tensor (batch, samples, channels).
        reconstruction: float tensor of the same shape.

    Returns:
        float32 tensor (batch,), the mean over the channels of each clip.

    Raises:
        ValueError: if the numbers are none of mel spectra, or the signals are not of that shape.

    Example:
    >>> noise = np.random.default_rng(0).normal(size=(1, 4000, 1))
    >>> loss = LevelLoss(sample_rate=16000)
    >>> float(loss(noise, noise)[0]), round(float(loss(noise, 0.8913 * noise)[0]), 2)  # 1 dB
    (0.0, 0.05)
    """

    def __init__(self, sample_rate, frame_length=1024, bands=24, seconds=0.25, floor=1e-5):
        if not 0.0 < floor < math.inf or not 0.0 < seconds < math.inf:
            raise ValueError(f"`floor` and `seconds` are positive. Received: floor={floor}, seconds={seconds}")
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
    """The negative of `vqzoo.metrics.si_sdr`, in dB: it sees phases, which the spectral losses do not.

    Args:
        signal: float tensor (batch, samples, channels).
        reconstruction: float tensor of the same shape.

    Returns:
        float32 tensor (batch,), the mean over the channels of each clip.

    Raises:
        ValueError: if the signals are not of that shape.

    Example:
    >>> x, y = np.array([1.0, -1, 1, -1]), np.array([1.1, -0.9, 0.9, -1.1])
    >>> round(float(si_sdr_loss(x.reshape(1, 4, 1), y.reshape(1, 4, 1))[0]), 3)
    -20.0

    Reference:
        Le Roux et al. 2019, https://arxiv.org/abs/1811.02508, equation 5
    """
    return -spectral_distances.si_sdr(signal, reconstruction)
