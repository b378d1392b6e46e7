"""Checks that a preset is whole, and that each of its exports gives its tokens; or that shards are whole."""

from vqzoo.cli.output import add_json_argument
from vqzoo.cli.output import print_json
from vqzoo.cli.progress import Progress
from vqzoo.data.files import amount
from vqzoo.files import user_path
from vqzoo.presets import find_preset
from vqzoo.presets import holds_prior
from vqzoo.presets import verify_preset
from vqzoo.presets.layout import TOKENIZER_FILE


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    parser.add_argument("preset", help="name, or folder; also of shards")
    add_json_argument(parser)


def run(arguments):
    """Prints a line for each form; what does not agree is an error."""
    from vqzoo.data import holds_shards
    from vqzoo.data import verify_shards
    from vqzoo.export import verify_exports
    from vqzoo.export import verify_prior_export
    from vqzoo.generation import Generator
    from vqzoo.modalities import modality_of
    from vqzoo.tokenizers import Tokenizer

    shards = user_path(arguments.preset)
    if holds_shards(shards):
        with Progress("verifying"):
            manifest = verify_shards(shards)
        about = {
            "form": "shards",
            "kind": manifest["kind"],
            "shards": len(manifest["shards"]),
            "rows": manifest["rows"],
        }
        if arguments.json:
            print_json(about)
        else:
            rows = amount(about["rows"], about["kind"])
            print(f"{shards}: {rows} in {amount(about['shards'], 'shards')} are whole")
        return 0
    folder = find_preset(arguments.preset)
    files = verify_preset(folder)["files"]
    if not arguments.json:
        print(f"{folder}: {len(files)} files are whole")
    agreements, generator = [], None
    if TOKENIZER_FILE in files:  # a prior may have several tokenizers in folders of their own, or none
        tokenizer = Tokenizer.from_preset(folder)
        examples = modality_of(tokenizer, arguments.preset).examples(tokenizer)
        with Progress("verifying"):
            agreements = verify_exports(tokenizer, folder, examples)
    if holds_prior(folder):
        with Progress("verifying the generator"):
            generator = verify_prior_export(Generator.from_preset(folder), folder)
    if arguments.json:
        sizes = {name: file["bytes"] for name, file in files.items()}
        forms = [agreement._asdict() for agreement in agreements]
        forms += [{"form": "generator", "summary": generator}] if generator else []
        print_json({"folder": str(folder), "files": sizes, "forms": forms})
        return 0
    for agreement in agreements:
        print(f"{agreement.form}: {agreement.summary}")
    if generator:
        print(f"generator: {generator}")
    return 0
