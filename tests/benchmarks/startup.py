"""How long the command takes to answer, as a ratio to `import numpy` on the same machine.

    python tests/benchmarks/startup.py             # measures, and writes startup.json
    python tests/benchmarks/startup.py --table     # prints the table of startup.json

Each command and `import numpy` run one after the other, in new processes, and so again and again: another program on
the machine slows both. A row is the median of its ratios; `python -c pass` is in both, as whoever waits has it.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = pathlib.Path(__file__).with_suffix(".json")
VERBS = sorted(path.stem for path in (ROOT / "vqzoo" / "cli" / "verbs").glob("[a-z]*.py"))
COMMANDS = ["--help", "--version", "list", "info image-vqgan-photos-f4", *(f"{verb} --help" for verb in VERBS)]
MOST = 5  # times `import numpy`


def seconds(*arguments):
    """How long a new Python takes."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], env=environment, check=True, capture_output=True)
    return time.perf_counter() - start


def measure(rounds):
    """Dict of the ratios and seconds of each command."""
    pairs = {command: [] for command in COMMANDS}
    for number in range(rounds + 1):
        for command in COMMANDS:
            pair = seconds("-m", "vqzoo", *command.split()), seconds("-c", "import numpy")
            if number:  # the first round fills the caches
                pairs[command].append(pair)
    rows = {}
    for command, times in pairs.items():
        ratio = statistics.median(one / other for one, other in times)
        rows[command] = {"ratio": round(ratio, 2), "seconds": round(statistics.median(one for one, _ in times), 3)}
    return {"rounds": rounds, "python": platform.python_version(), "commands": rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="runs of each command (default: 7)")
    parser.add_argument("--table", action="store_true", help="print what was measured before")
    given = parser.parse_args()
    if not given.table:
        DATA.write_text(json.dumps(measure(given.rounds), indent=1) + "\n")
    found = json.loads(DATA.read_text())
    print(f"{'vqzoo':28s} {'x import numpy':>14s} {'seconds':>8s}   ({found['rounds']} rounds, lower is better)")
    for command, row in found["commands"].items():
        print(f"{command:28s} {row['ratio']:14.2f} {row['seconds']:8.3f}")
    worst = max(row["ratio"] for row in found["commands"].values())
    print(f"the slowest takes {worst:.2f} times `import numpy`; at most {MOST} are allowed")
    return int(worst > MOST)


if __name__ == "__main__":
    sys.exit(main())
