"""Many files through one function: the same tree out, failures named at the end, the rest done."""

import collections
import contextlib
import os
import pathlib
import sys
import tempfile

from vqzoo.cli.output import add_json_argument
from vqzoo.cli.output import print_json
from vqzoo.cli.progress import Progress
from vqzoo.data.files import FileList
from vqzoo.data.files import amount
from vqzoo.data.files import counted
from vqzoo.data.files import kept_going
from vqzoo.data.files import reason_of
from vqzoo.files import atomic_path
from vqzoo.files import user_path
from vqzoo.priors.settings import Setting
from vqzoo.priors.settings import reader
from vqzoo.runs.failures import failure_line


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
    add_json_argument(parser)


positive = reader(Setting(int, 1, 2**31 - 1))
"""Reads a flag that counts something, as the `reader` of a setting does."""


def pair_files(paths, out, suffix, find):
    """What is read and what is written.

    Args:
        paths: list of str, files and folders.
        out: str, folder of the results.
        suffix: str, of the results, with its dot; or a callable path -> str.
        find: callable path -> list of paths, the files in a folder.

    Returns:
        `FileList` of (source, target), paths, with the files that were ignored. Where two sources would have one
        target, targets keep the sources' suffixes. A path that does not exist is among them: it is named when its turn
        comes.

    Raises:
        ValueError: if a folder holds nothing to read, or two paths lead to files of one name.
    """
    found = _find(paths, find)
    out = user_path(out)
    ends = [suffix(source) if callable(suffix) else suffix for source, _ in found]
    names = [relative for _, relative in found]
    twice = [name for name, count in collections.Counter(names).items() if count > 1]
    if twice:
        raise ValueError(
            f"Two sources are called {str(twice[0])!r}, so their results would have one name. Give the folder above "
            "the sources, or call the verb once for each with an --out of its own."
        )
    targets = _distinct(names, ends)
    return FileList(((s, out / target) for (s, _), target in zip(found, targets, strict=True)), found.ignored)


def _distinct(names, ends):
    """A name of a result for each source, all different: without the source's suffix where that is enough."""
    short = [name.with_name(name.stem + end) for name, end in zip(names, ends, strict=True)]
    counts = collections.Counter(short)
    whole = [name.with_name(name.name + end) for name, end in zip(names, ends, strict=True)]
    # A result that keeps the source's suffix can have the short name of another: that one then keeps its own, too.
    while True:
        chosen = [long if counts[brief] > 1 else brief for brief, long in zip(short, whole, strict=True)]
        clashing = {target for target, count in collections.Counter(chosen).items() if count > 1}
        fresh = [brief for brief, target in zip(short, chosen, strict=True) if target in clashing and target == brief]
        if not fresh:
            return chosen
        counts.update(dict.fromkeys(fresh, 2))


def named_files(paths, find):
    """Files, and what they are called where they become rows: their places in PATH, with slashes.

    Args:
        paths: list of str, files and folders.
        find: callable path -> list of paths, the files in a folder.

    Returns:
        `FileList` of (path, str), with the files that were ignored.

    Raises:
        ValueError: if a folder holds nothing to read.
    """
    found = _find(paths, find)
    return FileList(((source, relative.as_posix()) for source, relative in found), found.ignored)


def _find(paths, find):
    """`FileList` of (file, its path relative to the folder that was given), each file once."""
    found, ignored = {}, collections.Counter()
    if "" in paths:
        raise ValueError("A path is empty, as of a variable that is not set. Give `.` for the current folder.")
    for path in map(user_path, paths):
        if os.path.isdir(path):
            files = find(path)
            ignored.update(getattr(files, "ignored", {}))
            for file in files:
                found.setdefault(os.path.realpath(file), (file, file.relative_to(path)))
        else:
            found.setdefault(os.path.realpath(path), (path, pathlib.Path(path.name)))
    return FileList(found.values(), ignored)


def check_pipe(arguments):
    """Raises where the result and the JSON document would both go to standard output.

    Args:
        arguments: the verb's parsed arguments, with `json`.

    Raises:
        ValueError: --json was given with the path "-".
    """
    if arguments.json:
        raise ValueError("The path - writes the result to standard output, where --json writes. Leave one of them out.")


@contextlib.contextmanager
def piped_file(name, most_bytes=2**30):
    """Yields a file that holds all of standard input, in a folder that is deleted afterwards.

    Args:
        name: str, of the file, by which errors call it.
        most_bytes: int, more are refused before they are read. Default 2**30.

    Yields:
        Path.

    Raises:
        ValueError: standard input is closed, empty, or longer than `most_bytes`; or what is done with the file fails.
    """
    usage = "The path - takes a file from there, as in `vqzoo ... - < FILE`"
    if sys.stdin is None or sys.stdin.closed:
        raise ValueError(f"Standard input is closed. {usage}.")
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch, name)
        size = 0
        with open(path, "wb") as file:
            while block := sys.stdin.buffer.read(2**20):
                size += len(block)
                if size > most_bytes:
                    raise ValueError(f"Standard input has more than {most_bytes} bytes. Give the path of a file.")
                file.write(block)
        if not size:
            raise ValueError(f"Standard input is empty. {usage}.")
        try:
            yield path
        except (ValueError, MemoryError) as error:
            raise ValueError(reason_of(error).replace(f"{scratch}{os.sep}", "")) from error


