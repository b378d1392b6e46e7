"""Measures what a preset gives back of a folder of pictures, sounds or texts.

    vqzoo evaluate image-vqgan-photos-f4 ~/Pictures --size 64
    vqzoo evaluate image-vqgan-photos-f4 ~/Pictures --whole
    vqzoo evaluate saved_models/audio_vqvae ~/recordings --size 32000

Without --whole it is a sample: crops of pictures that were resized, clips of sounds, some of the sentences. With it
each file is measured as it is and counts once, large ones in tiles or windows.
"""

import os
import sys

from vqzoo.cli.batch import positive
from vqzoo.cli.output import add_json_argument
from vqzoo.cli.output import print_json
from vqzoo.cli.progress import Progress
from vqzoo.data.files import counted
from vqzoo.data.image.bounds import MAX_SCALE
from vqzoo.files import shown_path
from vqzoo.files import user_path
from vqzoo.measures import metric_rows
from vqzoo.presets import find_preset
from vqzoo.priors.settings import Setting
from vqzoo.priors.settings import reader
from vqzoo.runs.failures import failure_line

_SCALE = reader(Setting(float, 0, MAX_SCALE, above=True))
_DEFAULTS = {"scale": 0.5, "crops": 256, "seed": 0}


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    parser.add_argument("preset", help="name, or folder")
    parser.add_argument("path", help="file, or folder of them; pictures also as shards, or tfds:NAME")
    parser.add_argument("--whole", action="store_true", help="measure each file as it is, instead of a sample")
    parser.add_argument("--size", type=positive, help="pixels a side of the crops (128), or samples of the clips (2 s)")
    parser.add_argument("--scale", type=_SCALE, help="resize of a picture before the crop (default: 0.5)")
    parser.add_argument("--crops", type=positive, help="crops, clips or sentences to measure on (default: 256)")
    parser.add_argument("--seed", type=reader("seed"), help="of the crops, clips or sentences (default: 0)")
    add_json_argument(parser)


def run(arguments):
    """Prints the numbers, and what they were measured on; exit status 1 if a file was skipped."""
    from vqzoo.data.paths import near_path
    from vqzoo.modalities import modality_of
    from vqzoo.tokenizers import Tokenizer

    given = [name for name in ("size", *_DEFAULTS) if getattr(arguments, name) is not None]
    if arguments.whole and given:
        raise ValueError(f"--whole measures files as they are: leave out {' '.join(f'--{name}' for name in given)}.")
    if not arguments.path.startswith("tfds:") and not os.path.exists(user_path(arguments.path)):
        raise ValueError(f"{shown_path(arguments.path)} does not exist. {near_path(arguments.path)}")
    tokenizer = Tokenizer.from_preset(find_preset(arguments.preset))
    modality = modality_of(tokenizer, arguments.preset)
    with Progress("measuring"):
        evaluation = _measured(modality, tokenizer, arguments)
    if arguments.json:
        failed = {str(path): reason for path, reason in evaluation.skipped.items()}
        about = {"measured": evaluation.measured, "whole": arguments.whole, "files": evaluation.files}
        about |= {"skipped": len(failed), "failed": failed, "ignored": evaluation.ignored}
        print_json({**evaluation.report, **about})
        return int(bool(failed))
    print(f"measured on {evaluation.measured}")
    rows = metric_rows({**evaluation.report, "skipped": len(evaluation.skipped)})
    width = max(len(label) for label, _ in rows)
    for label, value in rows:
        print(f"{label:{width}s}  {value}")
    if evaluation.ignored:
        file = sys.stderr if evaluation.skipped else sys.stdout
        print(f"ignored {counted(evaluation.ignored)}", file=file)
    for path, reason in evaluation.skipped.items():
        print(f"  {failure_line(path, reason)}", file=sys.stderr)
    return int(bool(evaluation.skipped))


def _measured(modality, tokenizer, arguments):
    """`Evaluation` of what was asked for."""
    if arguments.whole:
        return modality.evaluate_whole(tokenizer, arguments.path)
    size = arguments.size or 2 * getattr(tokenizer, "sample_rate", 64)
    scale, count, seed = (
        default if getattr(arguments, name) is None else getattr(arguments, name) for name, default in _DEFAULTS.items()
    )
    return modality.evaluate_sample(tokenizer, arguments.path, size, scale, count, seed)
