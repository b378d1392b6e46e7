"""The command line: `vqzoo VERB`. What recipes use is in `vqzoo.runs`."""


def __getattr__(name):
    """Recipes that people have copied find what was here before."""
    from vqzoo import runs
    from vqzoo.startup import moved

    return moved(__name__, runs.__all__, "vqzoo.runs")(name)
