"""Uploads a preset to the Hugging Face Hub.

vqzoo push mine somebody/mine      # then hf://somebody/mine goes wherever a preset's name goes

It needs `pip install "vqzoo[hub]"`, and the token of `hf auth login` or $HF_TOKEN.
"""

from vqzoo.cli.output import add_json_argument
from vqzoo.cli.output import print_json
from vqzoo.presets import push_to_hub


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    parser.add_argument("preset", help="name, or folder")
    parser.add_argument("repository", help="user/name, made if it is missing")
    parser.add_argument("--private", action="store_true", default=None, help="if it is made now")
    add_json_argument(parser)


def run(arguments):
    """Prints where it is."""
    place = push_to_hub(arguments.preset, arguments.repository, private=arguments.private)
    if arguments.json:
        print_json({"url": place})
    else:
        print(place)
    return 0
