"""The faults that were found in use, with their causes and the tests that would have found them.

    python tests/benchmarks/faults.py [--check]

Prints a table of `faults.tsv`. With --check it asks pytest for each test that a row names, and fails where one is gone.
"""

import argparse
import csv
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
COLUMNS = ("number", "cause", "siblings", "test")


def rows():
    """The rows of the table, dicts."""
    with open(HERE / "faults.tsv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def tests_of(row):
    """What a row names: (file, function or None) each."""
    found = re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?|::(\w+)", row["test"])
    named, last = [], None
    for file, function, alone in found:
        last = file or last
        named.append((last, function or alone or None))
    return named


def missing():
    """Tests that a row names and that are not there."""
    lines = []
    for row in rows():
        for file, function in tests_of(row):
            path = ROOT / file
            there = path.is_file() and (function is None or f"def {function}(" in path.read_text(encoding="utf-8"))
            lines += [] if there else [f"{row['number']}: {file}::{function}"]
        if not tests_of(row):
            lines.append(f"{row['number']}: no test")
    return lines


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="run the tests that the rows name")
    arguments = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for row in rows():
        cells = [row[column].replace("|", r"\|") for column in COLUMNS]
        print(f"| {' | '.join(cells)} |")
    gone = missing()
    for line in gone:
        print(f"not there: {line}", file=sys.stderr)
    status = int(bool(gone))
    if arguments.check:
        names = sorted({f"{file}::{name}" if name else file for row in rows() for file, name in tests_of(row)})
        status |= subprocess.run([sys.executable, "-m", "pytest", "-q", *names], cwd=ROOT).returncode
    return status


if __name__ == "__main__":
    sys.exit(main())
