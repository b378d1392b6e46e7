"""How fast are many pictures encoded, against the loop that one would write?

python tests/benchmarks/throughput.py PRESET PICTURES [--count 1000]

Four ways from a preset's name and a folder to tokens, with all that each has to do: a plain loop of `load_image` and
`Tokenizer.encode`, one picture at a time; the same in batches, `Tokenizer.encode(all, batch_size=...)`; `vqzoo encode`,
which also writes and syncs a token file for each picture; and `vqzoo encode --shards`. The pictures are first cut to
`--size` pixels a side and repeated until there are `--count`: files of many sizes would measure the compilation for
each size. The ways take turns, three rounds each, after one on a few files. A line tells the median processor and wall
time of each, and the median of its ratios to the loop of the same round.
"""

import argparse
import contextlib
import functools
import io
import itertools
import json
import pathlib
import shutil
import statistics
import tempfile
import time

import numpy as np
from PIL import Image
from PIL import ImageOps

import vqzoo
from vqzoo.cli.main import main as vqzoo_main

ROUNDS = 3


def prepare(pictures, folder, count, size):
    """`count` picture files of one size in `folder`."""
    files = itertools.islice(itertools.cycle(vqzoo.data.find_images(pictures)), count)
    folder.mkdir()
    made = {}
    for number, file in enumerate(files):
        target = folder / f"{number:06d}.jpg"
        if file in made:
            shutil.copy(made[file], target)
        else:
            with Image.open(file) as image:
                ImageOps.fit(image.convert("RGB"), (size, size)).save(target, quality=90)
            made[file] = target


def measured(function):
    """Processor and wall seconds of a call."""
    processor, wall = time.process_time(), time.perf_counter()
    function()
    return time.process_time() - processor, time.perf_counter() - wall


def ways(preset, folder, scratch, batch_size):
    """The ways by name: callables without arguments."""

    def loop():
        tokenizer = vqzoo.Tokenizer.from_preset(preset)
        return [tokenizer.encode(vqzoo.data.load_image(file)[None]).numpy() for file in vqzoo.data.find_images(folder)]

    def batched():
        tokenizer = vqzoo.Tokenizer.from_preset(preset)
        images = [vqzoo.data.load_image(file) for file in vqzoo.data.find_images(folder)]
        return tokenizer.encode(np.stack(images), batch_size=batch_size).numpy()

    def verb(*more):
        out = tempfile.mkdtemp(dir=scratch)
        command = ["encode", preset, str(folder), "--out", out, "--batch_size", str(batch_size), *more]
        with contextlib.redirect_stderr(io.StringIO()):
            status = vqzoo_main(command)
        shutil.rmtree(out)
        if status:
            raise RuntimeError(f"vqzoo encode ended with status {status}")

    shards = functools.partial(verb, "--shards")
    return {"plain loop": loop, "batched": batched, "vqzoo encode": verb, "vqzoo encode --shards": shards}


def main():
    """Reads the command line and prints one line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset")
    parser.add_argument("pictures")
    parser.add_argument("--count", type=int, default=1000, help="pictures (default: 1000)")
    parser.add_argument("--size", type=int, default=128, help="pixels a side (default: 128)")
    parser.add_argument("--batch_size", type=int, default=16, help="pictures at once (default: 16)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        prepare(arguments.pictures, scratch / "few", min(arguments.count, 2 * arguments.batch_size), arguments.size)
        prepare(arguments.pictures, scratch / "pictures", arguments.count, arguments.size)
        for way in ways(arguments.preset, scratch / "few", scratch, arguments.batch_size).values():
            way()
        functions = ways(arguments.preset, scratch / "pictures", scratch, arguments.batch_size)
        rounds = [{name: measured(function) for name, function in functions.items()} for _ in range(ROUNDS)]
    for name in functions:
        processor, wall = (statistics.median(one[name][i] for one in rounds) for i in (0, 1))
        ratios = [statistics.median(one[name][i] / one["plain loop"][i] for one in rounds) for i in (0, 1)]
        row = {"way": name, "pictures": arguments.count, "size": arguments.size, "processor_s": round(processor, 2)}
        row |= {"wall_s": round(wall, 2), "pictures_per_wall_s": round(arguments.count / wall, 1)}
        print(json.dumps(row | {"processor_ratio": round(ratios[0], 3), "wall_ratio": round(ratios[1], 3)}))


if __name__ == "__main__":
    main()
