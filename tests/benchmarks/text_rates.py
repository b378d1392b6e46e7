"""How much of sentences text tokenizers give back, at how many bits a character: a table, and the curve as a picture.

    python tests/benchmarks/text_rates.py SENTENCES PRESET... [--count 500] [--picture text_rates.png]

Every preset gets the same sentences, drawn from the file as the recipes draw theirs to validate on. A row tells the
codes of a chunk, bits a character, and the shares of pieces and of sentences that come back; then the bits of the
pieces themselves, zlib and lzma. In the picture presets with as many pieces a chunk share a colour.
"""

import argparse
import pathlib

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import rich.console
import rich.table

import vqzoo
from vqzoo.metrics import chrf
from vqzoo.metrics import evaluate_text

SHOWN = {"bits_per_character": "bits/character", "piece_accuracy": "pieces", "exact_match": "sentences"}
SHOWN |= {"character_error_rate": "character errors", "chrf": "chrF"}
OTHERS = ("pieces", "zlib", "lzma")


def main():
    """Evaluates each preset, then draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", type=pathlib.Path)
    parser.add_argument("presets", nargs="+")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--picture", help="PNG of bits a character against pieces that come back")
    arguments = parser.parse_args()
    sentences = vqzoo.data.read_sentences([arguments.sentences])
    some = np.random.default_rng(0).permutation(len(sentences))[: arguments.count]  # those of the recipes
    sentences = [sentences[i] for i in some]
    table = rich.table.Table("", "pieces a chunk", "codes of each", *SHOWN.values())
    points = []
    for preset in arguments.presets:
        tokenizer = vqzoo.TextTokenizer.from_preset(preset)
        report = evaluate_text(tokenizer, sentences, metrics={"chrf": chrf})
        codes = " x ".join(f"{size:,}" for size in tokenizer.codebook_sizes)
        cells = (f"{report[name]:.3g}" for name in SHOWN)
        table.add_row(pathlib.Path(preset).name, str(tokenizer.stride), codes, *cells)
        points.append((tokenizer.stride, codes, report))
    rich.console.Console(width=140).print(table)
    print({name: round(points[-1][2][f"bits_per_character_{name}"], 2) for name in OTHERS})
    if arguments.picture:
        _draw(points, arguments.picture)


def _draw(points, path):
    figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    for stride in sorted({stride for stride, _, _ in points}):
        some = sorted((r["bits_per_character"], r["piece_accuracy"], c) for s, c, r in points if s == stride)
        bits, right, codes = zip(*some, strict=True)
        axes.plot(bits, right, "o", label=f"{stride} piece{'s' if stride > 1 else ''} a chunk")
        for x, y, text in some:
            axes.annotate(text, (x, y), textcoords="offset points", xytext=(6, -4), fontsize=7)
    pieces = points[-1][2]["bits_per_character_pieces"]
    axes.axvline(pieces, color="gray", linestyle="--", linewidth=1)
    axes.annotate(
        "the pieces' own bits", (pieces, axes.get_ylim()[0]), rotation=90, fontsize=7, ha="right", va="bottom"
    )
    axes.set(xlabel="bits a character", ylabel="share of pieces that come back")
    axes.set_xlim(right=axes.get_xlim()[1] + 0.2)  # for what stands right of the points
    axes.legend(loc="upper left")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
