"""The names of files in a preset's folder that more than one package uses."""

import re

TOKENIZER_FILE = "tokenizer.keras"
PRIOR_FILE = "prior.keras"
PIECES_FILE = "pieces.model"
PARTS_FOLDER = "parts"

RUN_FILES = (TOKENIZER_FILE, PRIOR_FILE, "metadata.json", "recipe.json", "run", "README.md")
"""What a preset's folder may hold before it is complete, and so also what an unfinished run or download leaves."""

PART_FILES = (TOKENIZER_FILE, PIECES_FILE)
"""What the parts of a prior's space are read from: a signal's tokenizer, and the pieces of a text."""

# The type of the weights of a LiteRT file -> its name.
LITERT_FILES = {
    "float32": "tokenizer.tflite",
    "float16": "tokenizer_float16.tflite",
    "int8": "tokenizer_int8.tflite",
}


def part_file(part, filename, shared):
    """The place of a part's file in the folder of a prior's preset.

    Args:
        part: str, name of the part.
        filename: str, one of `PART_FILES`.
        shared: bool, whether the preset has no other file of this name.

    Returns:
        str, relative to the folder.

    Raises:
        ValueError: the name of the part is no folder's name on every system.

    Example:
    >>> part_file("image", "tokenizer.keras", True), part_file("image", "tokenizer.keras", False)
    ('tokenizer.keras', 'parts/image/tokenizer.keras')
    """
    if shared:
        return filename
    if not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_. -]{0,62}[A-Za-z0-9_-])?", part):
        raise ValueError(
            f"A part is saved in a folder of its name: at most 64 letters, digits, - and _. Received: {part!r}"
        )
    return f"{PARTS_FOLDER}/{part}/{filename}"


def found_part_file(files, part, filename):
    """Where a preset has a part's file.

    Args:
        files: collection of str, the files of the preset's manifest.
        part: str, name of the part.
        filename: str, one of `PART_FILES`.

    Returns:
        str, relative to the folder: the part's own file, or else that of the whole preset, which may be missing.

    Example:
    >>> found_part_file(["prior.keras", "parts/en/pieces.model"], "en", "pieces.model")
    'parts/en/pieces.model'
    >>> found_part_file(["prior.keras", "pieces.model"], "en", "pieces.model")
    'pieces.model'
    """
    own = f"{PARTS_FOLDER}/{part}/{filename}"
    return own if own in files else filename


def is_model_file(filename):
    """Whether a name is that of a Keras model in a preset's folder, or of one below its folder of parts.

    Args:
        filename: str.

    Returns:
        bool.

    Example:
    >>> is_model_file("prior.keras"), is_model_file("parts/image/tokenizer.keras"), is_model_file("../x.keras")
    (True, True, False)
    """
    below = rf"({PARTS_FOLDER}/[^/\\]*[^/\\.][^/\\]*/)?"
    return bool(re.fullmatch(rf"{below}[^/\\]+\.keras", filename))
