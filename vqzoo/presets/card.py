"""Model cards: the README.md of a preset, generated from its metadata and recipe."""

import json
import pathlib

from vqzoo.files import atomic_path
from vqzoo.measures import metric_rows
from vqzoo.presets.manifest import name_of
from vqzoo.presets.manifest import read_about
from vqzoo.presets.manifest import read_json

CARD = "README.md"
# Common licence identifiers of the Hub, which refuses a card with an unknown identifier.
_LICENCES = ("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "mpl-2.0", "lgpl-3.0", "gpl-3.0", "agpl-3.0", "isc")
_LICENCES += ("cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nd-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0")
_LICENCES += ("cc-by-nc-nd-4.0", "openrail", "unlicense", "other", "unknown")
_MOST_BYTES = 2**20  # of samples of text
# Metadata with its own place on the card. Every other key is a row of the table "About".
_PLACED = ("name", "description", "metrics", "model_file", "versions", "created", "format_version")


def write_card(folder):
    """Writes the README.md of a preset, which is also its card on the Hugging Face Hub.

    Args:
        folder: path, the preset's folder, with `metadata.json` and the other files so far.
    """
    with atomic_path(folder / CARD) as temporary:
        temporary.write_text(card_text(folder), encoding="utf-8")


def card_text(folder, name=None):
    """The text of the card.

    Args:
        folder: path, the preset's folder.
        name: str, the name in the example that loads the preset. Defaults to the folder's name.

    Returns:
        str, Markdown with the YAML header that the Hugging Face Hub expects.
    """
    metadata = read_about(folder)
    metrics = metadata.get("metrics") or {}
    recipe = read_json(folder / "recipe.json") if (folder / "recipe.json").is_file() else {}
    sections = [
        _front_matter(metadata),
        f"# {_line(metadata.get('name') or name_of(folder))}",
        str(metadata.get("description") or "A preset of vqzoo."),
        "![samples](samples.png)" if (folder / "samples.png").is_file() else "",
        _sentences(folder / "samples.md"),
        _usage(name or name_of(folder), metadata),
        _table("Metrics", metric_rows(metrics, digits=5)),
        _table("About", [item for item in metadata.items() if item[0] not in _PLACED]),
        _table("Recipe", recipe.items()),
        _origin(metadata),
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def _front_matter(metadata):
    """The YAML header of a Hugging Face card. JSON strings and lists are valid YAML."""
    tags = ["vqzoo", "vector-quantization", metadata.get("modality")]
    lines = ["library_name: keras", f"tags: {_json([tag for tag in tags if tag])}"]
    licence = str(metadata.get("licence") or "")
    if licence.lower() in _LICENCES:
        lines.append(f"license: {_json(licence.lower())}")
    elif licence:
        lines += ["license: other", f"license_name: {_json(licence)}"]
    return "\n".join(["---", *lines, "---"])


def _sentences(path):
    """The text samples, if they are not too long for a card."""
    if not path.is_file():
        return ""
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"{str(path)!r} has more than {_MOST_BYTES} bytes, too many for a card. Make it shorter.")
    try:
        return "## Samples\n\n" + path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise ValueError(f"{str(path)!r} is not text in UTF-8 ({error}). Write it again, or remove it.") from error


def _usage(name, metadata):
    """Example code, which runs as it is with an input file of the modality."""
    model_file = metadata.get("model_file") or "tokenizer.keras"
    variable = pathlib.PurePath(model_file).stem
    modality = metadata.get("modality")
    if variable == "prior" and modality in _RESULTS:
        variable, shape, saved = _RESULTS[modality]
        lines = [shape, f"{variable} = vqzoo.generate({_json(name)}, count=16{_condition(metadata)}, seed=0)"]
        lines += [saved.format(**metadata)] if saved and (modality != "audio" or "sample_rate" in metadata) else []
    elif variable == "tokenizer" and modality in _ROUND_TRIPS:
        load = f"tokenizer = vqzoo.Tokenizer.from_preset({_json(name)})  # or a preset's folder"
        lines = [load, *_ROUND_TRIPS[modality](metadata)]
    else:
        arguments = _json(name) + ("" if variable == "tokenizer" else f", {_json(model_file)}")
        lines = [f"{variable} = vqzoo.presets.load_preset({arguments})  # or a preset's folder"]
    return "\n".join(["```python", "import vqzoo", "", *lines, "```"])


# Of a prior of each modality: the name of what it makes, what that is, and how the first one is saved.
_RESULTS = {
    "image": (
        "pictures",
        "# float32 (16, height, width, channels) in [-1, 1]",
        'vqzoo.data.save_image("picture.png", pictures[0])',
    ),
    "audio": (
        "clips",
        "# float32 (16, samples, channels) in [-1, 1]; a list of arrays where the lengths differ",
        'vqzoo.data.save_audio("clip.wav", clips[0], {sample_rate})',
    ),
    "text": ("texts", "# list of str", ""),
}


def _condition(metadata):
    """The argument `condition` of an example; "" where the prior knows none."""
    known = {"label": metadata.get("labels"), "text": (metadata.get("captions") or {}).get("examples")}
    for part, description in (metadata.get("parts") or {}).items():
        if part != metadata.get("target") and isinstance(description, dict):
            known[part] = description.get("names") or description.get("examples")
    first = {part: str(values[0]) for part, values in known.items() if values and isinstance(values, list)}
    if not first:
        return ""
    return f", condition={_json(first if len(metadata.get('parts') or ()) > 2 else next(iter(first.values())))}"


def _image_round_trip(metadata):
    channels, tokens = _channels(metadata, 3), _example(metadata, "tokens")
    size, grid = f"(height, width, {channels})", f"1, rows, columns, {_codebooks(metadata)}"
    if tokens and len(tokens) != 3:  # without a free grid: images of one size only
        height, width = _example(metadata, "signal")[:2]
        size, grid = f"({height}, {width}, {channels}), no other size,", ", ".join(map(str, (1, *tokens)))
    return (
        f'image = vqzoo.data.load_image("photo.jpg", channels={channels})  # float32 {size} in [-1, 1]',
        f"tokens = tokenizer.encode(image[None])  # int32 ({grid})",
        "again = tokenizer.decode(tokens, size=image.shape[:2])",
        'vqzoo.data.save_image("again.png", again[0])',
    )


def _audio_round_trip(metadata):
    channels = _channels(metadata, 1)
    return (
        f'sound = vqzoo.data.load_audio("talk.wav", tokenizer.sample_rate, channels={channels})'
        f"  # float32 (samples, {channels}) in [-1, 1]",
        f"tokens = tokenizer.encode(sound[None])  # int32 (1, frames, {_codebooks(metadata)})",
        "again = tokenizer.decode(tokens, length=len(sound))",
        'vqzoo.data.save_audio("again.wav", again[0], tokenizer.sample_rate)',
    )


def _text_round_trip(metadata):
    return (
        'sentences = vqzoo.data.read_sentences(["sentences.txt"])  # one a line; or a list of str of your own',
        f"tokens = tokenizer.encode(sentences)  # int32 (sentences, chunks, {_codebooks(metadata)})",
        "again = tokenizer.decode(tokens)  # list of str",
    )


_ROUND_TRIPS = {"image": _image_round_trip, "audio": _audio_round_trip, "text": _text_round_trip}


def _channels(metadata, usual):
    signal = metadata.get("signal")
    stated = signal.get("channels") if isinstance(signal, dict) else None
    return stated or (_example(metadata, "signal") or (usual,))[-1]


def _codebooks(metadata):
    return len(metadata.get("codebook_sizes") or (0,))


def _example(metadata, name):
    """The shape of the signal or the tokens of one example, () if unknown."""
    example = metadata.get("example")
    shape = example.get(name) if isinstance(example, dict) else None
    return tuple(shape) if isinstance(shape, list | tuple) else ()


def _table(title, pairs):
    if not pairs:
        return ""
    rows = [f"| {_cell(key)} | {_cell(value)} |" for key, value in pairs]
    return "\n".join([f"## {title}", "", "| | |", "|---|---|", *rows])


def _cell(value):
    return _line(value).replace("|", "\\|")  # a pipe or a line break would end the cell


def _line(value):
    return " ".join((value if isinstance(value, str) else _json(value)).split())


def _origin(metadata):
    versions = ", ".join(f"{name} {version}" for name, version in (metadata.get("versions") or {}).items())
    made = [
        f"with {versions}" if versions else "",
        f"on {metadata['created']}" if metadata.get("created") else "",
    ]
    return " ".join(["Made", *filter(None, made)]) + "." if any(made) else ""


def _json(value):
    return json.dumps(value, ensure_ascii=False)
