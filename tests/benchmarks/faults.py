"""The faults that were found in use, with their causes and the tests that would have found them.

    python tests/benchmarks/faults.py [--check]

Prints a table of `faults.tsv`, and what testers who had fixed nothing tried afterwards, `hostile.tsv`. It fails where a
test that a row names is gone; with --check it runs those tests.
"""

import argparse
import csv
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]


def rows(name="faults.tsv"):
    """The rows of a table, dicts."""
    with open(HERE / name, encoding="utf-8", newline="") as file:
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
    for name in ("faults.tsv", "hostile.tsv"):
        table = rows(name)
        print(f"\n| {' | '.join(table[0])} |\n|{'---|' * len(table[0])}")
        for row in table:
            cells = [cell.replace("|", r"\|") for cell in row.values()]
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
