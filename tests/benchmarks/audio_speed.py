"""Speed of the log-mel spectrum against librosa, interleaved in one run.

    python tests/benchmarks/audio_speed.py               # 10 s at 16 kHz, frames of 1024 samples 256 apart, 80 bands
    python tests/benchmarks/audio_speed.py --seconds 60 --repeats 5

`vqzoo.ops` in one compiled function against `librosa.feature.melspectrogram` and a logarithm in numpy. Every figure is
process CPU time with one thread, in seconds of sound a second; the ratio is the median over `--repeats` rounds, in each
of which both run ten times. The largest difference of the mel spectra is told relative to the largest value. The bars
are 1.5 times librosa's speed and a difference of 1e-5; below them the exit status is 1.
"""

import argparse
import os
import statistics
import sys
import time

LEAST_RATIO = 1.5
LARGEST_DIFFERENCE = 1e-5
FLOOR = 1e-5
CALLS = 10  # a single one takes milliseconds


def main():
    """Prints the speeds, their ratio and the difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--sample-rate", type=int, default=16000)
    parser.add_argument("--frame-length", type=int, default=1024)
    parser.add_argument("--hop-length", type=int, default=256)
    parser.add_argument("--bands", type=int, default=80)
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    # Read when the libraries are imported.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(_race(arguments))


def _race(arguments):
    import numpy as np

    signal = np.random.default_rng(0).normal(scale=0.1, size=int(arguments.seconds * arguments.sample_rate))
    ours, ours_mel = _ours(signal.astype("float32"), arguments)
    theirs, theirs_mel = _theirs(signal.astype("float32"), arguments)
    found, expected = ours_mel(), theirs_mel()
    difference = np.abs(found - expected).max() / expected.max()
    contestants = {"vqzoo": ours, "librosa": theirs}
    for function in contestants.values():
        function()  # compiles
    rounds = []
    for i in range(arguments.repeats):
        order = list(contestants)[:: 1 if i % 2 else -1]
        rounds.append({name: _seconds(contestants[name]) for name in order})
    for name in contestants:
        speed = arguments.seconds / statistics.median(one[name] for one in rounds)
        print(f"{name:8s} {speed:10,.0f} s of sound a second")
    ratios = sorted(one["librosa"] / one["vqzoo"] for one in rounds)
    ratio = statistics.median(ratios)
    print(f"ratio    {ratio:10.2f}x [{ratios[0]:.2f}-{ratios[-1]:.2f}], the bar is {LEAST_RATIO}x")
    print(f"largest difference {difference:.1e} of the largest value, the bar is {LARGEST_DIFFERENCE:.0e}")
    return int(ratio < LEAST_RATIO or not difference < LARGEST_DIFFERENCE)


def _ours(signal, arguments):
    """The log-mel spectrum as a timed function, and the mel spectrum (bands, frames) as another."""
    import keras
    import numpy as np
    import tensorflow as tf

    from vqzoo import ops

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    lengths = arguments.frame_length, arguments.hop_length
    filters = ops.mel_filters(arguments.sample_rate, arguments.frame_length, arguments.bands).astype("float32")

    def mel(x):
        return keras.ops.matmul(ops.magnitudes(*ops.stft(x, *lengths)), keras.ops.convert_to_tensor(filters))

    x = tf.constant(signal[np.newaxis])
    log_mel = tf.function(lambda x: keras.ops.log10(keras.ops.maximum(mel(x), FLOOR)), autograph=False)
    return lambda: log_mel(x).numpy(), lambda: mel(x).numpy()[0].T


def _theirs(signal, arguments):
    import librosa
    import numpy as np

    # Frames as ours are: zeros where they look past the ends.
    count = -(-len(signal) // arguments.hop_length)
    before = (arguments.frame_length - arguments.hop_length) // 2
    length = (count - 1) * arguments.hop_length + arguments.frame_length
    padded = np.pad(signal, [before, length - before - len(signal)])

    def mel():
        return librosa.feature.melspectrogram(
            y=padded,
            sr=arguments.sample_rate,
            n_fft=arguments.frame_length,
            hop_length=arguments.hop_length,
            n_mels=arguments.bands,
            power=1.0,
            center=False,
        )

    return lambda: np.log10(np.maximum(mel(), FLOOR)), mel


def _seconds(function):
    started = time.process_time()
    for _ in range(CALLS):
        function()
    return (time.process_time() - started) / CALLS


if __name__ == "__main__":
    main()
