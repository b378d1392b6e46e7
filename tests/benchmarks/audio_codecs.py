"""Sound through tokenizers, Opus and Codec2: how much of it is left, at how many bits?

    pip install -e ".[metrics]" pocketsphinx; apt install opus-tools codec2
    python tests/benchmarks/audio_codecs.py SPEECH PRESET... [--codebooks 2 3] [--transcripts TABLE] [--count 100]
        [--record]
    python tests/benchmarks/audio_codecs.py MUSIC PRESET... --rate 44100 --opus 6 8 12 [--record]

Every contestant gets the same clips, of one second to ten, in mono; the first so many by a hash of their names, which
mixes folders. At 16 kHz they are speech; at other rates they are not, and STOI, PESQ and Codec2 are left out. Codec2
works at 8 kHz: its clips are resampled down and up again, as every listener of it has to. The bits are those of the
tokens, and of the packets alone for Opus, without the pages of its file. A row tells kbit/s, the medians of STOI and
wide-band PESQ, the mean mel and STFT distances, the median and the worst level in dB above the original's, how many
times faster than the sound lasts encoding and decoding run on one thread of processor time, and, for a table of `file`
and `text`, the word error rate of pocketsphinx over all its clips; the row of the originals tells how many words it
gets wrong anyway. With `--record` the numbers of a preset with all its codebooks go into its metadata and card.
"""

import argparse
import csv
import hashlib
import os
import pathlib
import subprocess
import tempfile

import numpy as np
import rich.console
import rich.table
import tensorflow as tf

import vqzoo
from vqzoo import metrics

SPEECH = 16000  # Hz, at which clips are speech
COLUMNS = {"kilobits_per_second": "kbit/s", "stoi": "STOI", "pesq": "PESQ", "mel_distance": "mel distance"}
COLUMNS |= {"stft_distance": "STFT distance", "level_difference_median": "level"}
MEDIANS = ("stoi", "pesq", "level_difference")
OGG_HEADER, OGG_SEGMENTS = 27, 26  # bytes of a page's header before its table of segments; where their count stands


class Tokens:
    """A tokenizer with all or the first so many of its codebooks."""

    def __init__(self, preset, codebooks=None):
        self.preset = preset
        self.tokenizer = vqzoo.AudioTokenizer.from_preset(preset)
        self.codebooks = codebooks
        self.name = pathlib.Path(preset).name + (f", {codebooks} codebooks" if codebooks else "")

    def encode(self, clip):
        """Tokens and their bits."""
        tokens = self.tokenizer.encode(clip[None], num_codebooks=self.codebooks)
        bits = np.log2(self.tokenizer.codebook_sizes[: tokens.shape[-1]]).sum() * tokens.shape[1]
        return tokens, bits

    def decode(self, tokens, clip):
        """The sound again."""
        return np.asarray(self.tokenizer.decode(tokens, length=len(clip)))[0]


class Opus:
    """Opus at a nominal bit rate."""

    def __init__(self, kilobits, rate):
        self.name, self.kilobits, self.rate = f"Opus {kilobits:g}", kilobits, rate

    def encode(self, clip):
        """The file, and the bits of its packets."""
        kind = "--speech" if self.rate == SPEECH else "--music"
        command = ["opusenc", "--quiet", kind, "--bitrate", str(self.kilobits), "IN.wav", "OUT"]
        data = _through(clip, command, self.rate)
        return data, 8 * _packets(data)

    def decode(self, data, clip):
        """The sound again."""
        with tempfile.TemporaryDirectory() as folder:
            source, target = pathlib.Path(folder, "a.opus"), pathlib.Path(folder, "a.wav")
            source.write_bytes(data)
            subprocess.run(["opusdec", "--quiet", "--rate", str(self.rate), source, target], check=True)
            return _fitted(vqzoo.data.load_audio(target, self.rate, channels=1), clip)