def write_output(data):
    """Writes bytes to standard output.

    Args:
        data: bytes.

    Raises:
        ValueError: standard output is closed.
    """
    if sys.stdout is None or sys.stdout.closed:
        raise ValueError("Standard output is closed: the path - writes the result there, as in `vqzoo ... - > FILE`.")
    sys.stdout.buffer.write(data)


class FileRun:
    """Shows how far a verb is, and collects what was done and what failed.

    Args:
        files: `FileList` of the files, with those that were ignored.
        as_json: bool, whether one document of JSON is printed at the end.
    """

    def __init__(self, files, as_json):
        self.as_json = as_json
        self.ignored = files.ignored
        self.results = []
        self.failures = {}
        self.done = 0
        self._progress = Progress("files", len(files))

    def __enter__(self):
        self._progress.__enter__()
        return self

    def __exit__(self, *error):
        self._progress.__exit__(*error)

    def succeeded(self, source, **result):
        """Notes a file that is done.

        Args:
            source: path.
            **result: what JSON says of it.
        """
        self.done += 1
        self._progress.advance()
        if self.as_json:
            self.results.append({"file": str(source), **result})

    def failed(self, source, reason):
        """Notes a file that failed.

        Args:
            source: path.
            reason: str, one line.
        """
        self.failures[str(source)] = reason
        self._progress.advance(failed=True)

    def kept_going(self, *sources):
        """A context for what concerns some of the files: an error of any kind is their failure, and ends nothing else.

        Args:
            *sources: paths.

        Returns:
            Context manager.
        """

        def note(reason):
            for source in sources:
                self.failed(source, reason)

        return kept_going(note)

    def conclude(self, verb, **more):
        """Prints the summary: what was done, what failed and why, how many files of which endings were ignored.

        It goes to standard output, and with failures to standard error.

        Args:
            verb: str, in the past tense.
            **more: what JSON says of all of them.

        Returns:
            The exit status: 1 if a file failed.
        """
        if self.as_json:
            print_json(
                {
                    "files": self.results,
                    "done": self.done,
                    "failed": self.failures,
                    "ignored": self.ignored,
                    **more,
                }
            )
            return 1 if self.failures else 0
        failed = f", {len(self.failures)} failed" if self.failures else ""
        ignored = f", ignored {counted(self.ignored)}" if self.ignored else ""
        file = sys.stderr if self.failures else sys.stdout
        print(f"{verb} {amount(self.done, 'files')}{failed}{ignored}" + (":" if self.failures else ""), file=file)
        for source, error in self.failures.items():
            print(f"  {failure_line(source, error)}", file=file)
        return 1 if self.failures else 0


def run_each(verb, pairs, arguments, function, key):
    """Calls a function for each file; those that fail are named at the end.

    Args:
        verb: str, in the past tense.
        pairs: `FileList` of (source, target), as from `pair_files`.
        arguments: the verb's parsed arguments, with `force` and `json`.
        function: callable (source, path) that writes the result at the path -> dict, what JSON says of it.
        key: str, what JSON calls the result's own path.

    Returns:
        The exit status: 1 if a file failed.
    """
    with FileRun(pairs, arguments.json) as progress:
        for source, target in pairs:
            with progress.kept_going(source):
                with result_path(target, arguments.force) as temporary:
                    result = function(source, temporary)
                progress.succeeded(source, **{key: str(target)}, **result)
    return progress.conclude(verb)


@contextlib.contextmanager
def result_path(target, force):
    """Yields where a result is written before it takes its name, which no other process's result has by then.

    Args:
        target: path, file or folder.
        force: bool, whether what is there is overwritten.

    Yields:
        Path.

    Raises:
        ValueError: the target is there, and is to stay; or what writes it fails, and the error names the target.
    """
    check_free(target, force)
    hidden = None
    try:
        with atomic_path(target, overwrite=force) as temporary:
            hidden = temporary  # where errors would send people
            yield temporary
    except ValueError as error:
        if not hidden:
            raise
        raise ValueError(str(error).replace(str(hidden), str(target))) from error
    except FileExistsError as error:
        if error.filename != os.path.abspath(target):
            raise
        check_free(target, force)  # made by another process in the meantime


def check_picture(target, force, suffixes=None):
    """Raises before any work where a picture cannot be written.

    Args:
        target: path.
        force: bool, as of `check_free`.
        suffixes: tuple of str, that it may have. Defaults to those of `save_image`.

    Raises:
        ValueError: it has another suffix, or is there and is to stay.
    """
    from vqzoo.data.image.pixels import SAVED_SUFFIXES
    from vqzoo.data.paths import target_path

    target_path(target, None, "image", "save_image", suffixes or SAVED_SUFFIXES, ".png")
    check_free(target, force)


def check_free(target, force):
    """Raises where a result is there already.

    Args:
        target: path.
        force: bool, whether it is to be overwritten.

    Raises:
        ValueError: it is there, and is to stay.
    """
    if os.path.lexists(target) and not force:
        raise ValueError(f"{str(target)!r} is there already. Give --force to overwrite it, or another --out.")
