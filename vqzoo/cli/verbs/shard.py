"""Packs picture files into TFRecord shards.

    vqzoo shard ~/Pictures --out shards/
    python recipes/image_vqvae.py --data shards/

Thousands of small files become a few large ones and a manifest, the pictures in them untouched. A run that was stopped
goes on where it was when its command is repeated. `vqzoo verify shards/` checks every byte.
"""

from vqzoo.cli.batch import FileRun
from vqzoo.cli.batch import add_batch_arguments
from vqzoo.cli.batch import named_files
from vqzoo.data.files import amount
from vqzoo.priors.settings import Setting
from vqzoo.priors.settings import reader

_MEGABYTES = reader(Setting(float, 0, 2**20, above=True))


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    add_batch_arguments(parser, "pictures")
    text = "megabytes (2**20 bytes) each (default: 256)"
    parser.add_argument("--shard_size", type=_MEGABYTES, default=256.0, help=text)


def run(arguments):
    """Writes the shards; exit status 1 if a file was left out."""
    from vqzoo.data import find_images
    from vqzoo.data import write_image_shards

    if not arguments.out:
        raise ValueError("--out DIR is the folder for the shards.")
    files = named_files(arguments.paths, find_images)
    with FileRun(files, arguments.json) as progress:

        def note(path, reason):
            if reason is None:
                progress.succeeded(path)
            else:
                progress.failed(path, reason)

        shard_bytes = max(1, int(arguments.shard_size * 2**20))
        manifest = write_image_shards(files, arguments.out, shard_bytes, arguments.force, note)
    progress.done = manifest["rows"]  # with those of a run that was stopped
    progress.failures = manifest["failed"]
    count = len(manifest["shards"])
    return progress.conclude(f"packed into {amount(count, 'shards')}:", folder=arguments.out, shards=count)