class Codec2:
    """Codec2, a vocoder of telephone speech."""

    def __init__(self, bits):
        self.name, self.mode = f"Codec2 {bits / 1000:g}", str(bits)

    def encode(self, clip):
        """The frames and their bits."""
        low = _resampled(clip, SPEECH, 8000)
        raw = (np.clip(low[:, 0], -1, 1) * 32767).astype("<i2").tobytes()
        data = subprocess.run(["c2enc", self.mode, "-", "-"], input=raw, capture_output=True, check=True).stdout
        return data, 8 * len(data)

    def decode(self, data, clip):
        """The sound again, at 16 kHz."""
        raw = subprocess.run(["c2dec", self.mode, "-", "-"], input=data, capture_output=True, check=True).stdout
        low = np.frombuffer(raw, "<i2").astype("float32")[:, None] / 32768
        return _fitted(_resampled(low, 8000, SPEECH), clip)


class Original:
    """The clips as they are."""

    name = "original"

    def encode(self, clip):
        """The clip itself."""
        return clip, 16 * len(clip)

    def decode(self, data, clip):
        """The clip itself."""
        return clip


def _resampled(clip, source, target):
    import soxr

    return soxr.resample(clip, source, target).astype("float32")


def _fitted(sound, clip):
    """As many samples as the clip has: codecs add some."""
    return np.pad(sound, ((0, max(0, len(clip) - len(sound))), (0, 0)))[: len(clip)]


def _through(clip, command, rate):
    """What a program writes of a clip."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {"IN.wav": str(pathlib.Path(folder, "in.wav")), "OUT": str(pathlib.Path(folder, "out"))}
        vqzoo.data.save_audio(paths["IN.wav"], clip, rate)
        subprocess.run([paths.get(word, word) for word in command], check=True, capture_output=True)
        return pathlib.Path(paths["OUT"]).read_bytes()


def _packets(data):
    """Bytes of sound in an Ogg file: pages without their headers, and without the two of description."""
    total, at, pages = 0, 0, 0
    while at < len(data):
        count = data[at + OGG_SEGMENTS]
        body = sum(data[at + OGG_HEADER : at + OGG_HEADER + count])
        total += body if pages > 1 else 0
        at, pages = at + OGG_HEADER + count + body, pages + 1
    return total


def main():
    """Prints a row for each contestant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=pathlib.Path, help="folder")
    parser.add_argument("presets", nargs="*")
    parser.add_argument("--codebooks", nargs="*", type=int, default=[], help="the first so many, too")
    parser.add_argument("--rate", type=int, default=SPEECH, help="Hz")
    parser.add_argument("--opus", nargs="*", type=float, default=[6.0, 8.0])
    parser.add_argument("--codec2", nargs="*", type=int, default=[1200, 2400, 3200])
    parser.add_argument("--transcripts", type=pathlib.Path, help="table of file (in CLIPS) and text, with tabs")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--record", action="store_true", help="writes the numbers into the presets")
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    rate, speech = arguments.rate, arguments.rate == SPEECH
    texts = _texts(arguments.transcripts) if arguments.transcripts else None
    names = _chosen(arguments.clips, arguments.count, texts)
    clips = [vqzoo.data.load_audio(arguments.clips / name, rate, channels=1) for name in names]
    print(f"{len(clips)} clips, {sum(map(len, clips)) / rate:.0f} s")
    contestants = [Original(), *(Tokens(preset) for preset in arguments.presets)]
    contestants += [Tokens(preset, count) for preset in arguments.presets for count in arguments.codebooks]
    contestants += [Opus(kilobits, rate) for kilobits in arguments.opus]
    contestants += map(Codec2, arguments.codec2 if speech else ())
    shown = (
        "kilobits_per_second",
        *(("stoi", "pesq") if speech else ()),
        "mel_distance",
        "stft_distance",
        "level_difference_median",
    )
    table = rich.table.Table("", *(COLUMNS[name] for name in shown), "encode", "decode", "word errors")
    for contestant in contestants:
        report, spent = _judged(contestant, clips, rate, texts and [texts[name] for name in names])
        cells = [f"{report[name]:.4g}" for name in shown[:-1]]
        cells.append(f"{report['level_difference_median']:+.1f}, {report['level_difference_worst']:+.1f}")
        cells += ["", ""] if isinstance(contestant, Original) else [f"{x:.0f}x" for x in spent]
        table.add_row(contestant.name, *cells, f"{report['word_error_rate']:.1%}" if texts else "")
        if arguments.record and isinstance(contestant, Tokens) and not contestant.codebooks:
            folder = vqzoo.presets.find_preset(contestant.preset)
            known = vqzoo.presets.read_metadata(folder).get("metrics", {})
            vqzoo.presets.update_metadata(folder, metrics={**known, **report, "clips_of_these": len(clips)})
    rich.console.Console(width=120).print(table)


