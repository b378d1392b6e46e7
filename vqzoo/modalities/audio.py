"""All that is special to audio."""

import sys

import numpy as np

from vqzoo.data import AudioClips
from vqzoo.data import find_audio
from vqzoo.data import load_long_audio
from vqzoo.data import sample_audio
from vqzoo.data import save_audio
from vqzoo.data import split_audio
from vqzoo.data.audio.files import SYNTHETIC
from vqzoo.data.audio.files import is_synthetic
from vqzoo.data.files import amount
from vqzoo.metrics import evaluate_audio
from vqzoo.metrics import mel_distance
from vqzoo.metrics import si_sdr
from vqzoo.modalities.measuring import Reconstructed
from vqzoo.modalities.measuring import batches_of
from vqzoo.modalities.measuring import reconstructed_files
from vqzoo.modalities.modality import EXAMPLES
from vqzoo.modalities.modality import Evaluation
from vqzoo.modalities.modality import Modality
from vqzoo.modalities.modality import Split
from vqzoo.modalities.modality import ignored_in
from vqzoo.plots import save_sounds
from vqzoo.trainers import Sounds

_BATCH = 16
_MOST_SAMPLES = 2**30  # of all channels, as `load_long_audio` reads
_SHOWN = 4  # clips


class AudioModality(Modality):
    """Audio.

    Example:
    >>> AudioModality().suffix
    '.wav'
    """

    name = "audio"
    noun = "clips"
    files_noun = "recordings"
    suffix = ".wav"
    sample_files = ("samples.png", "samples")
    at_once = 2**21
    """int, samples of a batch; longer recordings are encoded one at a time, in windows."""
    compared_at_once = 2**20
    """int, samples; longer recordings are compared in pieces."""
    counts = ("sample_rate", "validation_clips")

    # === Files ===
    def find(self, path):
        """As of `Modality`."""
        return find_audio(path)

    def load(self, tokenizer, path):
        """As of `Modality`: float32 (samples, channels) at the tokenizer's sample rate."""
        return load_long_audio(path, tokenizer.sample_rate, tokenizer.encoder.input_shape[-1])

    def save(self, tokenizer, path, signal):
        """As of `Modality`."""
        save_audio(path, np.clip(signal, -1.0, 1.0), tokenizer.sample_rate)

    # === Tokens ===
    def encode(self, tokenizer, signals):
        """As of `Modality`."""
        return np.asarray(tokenizer.encode(np.stack(signals), **self._windows(len(signals[0]))))

    def decode(self, tokenizer, tokens, size):
        """As of `Modality`."""
        self.check_grid(tokenizer, tokens, size, _MOST_SAMPLES // tokenizer.encoder.input_shape[-1])
        return np.asarray(tokenizer.decode(tokens[None], length=size[0], **self._windows(size[0])))[0]

    def compare(self, tokenizer, signal, reconstruction):
        """As of `Modality`: mel distance, and SI-SDR in dB.

        The mel distance is the mean over pieces, weighted by their lengths: frames do not reach from one into the next,
        and those of a long recording would not fit in memory.
        """
        reconstruction = np.clip(reconstruction, -1.0, 1.0)
        count = -(-len(signal) // self.compared_at_once)
        pieces = zip(np.array_split(signal, count), np.array_split(reconstruction, count), strict=True)
        distance = sum(
            len(x) / len(signal) * float(mel_distance(x[None], y[None], tokenizer.sample_rate)[0]) for x, y in pieces
        )
        return {"mel_distance": distance, "si_sdr": float(si_sdr(signal[None], reconstruction[None])[0])}

    def examples(self, tokenizer):
        """As of `Modality`: clips of recorded speech, or of synthetic sounds where there is none."""
        length, channels = tokenizer.encoder.input_shape[1:]
        files = sample_audio()
        if is_synthetic(files):
            print(SYNTHETIC, file=sys.stderr)
        rate = tokenizer.sample_rate
        return AudioClips(files, length or rate, EXAMPLES, sample_rate=rate, channels=channels).batch(0)

    def grid_of(self, tokenizer, size):
        """As of `Modality`."""
        return (-(-size[0] // tokenizer.stride),)

    # === Training ===
    def split(self, settings):
        """As of `Modality`; without `data` the recorded speech of a package, or synthetic sounds."""
        files = find_audio(settings.data) if settings.data else sample_audio()
        if not settings.data and is_synthetic(files):
            print(f"{SYNTHETIC} Give --data to train on recordings.", file=sys.stderr)
        if settings.validation_data:
            held_out = find_audio(settings.validation_data)
            return Split(files, held_out, ignored_in(files, held_out))
        if not settings.data:
            return Split(files[:-1], files[-1:], ignored_in(files))  # of another voice
        return Split(*split_audio(files, settings.validation_share), ignored_in(files))

    def datasets(self, settings, split, validation_batch):
        """As of `Modality`: random clips."""
        clip = {
            "samples": round(settings.seconds * settings.sample_rate),
            "sample_rate": settings.sample_rate,
            "channels": settings.channels,
            "seed": settings.seed,
        }
        changes = {
            "normalize": settings.normalize or None,
            "gain": settings.gain or None,
            "noise": settings.noise or None,
            "polarity": settings.polarity,
        }
        return (
            AudioClips(split.train, batch_size=settings.batch_size, **changes, **clip),
            AudioClips(split.validation, batch_size=validation_batch, **clip),
        )

    def validation_count(self, settings, split):
        """As of `Modality`."""
        return settings.validation_clips

    def shown(self, split, examples):
        """As of `Modality`."""
        return examples[:_SHOWN]

    def check(self, settings, split, tokenizer):
        """As of `Modality`: a preset that training starts from expects the recipe's sample rate."""
        rate = tokenizer.sample_rate
        if rate != settings.sample_rate:
            raise ValueError(
                f"The preset {settings.init!r} expects {rate} Hz. Received: --sample_rate {settings.sample_rate}. Give "
                f"--sample_rate {rate}."
            )

    # === Results ===
    def evaluate(self, tokenizer, split, batches):
        """What `vqzoo.metrics.evaluate_audio` reports."""
        return evaluate_audio(tokenizer, batches)

    def evaluate_sample(self, tokenizer, path, size, scale, count, seed):
        """As of `Modality`: random clips of `size` samples."""
        files = find_audio(path)
        length, channels = tokenizer.encoder.input_shape[1:]
        rate, samples = tokenizer.sample_rate, length or size
        clips = AudioClips(files, samples, min(_BATCH, count), sample_rate=rate, channels=channels, seed=seed)
        report = evaluate_audio(tokenizer, batches_of(clips, count))
        short = sum(0 < length < samples for length in clips.lengths)
        padded = f", {short} of which are shorter and padded with silence" if short else ""
        measured = (
            f"{report['clips']} clips of {samples} samples ({samples / rate:.3g} s), cut at random from {len(files)} "
            f"files{padded} (--whole measures each file as it is)"
        )
        return Evaluation(report, measured, len(files), clips.skipped, files.ignored)

    def evaluate_whole(self, tokenizer, path):
        """As of `Modality`; long recordings in windows."""
        files = find_audio(path)
        loaders = [(file, lambda file=file: self.load(tokenizer, file)) for file in files]
        result, skipped = Reconstructed(tokenizer), {}
        report = evaluate_audio(result, reconstructed_files(self, tokenizer, result, loaders, skipped))
        del report["times_real_time"]  # of what was already done
        report["recordings"] = report.pop("clips")
        measured = (
            f"{report['recordings']} of {len(files)} files, every sample of each; means over the files, and the bits "
            "of all of them together"
        )
        return Evaluation(report, measured, len(files), skipped, files.ignored)

    def save_samples(self, tokenizer, folder, samples):
        """As of `Modality`: files to listen to, and their spectrograms."""
        save_sounds(folder / "samples", tokenizer, samples)
        (folder / "samples" / "spectrograms.png").replace(folder / "samples.png")

    def watcher(self, tokenizer, folder, samples):
        """As of `Modality`."""
        return Sounds(folder / "sounds", tokenizer, samples)

    def describe(self, settings, split):
        """As of `Modality`."""
        source = settings.data or ", ".join(file.name for file in split.train[:5])  # names say that it is synthetic
        return {
            "description": f"clips of {settings.seconds:g} s.",
            "signal": {"range": [-1.0, 1.0], "channels": settings.channels, "sample_rate": settings.sample_rate},
            "data": f"{amount(len(split.train), 'recordings')}: {source}",
        }

    def _windows(self, samples):
        return {"window": self.at_once // 4} if samples > self.at_once else {}
