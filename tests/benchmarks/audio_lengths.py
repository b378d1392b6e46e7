"""Sounds of any length, padded batches and long files: are tokens and samples those of each sound alone?

    python tests/benchmarks/audio_lengths.py PRESET RECORDING                    # equalities, then memory and speed
    python tests/benchmarks/audio_lengths.py PRESET RECORDING --minutes 1 60

The recording is repeated where it is too short. Told are: of how many random lengths exactly as many samples come back;
of how many sounds in one padded batch the tokens equal those that each has alone; how many tokens of half a minute at a
time equal the whole's, and the largest difference of the samples decoded in windows; and, each in a process of its own,
how much memory encoding and decoding a number of minutes take beyond what the sound and its tokens are, and how many
times faster than the sound lasts they run on one thread of processor time.
"""

import argparse
import os
import resource
import subprocess
import sys

import numpy as np

import vqzoo

WINDOW_SECONDS = 30


def recording(path, tokenizer, samples):
    """So many samples (samples, channels) of a recording, repeated where it is too short."""
    sound = vqzoo.data.load_audio(path, tokenizer.sample_rate, tokenizer.encoder.input_shape[-1])
    return np.tile(sound, (-(-samples // len(sound)), 1))[:samples]


def equalities(preset, path, lengths):
    """Prints what is equal."""
    tokenizer = vqzoo.AudioTokenizer.from_preset(preset)
    rate, random = tokenizer.sample_rate, np.random.default_rng(0)
    sound = recording(path, tokenizer, 4 * WINDOW_SECONDS * rate)
    some = random.integers(1, 2 * rate, lengths)
    alone = [sound[start : start + n] for start, n in zip(random.integers(0, 60 * rate, lengths), some, strict=True)]
    tokens = [np.asarray(tokenizer.encode(clip[None]))[0] for clip in alone]
    exact = sum(tokenizer.decode(one[None], length=int(n)).shape[1] == n for one, n in zip(tokens, some, strict=True))
    print(f"lengths: {exact} of {lengths} from {some.min()} to {some.max()} samples come back as long as they were")
    batch = np.stack([np.pad(clip, ((0, some.max() - len(clip)), (0, 0))) for clip in alone])
    together = np.asarray(tokenizer.encode(batch, lengths=some, batch_size=8))
    same = sum(np.array_equal(row[: len(one)], one) for row, one in zip(together, tokens, strict=True))
    print(f"batch: {same} of {lengths} sounds have the tokens in a padded batch that they have alone")
    whole, window = np.asarray(tokenizer.encode(sound[None])), WINDOW_SECONDS * rate
    parts = np.asarray(tokenizer.encode(sound[None], window=window))
    print(f"windows: {(whole == parts).mean():.4%} of {whole.size:,} tokens equal the whole's")
    again = [np.asarray(tokenizer.decode(whole, length=len(sound), window=w)) for w in (None, window)]
    print(f"windows: decoded within {np.abs(again[0] - again[1]).max():.2g} of the whole")


def memory(preset, path, minutes):
    """Prints memory and speed of this process."""
    tokenizer = vqzoo.AudioTokenizer.from_preset(preset)
    rate = tokenizer.sample_rate
    window = WINDOW_SECONDS * rate
    sound = recording(path, tokenizer, round(60 * minutes * rate))
    tokenizer.decode(tokenizer.encode(sound[None, : 2 * window], window=window), length=2 * window, window=window)
    before, times = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, [sum(os.times()[:2])]
    tokens = tokenizer.encode(sound[None], window=window)
    times.append(sum(os.times()[:2]))
    again = tokenizer.decode(tokens, length=len(sound), window=window)
    times.append(sum(os.times()[:2]))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10
    held = (np.asarray(again).nbytes + np.asarray(tokens).nbytes) / 2**20
    speeds = [60 * minutes / (b - a) for a, b in zip(times, times[1:], strict=False)]
    print(
        f"{minutes:g} minutes: {grown:.0f} MiB more than two windows took, {held:.0f} MiB of them tokens and sound; "
        f"encoded at {speeds[0]:.0f} times real time, decoded at {speeds[1]:.0f}"
    )


def main():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset")
    parser.add_argument("recording")
    parser.add_argument("--lengths", type=int, default=200)
    parser.add_argument("--minutes", type=float, nargs="+", default=(5, 60))
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        memory(arguments.preset, arguments.recording, *arguments.minutes)
        return
    equalities(arguments.preset, arguments.recording, arguments.lengths)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1")
    for minutes in arguments.minutes:
        command = [sys.executable, __file__, arguments.preset, arguments.recording, "--worker", "--minutes"]
        subprocess.run([*command, str(minutes)], check=True, env={**os.environ, **threads})


if __name__ == "__main__":
    main()
