"""Counts the calls of functions of vqzoo in one command.

    python tests/benchmarks/calls.py CHECKOUT OUT.json encode image-vqgan-photos-f4 one.jpg --out tokens

The command runs in this process with the `vqzoo/` of that checkout. The counts, of its imports too, are calls, distinct
functions and the distinct files with these. A generator counts each time that it resumes. Lambdas, comprehensions and
the bodies of modules and classes are not functions here.
"""

import collections
import inspect
import json
import os
import pathlib
import runpy
import sys
import threading


def counted(root, words):
    """Runs the command; returns a dict of the counts."""
    places = collections.Counter()
    package = str(root / "vqzoo") + os.sep

    def count(frame, event, argument):
        code = frame.f_code
        is_function = code.co_flags & inspect.CO_OPTIMIZED and not code.co_name.startswith("<")
        if event == "call" and is_function and code.co_filename.startswith(package):
            places[code.co_filename, code.co_firstlineno] += 1

    sys.path.insert(0, str(root))
    sys.argv = ["/usr/bin/vqzoo", *words]
    threading.setprofile(count)
    sys.setprofile(count)
    try:
        runpy.run_module("vqzoo", run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
    finally:
        threading.setprofile(None)
        sys.setprofile(None)
    if not places:
        raise RuntimeError(f"No function below {package} was called: another vqzoo was imported.")
    return {"calls": places.total(), "functions": len(places), "files": len({file for file, _ in places})}


def main():
    root, out, *words = sys.argv[1:]
    counts = counted(pathlib.Path(root).resolve(), words)
    pathlib.Path(out).write_text(json.dumps(counts) + "\n")


if __name__ == "__main__":
    main()
