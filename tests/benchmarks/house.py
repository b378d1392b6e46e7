"""The order of the code before and after each modality got one place: sizes, names, calls, branches, words.

    python tests/benchmarks/house.py                                     # prints the tables of house.json
    python tests/benchmarks/house.py --measure                           # measures this checkout first, a minute
    python tests/benchmarks/house.py --measure --before 981edfc          # and that commit, in a temporary worktree
    python tests/benchmarks/house.py --suite PASSED SECONDS WORKER_GB    # keeps what a run of the tests took

What is measured is written to house.json; the start-up times come from startup.json. The first commit that has
`vqzoo/runs/run.py` begins the move; 981edfc is its parent. The code is read by `ast`, and run only by calls.py.
"""

import argparse
import ast
import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = pathlib.Path(__file__).with_suffix(".json")
STARTUP = DATA.with_name("startup.json")
CALLS = DATA.with_name("calls.py")
LISTS = ("vqzoo/cli/verbs", "recipes", "tests/benchmarks")  # one file for each thing of a list
MOST_FILES, MOST_LINES, MOST_IN_FUNCTION = 12, 400, 60
MODALITIES = {
    "image": "image images picture pictures pixel pixels psnr ssim",
    "audio": "audio sound sounds waveform waveforms spectrogram spectrograms recording recordings stft mel",
    "text": "texts sentence sentences sentencepiece",  # any string may be called text
}
WORD_OF = {word: name for name, words in MODALITIES.items() for word in words.split()}
CLASS_WORDS = {**WORD_OF, "text": "text"}
LEAST_USES, LEAST_SHARE = 5, 0.9  # of the words of a modality, for a file to be about it
WORDS = {word: rf"\b{word}\b" for word in ("told", "tells", "alone", "is no")}
COMMANDS = {
    "encode": "encode image-vqgan-photos-f4 one.jpg --out tokens",
    "generate": "generate image-prior-fashion --count 1 --grid x.png",
}
NEW_MODALITY = "tests/modalities/test_new_modality.py"


# === Measures ===


def sources(root, *tops):
    """Path below the root -> text, of the Python files in some folders."""
    paths = sorted(path for top in tops for path in (root / top).rglob("*.py"))
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def folders(files):
    """Folder -> [its files without `__init__.py`, its lines with it]."""
    found = collections.defaultdict(lambda: [0, 0])
    for path, text in files.items():
        folder = os.path.dirname(path)
        found[folder][0] += os.path.basename(path) != "__init__.py"
        found[folder][1] += text.count("\n")
    return dict(sorted(found.items()))


def long_functions(files):
    """FILE:NAME -> lines behind the docstring, where they are too many."""
    found = {}
    for path, text in files.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0].end_lineno if ast.get_docstring(node, clean=False) is not None else node.lineno
                if node.end_lineno - first > MOST_IN_FUNCTION:
                    found[f"{path}:{node.name}"] = node.end_lineno - first
    return found


def identifiers(tree):
    """Yields every name that a file defines or uses."""
    for node in ast.walk(tree):
        for field in ("id", "attr", "arg", "name"):
            if isinstance(name := getattr(node, field, None), str):
                yield name


def words_of(identifier):
    """`AudioWindows`, `save_audio` -> their words in small letters."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", identifier)]


def uses(text):
    """Counter of the modalities whose words the identifiers of a file have."""
    found = collections.Counter()
    for name in identifiers(ast.parse(text)):
        found.update({WORD_OF[word] for word in words_of(name) if word in WORD_OF})
    return found


def unnamed(files):
    """File -> the one modality that it is about, where its path names none."""
    found = {}
    for path, text in files.items():
        counts = uses(text)
        for name, count in counts.most_common(1):
            if count >= LEAST_USES and count >= LEAST_SHARE * counts.total() and not names_one(path):
                found[path] = name
    return found


def names_one(path):
    """Whether a path has the name of a modality."""
    return any(name in path for name in MODALITIES)


def strings_in(node):
    """The constants that are names of modalities, in an expression."""
    values = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
    return [value for value in values if isinstance(value, str) and value in MODALITIES]


def branches(files):
    """List of "FILE:LINE code", where a comparison of something called modality with a name of one decides."""
    found = []
    for path, text in files.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Compare) and strings_in(node) and "modality" in ast.unparse(node):
                found.append(f"{path}:{node.lineno} {ast.unparse(node)}")
    return sorted(found)


def tables(files):
    """List of "FILE:LINE keys", of the dicts whose keys are two modalities or more."""
    found = []
    for path, text in files.items():
        for node in ast.walk(ast.parse(text)):
            keys = []
            if isinstance(node, ast.Dict):
                keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
                keys = [keyword.arg for keyword in node.keywords]
            keys = [key for key in keys if key in MODALITIES]
            if len(keys) > 1:
                found.append(f"{path}:{node.lineno} {', '.join(keys)}")
    return sorted(found)


def families(files):
    """What stands beside a modality's word in a class's name -> those classes, where two modalities have one."""
    found = collections.defaultdict(dict)
    for path, text in files.items():
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef):
                words = words_of(node.name)
                own = [CLASS_WORDS[word] for word in words if word in CLASS_WORDS]
                rest = " ".join(word for word in words if word not in CLASS_WORDS)
                if len(set(own)) == 1:
                    found[rest].setdefault(own[0], f"{path} {node.name}")
    return {rest: sorted(classes.values()) for rest, classes in sorted(found.items()) if len(classes) > 1}


def new_modality(root):
    """What the test of a toy modality replaces in the package; None where there is no such test."""
    if not (root / NEW_MODALITY).exists():
        return None
    return re.findall(r"monkeypatch\.(?!chdir)\w+\(.*\)", (root / NEW_MODALITY).read_text(encoding="utf-8"))


def calls(root, words):
    """What calls.py counts of a command, in an empty folder with an image."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        Image.radial_gradient("L").convert("RGB").save(f"{folder}/one.jpg")  # 256x256
        command = [sys.executable, str(CALLS), str(root), f"{folder}/counts.json", *words.split()]
        environment = {**os.environ, "VQZOO_PRESETS": str(root / "saved_models")}
        ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        if ended.returncode:
            raise RuntimeError(f"`vqzoo {words}` failed: {ended.stderr[-3000:]}")
        return json.loads(pathlib.Path(folder, "counts.json").read_text())


