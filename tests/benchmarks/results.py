"""The tables of the README and of docs/, generated from data that lies in the repository.

    python tests/benchmarks/results.py            # prints them
    python tests/benchmarks/results.py --write    # writes them into the pages, between their marks

A page shows a table between `<!-- table: NAME -->` and `<!-- end -->`. The data are the metadata of the presets in
`saved_models/`, `claims.json`, `collapse.jsonl`, and a TSV file in `results/` for each other benchmark. An arrow in a
column's name says which direction is better. It needs no TensorFlow.
"""

import argparse
import csv
import json
import math
import pathlib
import re

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
MARKS = re.compile(r"<!-- table: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def pages():
    """The Markdown files that may show a table."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def markdown(header, rows):
    """A table whose columns of numbers are aligned to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def metadata():
    """Name of a shipped preset -> its metadata."""
    files = sorted((ROOT / "saved_models").glob("*-*/metadata.json"))
    return {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in files}


def shown(value, form, scale=1):
    """A number, or nothing where it was not measured."""
    return "" if value is None else format(scale * value, form)


def millions(preset):
    """Parameters in millions."""
    return f"{preset['parameters'] / 1e6:.2f}"


def image_presets(presets):
    """Tokenizers of images."""
    header = ["preset", "size", "tokens", "bits/pixel ↓", "parameters, M", "PSNR, dB ↑", "SSIM ↑", "perceptual ↓"]
    rows = []
    for name, preset in presets.items():
        metrics, (height, width, _) = preset["metrics"], preset["example"]["signal"]
        tokens = f"{math.prod(preset['example']['tokens'])} of {preset['codebook_sizes'][0]:,}"
        cells = [f"{metrics['bits_per_pixel']:.3f}", millions(preset), f"{metrics['psnr']:.1f}"]
        cells += [f"{metrics['ssim']:.3f}", shown(metrics.get("perceptual_vgg16_hed"), ".2f")]
        rows.append([f"`{name}`", f"{height}x{width}", tokens, *cells])
    return markdown(header, rows)


def audio_presets(presets):
    """Tokenizers of audio. STOI and PESQ are measures of speech."""
    header = ["preset", "sample rate, Hz", "tokens/second", "kbit/s ↓", "parameters, M", "STOI ↑", "PESQ ↑", "mel ↓"]
    rows = []
    for name, preset in presets.items():
        metrics, sizes = preset["metrics"], preset["codebook_sizes"]
        tokens = f"{preset['frame_rate']:.3g} x {len(sizes)} of {sizes[0]:,}"
        cells = [f"{preset['kilobits_per_second']:.3g}", millions(preset)]
        cells += [shown(metrics.get("stoi"), ".3f"), shown(metrics.get("pesq"), ".2f")]
        cells.append(f"{metrics['mel_distance']:.2f}")
        rows.append([f"`{name}`", f"{preset['sample_rate']:,}", tokens, *cells])
    return markdown(header, rows)


def text_presets(presets):
    """Tokenizers of text."""
    header = ["preset", "tokens", "bits/character ↓", "parameters, M", "pieces right, % ↑", "sentences exact, % ↑"]
    rows = []
    for name, preset in presets.items():
        metrics, sizes = preset["metrics"], preset["codebook_sizes"]
        shares = (shown(metrics[key], ".1f", 100) for key in ("piece_accuracy", "exact_match", "character_error_rate"))
        cells = [f"{metrics['bits_per_character']:.2f}", millions(preset), *shares, f"{metrics['chrf']:.1f}"]
        rows.append([f"`{name}`", f"{len(sizes)} of {sizes[0]:,} for {preset['stride']} pieces", *cells])
    return markdown([*header, "character errors, % ↓", "chrF ↑"], rows)


def prior_presets(presets):
    """Priors. Their bits per token do not compare, so they are on the cards only."""
    rows = []
    for name, preset in presets.items():
        height, width, _ = preset["example"]["signal"]
        tokens = f"{math.prod(preset['example']['tokens'])} of {preset['codebook_sizes'][0]:,}"
        condition = f"{len(preset['labels'])} labels" if preset.get("labels") else "text"
        rows.append([f"`{name}`", condition, f"{height}x{width}", tokens, millions(preset)])
    return markdown(["preset", "condition", "size", "tokens", "parameters, M"], rows)


def preset_tables():
    """The tables of the shipped presets."""
    presets, kinds = metadata(), {}
    for name, preset in presets.items():
        kind = "prior" if preset["model_file"] == "prior.keras" else preset["modality"]
        kinds.setdefault(kind, {})[name] = preset
    writers = {"image": image_presets, "audio": audio_presets, "text": text_presets, "prior": prior_presets}
    return {f"{kind}_presets": writers[kind](some) for kind, some in kinds.items()}


def claim_tables(results):
    """The tables of what `claims.py` measured.

    Args:
        results: dict, as in claims.json.
    """
    rows = []
    for kind, found in results["text"].items():
        shares = [f"{100 * found['exact']:.1f}", f"{100 * found['character_errors']:.0f}"]
        rows.append([f"{kind}, {found['sentences']} sentences", *shares])
    header = ["text through `text-english`", "sentences exact, % ↑", "character errors, % ↓"]
    names = list(next(iter(results["audio"].values())))
    levels = [[f"`{preset}`", *(f"{of[name]:.1f}" for name in names)] for preset, of in results["audio"].items()]
    return {
        "text_kinds": markdown(header, rows),
        "audio_levels": markdown(["level after a round trip, dB", *names], levels),
    }


def quantizer_table(runs):
    """The table of `collapse.py`.

    Args:
        runs: list of dicts, as in collapse.jsonl.
    """
    header = ["quantizer", "codes", "bits/pixel ↓", "PSNR, dB ↑", "SSIM ↑", "codes in use, % ↑", "perplexity ↑"]
    rows = []
    for run in sorted(runs, key=lambda run: (run["size"], run["quantizer"])):
        cells = [f"{run['codes']:,}", f"{run['bits_per_pixel']:.3f}", f"{run['psnr']:.2f}", f"{run['ssim']:.3f}"]
        rows.append([run["quantizer"], *cells, f"{100 * run['usage']:.1f}", f"{run['perplexity']:,.0f}"])
    return markdown(header, rows)


def tables():
    """Name of a mark -> Markdown."""
    found = {}
    for path in sorted((HERE / "results").glob("*.tsv")):
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        found[path.stem] = markdown(header, rows)
    runs = [json.loads(line) for line in (HERE / "collapse.jsonl").read_text(encoding="utf-8").splitlines()]
    claims = json.loads((HERE / "claims.json").read_text(encoding="utf-8"))
    return {**found, **preset_tables(), **claim_tables(claims), "quantizers": quantizer_table(runs)}


def with_tables(text, found):
    """A page with its tables as they are now.

    Args:
        text: str, Markdown.
        found: dict name -> Markdown.

    Returns:
        str.

    Raises:
        KeyError: if the page names a table that is unknown.
    """
    return MARKS.sub(lambda mark: f"<!-- table: {mark[1]} -->\n\n{found[mark[1]]}\n\n<!-- end -->", text)


def main():
    """Prints the tables, and writes them where it is asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="into README.md and docs/")
    found = tables()
    if not parser.parse_args().write:
        print("\n\n".join(f"{name}\n\n{table}" for name, table in found.items()))
        return
    for page in pages():
        page.write_text(with_tables(page.read_text(encoding="utf-8"), found), encoding="utf-8")


if __name__ == "__main__":
    main()
