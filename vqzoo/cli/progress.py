"""How far a verb is: a bar on a terminal, a line every ten seconds elsewhere; on standard error."""

import sys
import threading
import time

SECONDS = 10
"""float, between two lines."""


class Progress:
    """Shows how far a verb is while its block runs. What takes less than ten seconds shows no line.

    It writes to standard error, because standard output may be data.

    Args:
        what: str, what is counted, such as "files"; without a total what is done, such as "measuring".
        total: int, how many there are. Default None, unknown: only the time is shown.
    """

    def __init__(self, what, total=None):
        self.what = what
        self.total = total
        self.done = self.failed = 0
        self._bar = self._task = None
        self._ended = threading.Event()

    def __enter__(self):
        self._start = time.monotonic()
        if sys.stderr is not None and sys.stderr.isatty():
            self._bar = _bar(self.total is not None)
            self._task = self._bar.add_task(self.what, total=self.total)
            self._bar.start()
        else:
            # A daemon: a verb that ends by a signal does not wait for it.
            self._thread = threading.Thread(target=self._write_lines, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *error):
        self._ended.set()
        if self._bar is not None:
            self._bar.stop()
        else:
            self._thread.join()

    def advance(self, failed=False):
        """Notes that one more is done.

        Args:
            failed: bool, whether it failed. Default False.
        """
        self.done += 1
        self.failed += bool(failed)
        if self._bar is not None:
            self._bar.advance(self._task)

    def line(self, seconds):
        """How far it is, in words.

        Args:
            seconds: float, since its start.

        Returns:
            str.

        Example:
        >>> progress = Progress("files", total=6)
        >>> progress.advance()
        >>> progress.advance(failed=True)
        >>> progress.line(60)
        '2 of 6 files, 1 failed, 1 min, about 2 min left'
        >>> Progress("measuring").line(20)
        'measuring, 20 s'
        """
        if self.total is None:
            return f"{self.what}, {_duration(seconds)}"
        parts = [f"{self.done} of {self.total} {self.what}"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        parts.append(_duration(seconds))
        if 0 < self.done < self.total:
            parts.append(f"about {_duration(seconds * (self.total - self.done) / self.done)} left")
        return ", ".join(parts)

    def _write_lines(self):
        while not self._ended.wait(SECONDS):
            print(self.line(time.monotonic() - self._start), file=sys.stderr, flush=True)


def _bar(counted):
    from rich.console import Console
    from rich.progress import BarColumn
    from rich.progress import MofNCompleteColumn
    from rich.progress import Progress as Bar
    from rich.progress import TextColumn
    from rich.progress import TimeElapsedColumn
    from rich.progress import TimeRemainingColumn

    columns = (MofNCompleteColumn(), TimeRemainingColumn()) if counted else (TimeElapsedColumn(),)
    return Bar(TextColumn("{task.description}"), BarColumn(), *columns, console=Console(stderr=True), transient=True)


def _duration(seconds):
    """Seconds in words, two digits or more."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            count = seconds / size
            return f"{count:.0f} {unit}" if count >= 10 or count == round(count) else f"{count:.1f} {unit}"
    return f"{seconds:.0f} s"
