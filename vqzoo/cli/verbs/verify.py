"""Checks that a preset is whole, and that each of its exports gives its tokens; or that shards are whole."""

from vqzoo.cli.verbs.export import told
from vqzoo.files import user_path
from vqzoo.jsons import json_text
from vqzoo.presets import find_preset
from vqzoo.presets import verify_preset


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    parser.add_argument("preset", help="name, or folder; also of shards")
    parser.add_argument("--json", action="store_true", help="one line of JSON for each form")


def run(arguments):
    """Prints a line for each form; what does not agree is an error."""
    from vqzoo.data import holds_shards
    from vqzoo.data import verify_shards
    from vqzoo.export import verify_exports
    from vqzoo.modalities import modality_of
    from vqzoo.tokenizers import Tokenizer

    shards = user_path(arguments.preset)
    if holds_shards(shards):
        manifest = verify_shards(shards)
        about = {
            "form": "shards",
            "kind": manifest["kind"],
            "shards": len(manifest["shards"]),
            "rows": manifest["rows"],
        }
        whole = f"{shards}: {about['rows']} {about['kind']} in {about['shards']} shards are whole"
        print(json_text(about) if arguments.json else whole)
        return 0
    folder = find_preset(arguments.preset)
    files = verify_preset(folder)["files"]
    if not arguments.json:
        print(f"{folder}: {len(files)} files are whole")
    tokenizer = Tokenizer.from_preset(folder)
    for agreement in verify_exports(tokenizer, folder, modality_of(tokenizer, arguments.preset).examples(tokenizer)):
        print(json_text(agreement._asdict()) if arguments.json else told(agreement))
    return 0
