"""Optional packages of some metrics. Install by `pip install "vqzoo[metrics]"`."""

import importlib


def optional_package(name):
    """Imports a package of the extra `metrics`.

    Args:
        name: str.

    Returns:
        The module.

    Raises:
        ImportError: the package is not installed; the message states how to install it.

    Example:
    >>> optional_package("json").loads("1")
    1
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f'This metric needs the package `{name}`: pip install "vqzoo[metrics]"') from error
