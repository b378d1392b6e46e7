"""Many files through one function: the same tree out, failures named at the end, the rest done."""

import argparse
import collections
import json
import pathlib
import sys

from rich.console import Console
from rich.progress import MofNCompleteColumn
from rich.progress import Progress
from rich.progress import TextColumn
from rich.progress import TimeRemainingColumn

from vqzoo.files import sweep_temporaries
from vqzoo.files import user_path


def add_batch_arguments(parser, what="pictures, sounds or texts", pipe=False):
    """Adds PATH..., --out, --force and --json to a verb's parser.

    Args:
        parser: `argparse.ArgumentParser`.
        what: str, what the paths are. Defaults to files of signals.
        pipe: bool, whether the verb reads standard input and writes standard output for the path "-". Defaults to
            False.
    """
    piped = "; - reads standard input and writes standard output" if pipe else ""
    parser.add_argument("paths", nargs="+", metavar="PATH", help=f"{what}, and folders of them{piped}")
    parser.add_argument("--out", help="folder for the results, in the tree of PATH")
    parser.add_argument("--force", action="store_true", help="overwrite results that are there")
    parser.add_argument("--json", action="store_true", help="one line of JSON for each file")


def positive(text):
    """Reads a flag that counts something.

    Args:
        text: str.

    Returns:
        int, at least 1.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"an integer, at least 1. Received: {text!r}")
    return int(text)


def pair_files(paths, out, suffix, find):
    """What is read and what is written.

    Args:
        paths: list of str, files and folders.
        out: str, folder of the results.
        suffix: str, of the results, with its dot; or a callable path -> str.
        find: callable path -> list of paths, the files in a folder.

    Returns:
        List of (source, target), paths. Where two sources would have one target, targets keep the sources' suffixes.
        A path that does not exist is among them: it is named when its turn comes.

    Raises:
        ValueError: if a folder holds nothing to read, or two sources would still have one target.
    """
    found = _find(paths, find)
    stems = [relative.with_suffix("") for _, relative in found]
    out = user_path(out)
    sweep_temporaries(out)
    pairs, counts = [], collections.Counter(stems)
    for (source, relative), stem in zip(found, stems, strict=True):
        end = suffix(source) if callable(suffix) else suffix
        pairs.append((source, out / (f"{relative}{end}" if counts[stem] > 1 else stem.with_name(stem.name + end))))
    twice = [target for target, count in collections.Counter(target for _, target in pairs).items() if count > 1]
    if twice:
        raise ValueError(
            f"Two results would have one name, such as {str(twice[0])!r}. Give the folder above "
            "the sources, or call the verb once for each with an --out of its own."
        )
    return pairs


def named_files(paths, find):
    """Files, and what they are called where they become rows: their places in PATH, with slashes.

    Args:
        paths: list of str, files and folders.
        find: callable path -> list of paths, the files in a folder.

    Returns:
        List of (path, str).

    Raises:
        ValueError: if a folder holds nothing to read.
    """
    return [(source, relative.as_posix()) for source, relative in _find(paths, find)]


def _find(paths, find):
    """List of (file, its path relative to the folder that was given)."""
    found = []
    for path in map(user_path, paths):
        if path.is_dir():
            found += [(file, file.relative_to(path)) for file in find(path)]
        else:
            found.append((path, pathlib.Path(path.name)))
    return found


class FileRun:
    """Shows how far a verb is, and collects what failed.

    Args:
        total: int, files.
        as_json: bool, whether a line of JSON is printed for each file.
    """

    def __init__(self, total, as_json):
        self.as_json = as_json
        self.failures = {}
        self.done = 0
        columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeRemainingColumn())
        # On standard error, because standard output may be data.
        self._progress = Progress(
            *columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()
        )
        self._task = self._progress.add_task("files", total=total)

    def __enter__(self):
        self._progress.start()
        return self

    def __exit__(self, *error):
        self._progress.stop()

    def succeeded(self, source, **told):
        """Notes a file that is done.

        Args:
            source: path.
            **told: what the line of JSON tells.
        """
        self.done += 1
        self._progress.advance(self._task)
        if self.as_json:
            print(json.dumps({"file": str(source), **told}), flush=True)

    def failed(self, source, error):
        """Notes a file that failed.

        Args:
            source: path.
            error: the exception.
        """
        self.failures[str(source)] = str(error)
        self._progress.advance(self._task)
        if self.as_json:
            print(json.dumps({"file": str(source), "error": str(error)}), flush=True)

    def conclude(self, verb):
        """Names the failures.

        Args:
            verb: str, in the past tense.

        Returns:
            The exit status: 1 if a file failed.
        """
        if not self.as_json:
            print(
                f"{verb} {self.done} files" + (f", {len(self.failures)} failed:" if self.failures else ""),
                file=sys.stderr,
            )
            for source, error in self.failures.items():
                print(f"  {source}: {error}" if source not in error else f"  {error}", file=sys.stderr)
        return 1 if self.failures else 0


def run_each(verb, pairs, arguments, function):
    """Calls a function for each file; those that fail are named at the end.

    Args:
        verb: str, in the past tense.
        pairs: list of (source, target), as from `pair_files`.
        arguments: the verb's parsed arguments, with `force` and `json`.
        function: callable (source, target) that writes the target -> dict, what the line of JSON tells.

    Returns:
        The exit status: 1 if a file failed.
    """
    with FileRun(len(pairs), arguments.json) as progress:
        for source, target in pairs:
            try:
                check_free(target, arguments.force)
                told = function(source, target)
            except (ValueError, OSError) as error:
                progress.failed(source, error)
            else:
                progress.succeeded(source, **told)
    return progress.conclude(verb)


def check_free(target, force):
    """Raises where a result is there already.

    Args:
        target: path.
        force: bool, whether it is to be overwritten.

    Raises:
        ValueError: it is there, and is to stay.
    """
    if target.exists() and not force:
        raise ValueError(f"{str(target)!r} is there already. Give --force to overwrite it, or another --out.")
