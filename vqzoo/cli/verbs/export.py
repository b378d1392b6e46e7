"""Writes SavedModel, LiteRT files and plain Keras models of a preset, and verifies them.

They go into the preset's folder, or with --out into a copy of the preset. Of a prior it is one SavedModel, generator/,
which makes signals.
"""

import shutil

from vqzoo.cli.batch import check_free
from vqzoo.cli.batch import result_path
from vqzoo.cli.output import add_json_argument
from vqzoo.cli.output import print_json
from vqzoo.cli.progress import Progress
from vqzoo.files import user_path
from vqzoo.presets import MANIFEST
from vqzoo.presets import find_preset
from vqzoo.presets import holds_prior
from vqzoo.presets import read_manifest
from vqzoo.presets import verify_preset
from vqzoo.presets.layout import LITERT_FILES


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    parser.add_argument("preset", help="name, or folder")
    parser.add_argument("--out", help="folder of the copy")
    parser.add_argument("--litert", nargs="+", choices=list(LITERT_FILES), help="of a tokenizer (default: all)")
    parser.add_argument("--force", action="store_true", help="overwrite the folder of --out")
    add_json_argument(parser)


def run(arguments):
    """Exports, and prints a line for each form."""
    folder = find_preset(arguments.preset)
    of_prior = holds_prior(folder)
    if of_prior and arguments.litert:
        raise ValueError("--litert is for tokenizers. A prior is only exported as a SavedModel. Leave it out.")
    with Progress("exporting"):
        if arguments.out:
            out = user_path(arguments.out)
            _check_replaced(out, arguments.force)
            with result_path(out, arguments.force) as temporary:
                _copy(folder, temporary)
                try:
                    forms = _exported(temporary, of_prior, arguments)
                except ValueError as error:  # which names a folder that is gone
                    raise ValueError(str(error).replace(str(temporary), str(out))) from error
            folder = out
        else:
            forms = _exported(folder, of_prior, arguments)
    if arguments.json:
        print_json({"folder": str(folder), "forms": [form for form, _ in forms]})
        return 0
    for line in [*(line for _, line in forms), folder]:
        print(line)
    return 0


def _exported(folder, of_prior, arguments):
    """Exports in place; returns a dict and a line of each form."""
    from vqzoo.export import EXPORT_FORMS
    from vqzoo.export import LITERT_FORMS
    from vqzoo.export import export_preset
    from vqzoo.export import export_prior_preset
    from vqzoo.generation import Generator
    from vqzoo.modalities import modality_of
    from vqzoo.tokenizers import Tokenizer

    if of_prior:
        line = export_prior_preset(Generator.from_preset(folder), folder)
        return [({"form": "generator", "summary": line}, f"generator: {line}")]
    tokenizer = Tokenizer.from_preset(folder)
    examples = modality_of(tokenizer, arguments.preset).examples(tokenizer)
    precisions = arguments.litert or tuple(LITERT_FILES)
    forms = [form for form in EXPORT_FORMS if LITERT_FORMS.get(form, precisions[0]) in precisions]
    agreements = export_preset(tokenizer, folder, examples, forms)
    return [(agreement._asdict(), f"{agreement.form}: {agreement.summary}") for agreement in agreements]


def _check_replaced(out, force):
    """Raises where --out would replace something that is not a preset."""
    check_free(out, force)
    if out.exists():
        listed = {*read_manifest(out)["files"], MANIFEST} if (out / MANIFEST).is_file() else set()
        others = [path for path in out.rglob("*") if path.is_file() and path.relative_to(out).as_posix() not in listed]
        if others:
            raise ValueError(
                f"{str(out)!r} holds files that are no preset's, such as {others[0].name}, and would be replaced as a "
                "whole. Give another --out."
            )


def _copy(folder, out):
    """Copies the files of a preset, which are verified first."""
    for name in [*verify_preset(folder)["files"], MANIFEST]:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, out / name)
