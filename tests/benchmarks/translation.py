"""How well priors translate: chrF and BLEU by domain, beside the source itself and a dictionary, and their speed.

    python tests/benchmarks/translation.py --measure PRESET --train en-es.train.tsv --val en-es.val.tsv \\
        --columns en es [--count 1000] [--name NAME]
    python tests/benchmarks/translation.py                         # prints the table from translation.json

The dictionary takes for each word the likeliest one of the other language (Brown et al. 1993, model 1), in the order of
the source. The first --count pairs of a fixed permutation of the held-out ones are translated, greedily and by a beam
search. Speed is sentences a second, one at a time, on one thread, in the same process, in turns; the median of three.
Needs sacrebleu (extra `metrics`).
"""

import argparse
import collections
import csv
import json
import os
import pathlib
import statistics
import time

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1"))

import numpy as np  # noqa: E402
import rich.console  # noqa: E402
import rich.table  # noqa: E402

RECORDS = pathlib.Path(__file__).with_suffix(".json")
WAYS = {"greedy": {"temperature": 0.0}, "4 beams": {"beams": 4, "length_penalty": 0.6}}
TIMED = 100  # sentences, one at a time


def main():
    """Measures a preset, or prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", metavar="PRESET")
    parser.add_argument("--train", type=pathlib.Path)
    parser.add_argument("--val", type=pathlib.Path)
    parser.add_argument("--columns", nargs=2, default=["en", "es"])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--name", help="of the row; default: the preset's")
    arguments = parser.parse_args()
    records = json.loads(RECORDS.read_text()) if RECORDS.exists() else {}
    if arguments.measure:
        task = "-".join(arguments.columns)
        name = arguments.name or pathlib.Path(arguments.measure).name
        records.setdefault(task, {}).update(measured(arguments, name))
        RECORDS.write_text(json.dumps(records, indent=1, ensure_ascii=False) + "\n")
    for task, rows in records.items():
        show(task, rows)


def measured(arguments, name):
    """Dict name of a row -> dict of numbers, of a preset and of what it stands beside."""
    from vqzoo.generation import Generator
    from vqzoo.generation import translate

    source, target = arguments.columns
    with open(arguments.val, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    rows = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))[: arguments.count]]
    sources, real = ([row[column] for row in rows] for column in (source, target))
    domains = [row.get("domain", "all") for row in rows]
    words = dictionary(arguments.train, source, target)
    by_words = [" ".join(words.get(word, word) for word in text.split()) for text in sources]
    found = {
        "the source itself": scores(sources, real, domains),
        "a dictionary of aligned words": scores(by_words, real, domains),
    }
    generator = Generator.from_preset(arguments.measure)
    seconds = {way: [] for way in WAYS}
    for _ in range(4):  # the first compiles
        for way, options in WAYS.items():
            started = time.perf_counter()
            for text in sources[:TIMED]:
                translate(generator, text, **options)
            seconds[way].append(time.perf_counter() - started)
    for way, options in WAYS.items():
        texts = translate(generator, sources, **options)
        speed = TIMED / statistics.median(seconds[way][1:])
        found[f"{name}, {way}"] = {**scores(texts, real, domains), "sentences_per_second": speed}
        for text, was, ours in list(zip(sources, real, texts, strict=True))[:20]:
            print(f"{text}\n    {was}\n    {ours}")
    return found


def scores(texts, real, domains):
    """chrF and BLEU of all, and chrF of each domain."""
    from vqzoo.metrics import bleu
    from vqzoo.metrics import chrf

    found = {"chrf": chrf(real, texts), "bleu": bleu(real, texts), "count": len(texts)}
    for domain in sorted(set(domains)):
        some = [i for i, name in enumerate(domains) if name == domain]
        found[f"chrf {domain}"] = chrf([real[i] for i in some], [texts[i] for i in some])
    return found


def dictionary(path, source, target, rounds=4):
    """The likeliest translation of each word, by expectation maximization over aligned words."""
    from vqzoo.data import read_pairs

    pairs = [(of.split(), to.split()) for of, to in read_pairs(path, source, target).rows]
    chances = collections.defaultdict(lambda: collections.defaultdict(lambda: 1.0))
    for _ in range(rounds):
        counts = collections.defaultdict(lambda: collections.defaultdict(float))
        for of, to in pairs:
            for word in to:
                shares = [chances[other][word] for other in of]
                total = sum(shares)
                for other, share in zip(of, shares, strict=True):
                    counts[other][word] += share / total
        chances = collections.defaultdict(
            lambda: collections.defaultdict(float),
            {
                other: collections.defaultdict(float, {word: n / sum(some.values()) for word, n in some.items()})
                for other, some in counts.items()
            },
        )
    return {word: max(some, key=some.get) for word, some in chances.items() if some}


def show(task, rows):
    """Prints the table of one pair of languages."""
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    table = rich.table.Table(task, *columns)
    for name, row in rows.items():
        table.add_row(name, *(f"{row[key]:.4g}" if key in row else "" for key in columns))
    rich.console.Console(width=160).print(table)


if __name__ == "__main__":
    main()
