"""Filters the log lines of TensorFlow, XLA, CUDA and libmpg123 from standard error.

Those libraries write to file descriptor 2 from native code, partly before they read their settings. In a quiet program
the descriptor leads to a process that runs this file as a script. It drops known lines and passes on all others, also
when the program crashes. A Python thread could not do this. It would wait for the interpreter lock, which native code
may hold while it waits for the thread to read. `sys.stderr` keeps its destination.
"""

import contextlib
import os
import re
import sys

TRACEBACK = "VQZOO_TRACEBACK"
"""str, environment variable. If set, errors of users show their traceback, and no line is dropped."""
QUIET = "VQZOO_QUIET"
"""str, environment variable. A program is quiet if it sets it before it imports vqzoo, and vqzoo before Keras."""
_LEVEL = "2"  # of TensorFlow: only errors
_WAIT = 5  # seconds to wait for the last lines; a child of the program may hold the descriptor for longer

# Lines of the logs of TensorFlow 2.17 and of later ones: severity, file, message.
_LOG = r"(?:\d{4}-\d\d-\d\d )?(?:\d\d:\d\d:\d\d\.\d+: )?"
_KNOWN = (
    rf"{_LOG}[IW]\d{{4}} \d\d:\d\d:\d+\.\d+ +\d+ \S+:\d+\] ",
    rf"{_LOG}[IW] \S+:\d+\] ",
    r"WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR",
    r"To enable the following instructions: ",
    r"INFO: Created TensorFlow Lite ",
    # Errors that TensorFlow recovers from: a machine without a GPU, and a skipped optimization.
    rf"{_LOG}E.*\] failed call to cuInit",
    rf"{_LOG}E.*\] Unable to register cu(FFT|DNN|BLAS) factory",
    rf"{_LOG}E.*\] remapper failed: ",
    # Of libmpg123, because its reader raises an error for data that cannot be decoded, or repairs it.
    r"\[(\S*/)?libmpg123/\S+\] (warning|error): ",
    r"Note: (Illegal Audio-MPEG-Header|Trying to resync|Skipped |Hit end of|Junk at |Xing|Cut frame|Looks like a RIFF)",
    r"Note: (broken frame|missing \d+ bytes in bit reservoir|free format frame|faulty ID3v2)",
    r"Warning: (Big change|Encountered more data after|Real sample count|Xing stream size)",
)
_NOISE = re.compile("|".join(_KNOWN).encode())


def begin():
    """Makes this process a quiet program. Call it before TensorFlow is imported.

    It sets the log levels of the libraries, leads file descriptor 2 through the filter, and reopens `sys.stderr` on the
    original descriptor. If the variable VQZOO_TRACEBACK is set, it does nothing.
    """
    if os.environ.get(TRACEBACK):
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", _LEVEL)
    _quiet_logs()
    if sys.stderr is None or sys.stderr is not sys.__stderr__:  # closed, or a notebook's
        return
    with contextlib.suppress(OSError):  # the limit of processes or files is reached
        _filter_descriptor()


def begin_where_asked():
    """Makes this process a quiet program if the variable VQZOO_QUIET is set."""
    if os.environ.get(QUIET):
        begin()


def is_noise(line):
    """Whether a line is known to be irrelevant to users.

    Args:
        line: bytes.

    Returns:
        bool.

    Example:
    >>> is_noise(b"I0000 00:00:1796084627.585820   17515 cudart_stub.cc:31] Could not find cuda drivers")
    True
    >>> is_noise(b"E0000 00:00:1796084627.585820   17515 allocator.cc:31] out of memory")
    False
    """
    return _NOISE.match(line) is not None


def _quiet_logs():
    """Sets the levels of Python logs."""
    import logging
    import warnings

    from absl import logging as absl_logging

    absl_logging.set_verbosity(absl_logging.ERROR)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    for package in ("absl", "keras", "tensorflow", "librosa", "audioread", "soundfile"):
        warnings.filterwarnings("ignore", module=rf"{package}(\.|$)")


def _filter_descriptor():
    import atexit
    import subprocess

    sys.stderr.flush()
    real = os.dup(2)
    options = {"encoding": sys.stderr.encoding, "errors": sys.stderr.errors, "buffering": 1}
    stream = open(os.dup(2), "w", **options)
    reading, writing = os.pipe()
    try:
        # Isolated and without site-packages, so that it starts in milliseconds and finds no modules of the user.
        command = [sys.executable, "-I", "-S", __file__]
        child = subprocess.Popen(command, stdin=reading, stdout=real, stderr=real)
        os.dup2(writing, 2)
    finally:
        os.close(reading)
        os.close(writing)
    sys.stderr = sys.__stderr__ = stream

    def end():
        """Waits for the last lines, so that none appears after the shell prompt."""
        os.dup2(real, 2)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_WAIT)

    atexit.register(end)


def _main():
    """Copies standard input to standard output, except known lines."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the program, and the program this process
    waiting = blank = b""
    while block := os.read(0, 2**16):
        *lines, waiting = (waiting + block).split(b"\n")
        kept = []
        for line in lines:
            if is_noise(line):
                blank = b""  # some begin with an empty line
            elif line:
                kept += [blank, line, b"\n"]
                blank = b""
            else:
                blank += b"\n"
        _write(b"".join(kept))
    _write(b"" if is_noise(waiting) else blank + waiting)


def _write(data):
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    _main()
