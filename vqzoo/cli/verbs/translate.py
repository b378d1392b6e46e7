"""Translates text line by line by a prior's preset: blank lines, indents and line ends stay.

vqzoo translate saved_models/text_translation letter.txt --out carta.txt
vqzoo translate saved_models/text_translation letters/ --out cartas/
echo "Open the file." | vqzoo translate saved_models/text_translation
"""

import os
import re
import sys

from vqzoo.cli.batch import check_free
from vqzoo.cli.batch import check_pipe
from vqzoo.cli.batch import pair_files
from vqzoo.cli.batch import piped_file
from vqzoo.cli.batch import positive
from vqzoo.cli.batch import result_path
from vqzoo.cli.batch import run_each
from vqzoo.cli.batch import write_output
from vqzoo.cli.output import add_json_argument
from vqzoo.data.files import FileList
from vqzoo.files import check_regular
from vqzoo.files import user_path
from vqzoo.priors.settings import SETTINGS
from vqzoo.priors.settings import reader

_MOST_BYTES = 2**26  # of a file
_SUFFIX = ".txt"
_OPTIONS = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "no_repeat", "beams")
_OPTIONS += ("length_penalty", "length")
_LINE_END = re.compile(r"(\r\n|\n|\r)")


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    parser.add_argument("preset", help="of a prior of text from text: name, or folder")
    text = "text files, and folders of them; - reads standard input (default: -)"
    parser.add_argument("paths", nargs="*", metavar="PATH", help=text)
    text = "of one file the .txt file for its translation, else a folder (default: standard output, of one file)"
    parser.add_argument("--out", help=text)
    for name in _OPTIONS:
        parser.add_argument(f"--{name}", type=reader(name), help=f"{SETTINGS[name].range} (default: the preset's)")
    parser.add_argument("--seed", type=reader("seed"), default=0, help="of sampling (default: 0)")
    parser.add_argument("--batch_size", type=positive, default=32, help="lines at once (default: 32)")
    parser.add_argument("--force", action="store_true", help="overwrite results that are there")
    add_json_argument(parser)


def run(arguments):
    """Writes the translations; exit status 1 if a file failed."""
    paths = arguments.paths or ["-"]
    if "-" in paths and len(paths) > 1:
        raise ValueError("The path - is standard input, which is translated alone. Leave the other paths out, or it.")
    folder = len(paths) > 1 or (paths[0] != "-" and os.path.isdir(user_path(paths[0])))
    if folder and not arguments.out:
        raise ValueError("--out DIR is the folder for the translations of several files.")
    as_file = bool(arguments.out) and not folder and (paths == ["-"] or arguments.out.lower().endswith(_SUFFIX))
    if paths == ["-"] or not arguments.out:
        check_pipe(arguments)
    if as_file:
        check_free(user_path(arguments.out), arguments.force)
    translated = _translator(arguments)
    if paths == ["-"]:
        with piped_file("standard input", _MOST_BYTES) as path:
            text = translated(path)
        return _deliver(arguments, text)
    if not arguments.out:
        return _deliver(arguments, translated(user_path(paths[0])))
    if as_file:
        pairs = FileList([(user_path(paths[0]), user_path(arguments.out))], {})
    else:
        from vqzoo.data import find_text

        pairs = pair_files(paths, arguments.out, _SUFFIX, find_text)

    def write(source, target):
        text = translated(source)
        target.write_bytes(text.encode())
        return {"lines": len(_LINE_END.findall(text)) + bool(_LINE_END.split(text)[-1])}

    return run_each("translated", pairs, arguments, write, "translation")


def _deliver(arguments, text):
    """Writes one translation to --out, or to standard output."""
    if arguments.out:
        with result_path(user_path(arguments.out), arguments.force) as temporary:
            temporary.write_bytes(text.encode())
    else:
        write_output(text.encode())
        sys.stdout.buffer.flush()
    return 0


def _translator(arguments):
    """Callable path -> str, the translation of a file."""
    from vqzoo.generation import Generator
    from vqzoo.generation import translate
    from vqzoo.generation.text.translate import source_part

    generator = Generator.from_preset(arguments.preset)
    source_part(generator)
    given = {name: getattr(arguments, name) for name in _OPTIONS}
    options = {name: value for name, value in given.items() if value is not None}

    def translated(path):
        parts = _LINE_END.split(_read(path))
        lines, ends = parts[::2], [*parts[1::2], ""]
        texts = translate(
            generator, [line.strip() for line in lines], batch_size=arguments.batch_size, seed=arguments.seed, **options
        )
        return "".join(
            f"{_indent(line)}{' '.join(text.splitlines())}{end}"
            for line, text, end in zip(lines, texts, ends, strict=True)
        )

    return translated


def _indent(line):
    """The white space that a line begins with."""
    return line[: len(line) - len(line.lstrip())]


def _read(path):
    """The text of a file, with its line ends."""
    from vqzoo.data.text.corpus import read_lines

    if not path.exists():
        raise ValueError(f"{str(path)!r} does not exist. Check its name.")
    check_regular(path)
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"A text has at most {_MOST_BYTES} bytes. Received: {path.stat().st_size}. Split it.")
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        read_lines(path)  # raises, and says what to do
        raise
