"""Start of the package: eager imports in a Python program, lazy imports in the command `vqzoo`.

`import vqzoo` registers every class with Keras and so imports TensorFlow, which takes seconds. Python imports a package
before the module of its command. In the command, packages leave their imports to the verb, so that `vqzoo --help` is
fast.
"""

import ast
import functools
import importlib
import os
import re
import sys
import warnings


@functools.cache  # `python -m` replaces `sys.argv[0]` once it has found the module
def is_command():
    """Whether this process is the command: `vqzoo` or `python -m vqzoo`.

    Returns:
        bool.

    Example:
    >>> is_command()
    False
    """
    arguments = getattr(sys, "argv", None) or [""]
    if arguments[0] == "-m":  # `-m vqzoo` or `-mvqzoo`, after Python's own options
        return bool(re.fullmatch(r"(-[A-Za-z]*m)?vqzoo(\.__main__)?", sys.orig_argv[-len(arguments)]))
    return bool(re.fullmatch(r"vqzoo(-script\.pyw?|\.exe)?", os.path.basename(arguments[0])))


def on_first_use(package):
    """A `__getattr__` (PEP 562) that executes `from MODULE import NAME` of a package when NAME is first accessed.

    The statements are read from the source of the package, where they are in a branch that the command does not run.

    Args:
        package: str, the package's `__name__`.

    Returns:
        Callable name -> object.

    Example:
    >>> on_first_use("vqzoo.presets")("find_preset").__module__
    'vqzoo.presets.find'
    """

    def resolve(name):
        place = _places(package).get(name)
        if place is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, attribute = place
        if module == package:
            thing = importlib.import_module(f"{package}.{attribute}")
        else:
            thing = getattr(importlib.import_module(module), attribute)
        setattr(sys.modules[package], name, thing)
        return thing

    return resolve


def moved(package, names, module):
    """A `__getattr__` that resolves moved names, with a `DeprecationWarning`.

    Args:
        package: str, the old package.
        names: collection of str.
        module: str, the new package.

    Returns:
        Callable name -> object.

    Example:
    >>> import warnings
    >>> with warnings.catch_warnings(action="ignore"):
    ...     moved("vqzoo.trainers", {"picture_rows"}, "vqzoo.plots")("picture_rows").__name__
    'picture_rows'
    """

    def resolve(name):
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        warnings.warn(f"`{package}.{name}` is `{module}.{name}` now.", DeprecationWarning, stacklevel=2)
        return getattr(importlib.import_module(module), name)

    return resolve


@functools.cache
def _places(package):
    """Dict of the names that the package imports -> (module, name in the module)."""
    tree = ast.parse(sys.modules[package].__loader__.get_source(package))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name: (node.module, alias.name) for node in imports for alias in node.names}
