"""Uploads a preset to the Hugging Face Hub.

vqzoo push mine somebody/mine      # then hf://somebody/mine goes wherever a preset's name goes

It needs `pip install "vqzoo[hub]"`, and the token of `hf auth login` or $HF_TOKEN.
"""

from vqzoo.presets import push_to_hub


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    parser.add_argument("preset", help="name, or folder")
    parser.add_argument("repository", help="user/name, made if it is missing")
    parser.add_argument("--private", action="store_true", default=None, help="if it is made now")


def run(arguments):
    """Prints where it is."""
    print(push_to_hub(arguments.preset, arguments.repository, private=arguments.private))
    return 0
