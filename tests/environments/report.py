"""One line of what several runs of pytest found, from their JUnit files: `report.py FILE...`; the end of `.ci/slow`.

A test that ran in several environments counts once: as failed where one of them failed it, and as skipped where none
ran it. The status is 0 only when tests were run, every file is there, nothing failed, and nothing was skipped for want
of an environment.
"""

import pathlib
import sys
from xml.etree import ElementTree

# How the reason of a skip begins that an environment would have avoided: the marker's, and pytest.importorskip's.
MISSING = ("needs the environment", "could not import")
# Of several results of one test, the first of these counts.
ORDER = ("failed", "passed", "skipped")


def results(file):
    """Yields (name, result, reason of a skip) of every test in a JUnit file."""
    for case in ElementTree.parse(file).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            yield name, "failed", ""
        elif (skipped := case.find("skipped")) is not None:
            yield name, "skipped", skipped.get("message") or ""
        else:
            yield name, "passed", ""


def report(files):
    """The line, and whether all is well."""
    found, reasons, stopped = {}, {}, []
    for file in map(pathlib.Path, files):
        try:
            of_file = list(results(file))
        except (OSError, ElementTree.ParseError):
            of_file = []
        if not of_file:
            stopped.append(file.stem)
        for name, result, reason in of_file:
            found[name] = min(found.get(name, result), result, key=ORDER.index)
            reasons.setdefault(name, reason)
    counts = {result: list(found.values()).count(result) for result in ORDER}
    skipped = {name: reasons[name] for name, result in found.items() if result == "skipped"}
    line = f"slow: {counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped"
    if skipped:
        line += " (" + "; ".join(f"{name}: {reason}" for name, reason in sorted(skipped.items())) + ")"
    if stopped:
        line += f"; the tests did not end in: {', '.join(stopped)}"
    wanting = [name for name, reason in skipped.items() if reason.startswith(MISSING)]
    return line, bool(files) and not (counts["failed"] or wanting or stopped)


if __name__ == "__main__":
    last_line, well = report(sys.argv[1:])
    print(last_line)
    sys.exit(not well)
