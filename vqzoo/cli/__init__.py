"""The command line: `vqzoo VERB`. What recipes use is in `vqzoo.runs`."""


def __getattr__(name):
    """Recipes that people have copied find what was here before."""
    import warnings

    from vqzoo import runs

    if name not in runs.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(f"`vqzoo.cli.{name}` is `vqzoo.runs.{name}` now.", DeprecationWarning, stacklevel=2)
    return getattr(runs, name)
