"""The card: a preset's README.md, generated from its metadata and its recipe."""

import json
import pathlib

from vqzoo.files import atomic_path
from vqzoo.presets.manifest import read_about
from vqzoo.presets.manifest import read_json

CARD = "README.md"
# Those of the Hub's identifiers that models mostly have; it refuses a card with another word.
_LICENCES = ("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "mpl-2.0", "lgpl-3.0", "gpl-3.0", "agpl-3.0", "isc")
_LICENCES += ("cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nd-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0")
_LICENCES += ("cc-by-nc-nd-4.0", "openrail", "unlicense", "other", "unknown")
# Metadata that has a place of its own on the card; every other key is a row of the table "About".
_PLACED = ("name", "description", "metrics", "model_file", "versions", "created", "format_version")


def write_card(folder):
    """Writes the README.md that people and Hugging Face read.

    Args:
        folder: path, the preset's folder, with its `metadata.json` and whatever else it has so far.
    """
    with atomic_path(folder / CARD) as temporary:
        temporary.write_text(card_text(folder), encoding="utf-8")


def card_text(folder, name=None):
    """What the card says.

    Args:
        folder: path, the preset's folder.
        name: str, by which the card's example loads the preset. Defaults to the folder's name.

    Returns:
        str, Markdown with the head that the Hugging Face Hub expects.
    """
    metadata = read_about(folder)
    metrics = metadata.get("metrics") or {}
    recipe = read_json(folder / "recipe.json") if (folder / "recipe.json").is_file() else {}
    sections = [
        _front_matter(metadata),
        f"# {metadata.get('name', folder.name)}",
        str(metadata.get("description") or "A preset of vqzoo."),
        "![samples](samples.png)" if (folder / "samples.png").is_file() else "",
        _sentences(folder / "samples.md"),
        _usage(name or folder.absolute().name, metadata),
        _table("Metrics", {key: f"{v:.5g}" if isinstance(v, float) else v for key, v in metrics.items()}),
        _table("About", {key: value for key, value in metadata.items() if key not in _PLACED}),
        _table("Recipe", recipe),
        _origin(metadata),
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def _front_matter(metadata):
    """The YAML head of a Hugging Face card. JSON strings and lists are YAML, quoted safely."""
    tags = ["vqzoo", "vector-quantization", metadata.get("modality")]
    lines = ["library_name: keras", f"tags: {_json([tag for tag in tags if tag])}"]
    licence = str(metadata.get("licence") or "")
    if licence.lower() in _LICENCES:
        lines.append(f"license: {_json(licence.lower())}")
    elif licence:
        lines += ["license: other", f"license_name: {_json(licence)}"]
    return "\n".join(["---", *lines, "---"])


def _sentences(path):
    return "## Samples\n\n" + path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def _usage(name, metadata):
    model_file = metadata.get("model_file", "tokenizer.keras")
    variable = pathlib.PurePath(model_file).stem
    if variable == "prior" and metadata.get("modality") == "image":
        labels = metadata.get("labels") or (metadata.get("captions") or {}).get("examples") or []
        condition = f", condition={_json(str(labels[0]))}" if labels else ""
        call = f"pictures = vqzoo.generate({_json(name)}, count=16{condition}, seed=0)"
        return "\n".join(["```python", "import vqzoo", "", "# float32 (16, ...) in [-1, 1]", call, "```"])
    arguments = _json(name) + ("" if variable == "tokenizer" else f", {_json(model_file)}")
    lines = ["import vqzoo", "", f"{variable} = vqzoo.presets.load_preset({arguments})"]
    if variable == "tokenizer":
        lines[-1] += "  # or this folder's path"
        lines.append("tokens = tokenizer.encode(signal)  # and tokenizer.decode(tokens) goes back")
    return "\n".join(["```python", *lines, "```"])


def _table(title, values):
    if not values:
        return ""
    rows = [f"| {_cell(key)} | {_cell(value)} |" for key, value in values.items()]
    return "\n".join([f"## {title}", "", "| | |", "|---|---|", *rows])


def _cell(value):
    text = value if isinstance(value, str) else _json(value)
    return " ".join(text.replace("|", "\\|").split())  # a pipe or a line break would end the cell


def _origin(metadata):
    versions = ", ".join(f"{name} {version}" for name, version in metadata.get("versions", {}).items())
    made = [
        f"with {versions}" if versions else "",
        f"on {metadata['created']}" if "created" in metadata else "",
    ]
    return " ".join(["Made", *filter(None, made)]) + "." if any(made) else ""


def _json(value):
    return json.dumps(value, ensure_ascii=False)