def git(root, *words):
    """What git prints."""
    return subprocess.run(["git", *words], cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def measure(root):
    """Dict of all that is measured of a checkout."""
    package, pages = sources(root, "vqzoo"), sources(root, "recipes")
    both = {**package, **pages}
    everywhere = folders({**both, **sources(root, "tests")})
    tracked = git(root, "ls-files").splitlines()
    text = "\n".join(package.values())
    return {
        "commit": git(root, "log", "-1", "--format=%h"),
        "subject": git(root, "log", "-1", "--format=%s"),
        "folders": folders(package),
        "crowded": {name: n for name, (n, _) in everywhere.items() if n > MOST_FILES and name not in LISTS},
        "long_files": {path: text.count("\n") for path, text in both.items() if text.count("\n") > MOST_LINES},
        "long_functions": long_functions(both),
        "unnamed": unnamed(package),
        "paths": {name: sum(name in path for path in tracked) for name in MODALITIES},
        "paths_of_package": {name: sum(name in path for path in package) for name in MODALITIES},
        "branches": branches(package),
        "tables": tables(package),
        "families": families(package),
        "new_modality": new_modality(root),
        "words": {word: len(re.findall(form, text, re.IGNORECASE)) for word, form in WORDS.items()},
        "recipes": {path: text.count("\n") for path, text in pages.items()},
        "calls": {name: calls(root, words) for name, words in COMMANDS.items()},
    }


def measure_commit(commit):
    """The same of a commit."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder).resolve() / "before"
        git(ROOT, "worktree", "add", "--quiet", "--detach", str(root), commit)
        try:
            return measure(root)
        finally:
            git(ROOT, "worktree", "remove", "--force", str(root))


# === Tables ===


def markdown(header, rows):
    """A table whose first column is a name."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *[[str(cell) for cell in row] for row in rows]]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


def pairs(before, after):
    """A row for each key of either of two dicts."""
    return [[f"`{key}`", before.get(key, ""), after.get(key, "")] for key in sorted({*before, *after})]


def compared(before, after, name):
    """A table of two dicts of numbers, with their sums."""
    rows = [*pairs(before, after), ["sum", sum(before.values()), sum(after.values())]]
    return markdown([name, "before", "after"], rows)


def table_folders(before, after):
    """Files without `__init__.py`, and lines with it, of each folder of `vqzoo/` without those in it."""
    old, new = before["folders"], after["folders"]
    rows = [[f"`{key}`", *old.get(key, ["", ""]), *new.get(key, ["", ""])] for key in sorted({*old, *new})]
    rows.append(["sum", *[sum(row[i] for row in found.values()) for found in (old, new) for i in (0, 1)]])
    return markdown(["folder", "files before", "lines before", "files after", "lines after"], rows)


def table_sizes(before, after):
    """What is too large. Lists may have more files: the verbs, `recipes/`, `tests/benchmarks/`."""
    names = {
        "crowded": f"folders of more than {MOST_FILES} files",
        "long_files": f"files of more than {MOST_LINES} lines",
        "long_functions": f"functions of more than {MOST_IN_FUNCTION} lines",
    }
    rows = []
    for key, name in names.items():
        rows += [[name, len(before[key]), len(after[key])], *pairs(before[key], after[key])]
    return markdown(["", "before", "after"], rows)


def table_names(before, after):
    """Files about one modality whose path names none, by a heuristic: five identifiers or more have one of its words.

    These are nine tenths or more of those with a word of any modality. `text` itself is not such a word, as any string
    may be called so: files about text are found by `texts` or `sentence`.
    """
    rows = pairs(before["unnamed"], after["unnamed"])
    rows.append(["sum", len(before["unnamed"]), len(after["unnamed"])])
    for name in MODALITIES:
        for key, where in (("paths_of_package", "Python files of `vqzoo/`"), ("paths", "files that git tracks")):
            rows.append([f"{where} with `{name}` in the path", before[key][name], after[key][name]])
    return markdown(["file", "before", "after"], rows)


def table_calls(before, after):
    """Functions of `vqzoo/` that a command calls, all imports included; a generator counts each time it goes on."""
    keys = ("calls", "functions", "files")
    header = ["command", *(f"{key} {when}" for key in keys for when in ("before", "after"))]
    rows = []
    for name, words in COMMANDS.items():
        rows.append([f"`vqzoo {words}`", *(state["calls"][name][key] for key in keys for state in (before, after))])
    return markdown(header, rows)


def table_modality(before, after):
    """Places that ask which modality it is, and kinds of classes that each modality has its own of.

    A new modality may have to change a file that asks or that has classes of two modalities, unless its path is one
    modality's.
    """
    rows = []
    for key, name in (("branches", "comparisons of a modality"), ("tables", "dicts by modality")):
        rows.append([name, len(before[key]), len(after[key])])
    rows.append(["kinds of classes that two modalities or more have", len(before["families"]), len(after["families"])])
    rows.append(["files that a new modality may have to change", *(len(existing(x)) for x in (before, after))])
    parts = [markdown(["", "before", "after"], rows)]
    edits = after["new_modality"]
    if edits is not None:
        parts.append(
            f"`{NEW_MODALITY}` adds a modality and edits no file. Lines in which it replaces something: {len(edits)}"
        )
        parts.append("\n".join(f"    {line}" for line in edits))
    for when, state in (("Before", before), ("After", after)):
        listed = [*state["branches"], *state["tables"]]
        listed += [f"{kind or 'nothing else'}: {', '.join(classes)}" for kind, classes in state["families"].items()]
        parts.append(f"{when}:\n\n" + "\n".join(f"- `{line}`" for line in listed))
    return "\n\n".join(parts)


def existing(state):
    """Files with a comparison, a dict or classes of two modalities, whose path has no modality's name."""
    found = {line.partition(":")[0] for key in ("branches", "tables") for line in state[key]}
    homes = [collections.Counter(line.split()[0] for line in classes) for classes in state["families"].values()]
    found |= {path for files in homes for path, count in files.items() if count > 1}
    return sorted(path for path in found if not names_one(path))


def table_words(before, after):
    """Words in `vqzoo/` that slow readers."""
    return compared(before["words"], after["words"], "word")


def table_startup(before, after):
    """Medians that `startup.py` measured."""
    commands = json.loads(STARTUP.read_text(encoding="utf-8"))["commands"]
    rows = [[f"`vqzoo {name}`", f"{row['ratio']:.2f}", f"{row['seconds']:.2f}"] for name, row in commands.items()]
    return markdown(["command", "times `import numpy` ↓", "seconds ↓"], rows)


def table_suite(before, after):
    """The default tests, on two cores. What they took before was noted by hand."""
    rows = []
    for key, name in (("passed", "passed ↑"), ("seconds", "seconds ↓"), ("worker_gb", "largest worker, GB ↓")):
        rows.append([name, *(state.get("suite", {}).get(key, "not measured") for state in (before, after))])
    return markdown(["", "before", "after"], rows)


def table_recipes(before, after):
    """Lines of each recipe."""
    return compared(before["recipes"], after["recipes"], "recipe")


TABLES = {
    "Files and lines": table_folders,
    "Sizes": table_sizes,
    "Names": table_names,
    "Calls": table_calls,
    "A new modality": table_modality,
    "Words": table_words,
    "Start-up": table_startup,
    "Suite": table_suite,
    "Recipes": table_recipes,
}


def report(data):
    """All tables, Markdown."""
    before, after = data["before"], data["after"]
    parts = [f"Before: {before['commit']}, {before['subject']}. After: {after['commit']}, {after['subject']}."]
    for name, table in TABLES.items():
        about = " ".join(table.__doc__.split())
        parts.append(f"## {name}\n\n{about}\n\n{table(before, after)}")
    return "\n\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true", help="measure this checkout")
    parser.add_argument("--before", metavar="COMMIT", help="measure that commit too")
    parser.add_argument("--suite", nargs=3, type=float, metavar=("PASSED", "SECONDS", "WORKER_GB"))
    given = parser.parse_args()
    data = json.loads(DATA.read_text(encoding="utf-8")) if DATA.exists() else {"before": {}, "after": {}}
    if given.before:
        data["before"] = measure_commit(given.before) | {"suite": data["before"].get("suite", {})}
    if given.measure:
        data["after"] = measure(ROOT) | {"suite": data["after"].get("suite", {})}
    if given.suite:
        passed, seconds, worker = given.suite
        data["after"]["suite"] = {"passed": int(passed), "seconds": round(seconds), "worker_gb": worker}
    if given.measure or given.before or given.suite:
        DATA.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(report(data))


if __name__ == "__main__":
    main()