def _texts(path):
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return {row["file"]: row["text"] for row in rows if row.get("split", "val") == "val"}


def _chosen(folder, count, texts):
    """The first names by their hashes whose clips last one second to ten."""
    paths = [folder / name for name in texts] if texts else vqzoo.data.find_audio(folder)
    names = sorted((str(path.relative_to(folder)) for path in paths), key=lambda x: hashlib.sha256(x.encode()).digest())
    chosen = []
    for name in names:
        about = vqzoo.data.audio_info(folder / name)
        if 1.0 <= about.samples / about.sample_rate <= 10.0:
            chosen.append(name)
        if len(chosen) == count:
            break
    return chosen


def _judged(contestant, clips, rate, texts):
    """A contestant's numbers, and how many times faster than the sound lasts it encodes and decodes."""
    contestant.decode(contestant.encode(clips[0])[0], clips[0])  # what is compiled at the first call
    seconds = sum(map(len, clips)) / rate
    bits, spent, again = 0, [0.0, 0.0], []
    for clip in clips:
        started = _seconds()
        data, size = contestant.encode(clip)
        between = _seconds()
        again.append(np.clip(contestant.decode(data, clip), -1.0, 1.0).astype("float32"))
        bits, spent = bits + size, [spent[0] + between - started, spent[1] + _seconds() - between]
    scores = {"mel_distance": metrics.mel_distance, "stft_distance": lambda x, y, _: metrics.stft_distance(x, y)}
    scores["level_difference"] = lambda x, y, _: metrics.level_difference(x, y)
    if rate == SPEECH:
        scores |= {"stoi": metrics.stoi, "pesq": metrics.pesq}
    report = {"kilobits_per_second": float(bits) / seconds / 1000}
    for name, score in scores.items():
        values = [float(score(x[None], y[None], rate)[0]) for x, y in zip(clips, again, strict=True)]
        report[name] = float(np.nanmedian(values) if name in MEDIANS else np.mean(values))
        if name == "level_difference":
            report["level_difference_median"] = report.pop(name)
            report["level_difference_worst"] = float(max(values, key=abs))
    if texts:
        report["word_error_rate"] = _word_errors(again, texts)
    return report, [seconds / max(x, 1e-9) for x in spent]


def _seconds():
    """Processor time of this process and of the programs that it called."""
    return sum(os.times()[:4])


def _word_errors(sounds, texts):
    """Edits between what pocketsphinx hears and what was said, for each word that was said."""
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=SPEECH)
    edits, words = 0, 0
    for sound, text in zip(sounds, texts, strict=True):
        decoder.start_utt()
        decoder.process_raw((sound[:, 0] * 32767).astype("<i2").tobytes(), full_utt=True)
        decoder.end_utt()
        heard = decoder.hyp().hypstr.split() if decoder.hyp() else []
        said = "".join(c for c in text.lower() if c.isalpha() or c in " '").split()
        edits, words = edits + _distance(said, heard), words + len(said)
    return edits / words


def _distance(one, other):
    """Levenshtein's."""
    row = list(range(len(other) + 1))
    for i, x in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


if __name__ == "__main__":
    main()
