"""Runs a recipe from the command line."""

import contextlib
import os
import re
import sys

from vqzoo.files import atomic_path
from vqzoo.jsons import json_text
from vqzoo.quiet import TRACEBACK
from vqzoo.runs.flags import parse_config


def run_recipe(main, variants, replaced=None):
    """Reads the settings and runs `main(config)`; an error that a user can fix is one line.

    Args:
        main: callable that takes the settings.
        variants: dict name -> settings, as `parse_config` takes them.
        replaced: as `parse_config` takes it. Defaults to none.

    Raises:
        SystemExit: with status 1 on such an error, 2 on a wrong flag.
    """
    config = parse_config(variants, replaced=replaced)
    with user_errors():
        main(config)


def save_report(path, report):
    """Writes what a recipe has measured as strict JSON, whole or not at all.

    Args:
        path: str or path.
        report: dict of numbers, text, and lists and dicts of them. Those that are not finite become null.

    Example:
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "report.json")
    >>> save_report(path, {"psnr": float("nan")})
    >>> path.read_text().split()
    ['{', '"psnr":', 'null', '}']
    """
    with atomic_path(path) as temporary:
        temporary.write_text(json_text(report, indent=1), encoding="utf-8")


@contextlib.contextmanager
def user_errors():
    """Turns errors that a user can fix into one line without a traceback, and exit status 1.

    Such errors are ValueErrors, those of the file system, losses that are not finite, and a full memory. Ctrl-C ends
    with status 130. With the variable VQZOO_TRACEBACK set they come as any other.
    """
    try:
        yield
    except BrokenPipeError:  # `vqzoo list | head`
        sys.stderr.close()
        raise SystemExit(1) from None
    except (ValueError, OSError, FloatingPointError, MemoryError) as error:
        if os.environ.get(TRACEBACK):
            raise
        print(f"error: {str(error) or type(error).__name__}", file=sys.stderr)
        raise SystemExit(1) from None
    except Exception as error:  # TensorFlow wraps our errors in a traceback, and reports full disks and memory
        ours = re.findall(r"^ValueError: (.*)$", str(error), re.MULTILINE)
        full = type(error).__name__ == "ResourceExhaustedError"
        of_tensorflow = type(error).__module__.startswith("tensorflow")
        if os.environ.get(TRACEBACK) or not of_tensorflow or not (ours or full):
            raise
        print(f"error: {ours[-1] if ours else error.message}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        if os.environ.get(TRACEBACK):
            raise
        print("stopped", file=sys.stderr)
        raise SystemExit(130) from None
