"""Packages that some measures need: `pip install "vqzoo[metrics]"`."""

import importlib


def optional_package(name):
    """Imports a package of the extra `metrics`.

    Args:
        name: str.

    Returns:
        The module.

    Raises:
        ImportError: the package is not installed; the message tells how to get it.

    Example:
    >>> optional_package("json").loads("1")
    1
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f'This measure needs the package `{name}`: pip install "vqzoo[metrics]"') from error
