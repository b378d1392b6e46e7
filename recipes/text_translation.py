"""Trains a prior that translates: it generates a text from another one.

    python recipes/text_translation.py                             # catalogues of installed packages, to Spanish
    python recipes/text_translation.py --data pairs.tsv            # tsv, csv or jsonl, the first two columns
    python recipes/text_translation.py --data memory.tmx --source en --target es
    python recipes/text_translation.py --data locale/ --target es  # a folder of gettext catalogues: .po, .mo
    python recipes/text_translation.py --data pairs.tsv --tokenizer text-spanish   # the tokens of a text tokenizer
    python recipes/text_translation.py tiny --out /some/folder     # a test run of seconds

An encoder reads the source, and a causal transformer with cross-attention writes the target. The preset translates any
text: `vqzoo translate saved_models/text_translation letter.txt`.

Reference: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762; over discrete codes: Kaiser et al. 2018,
https://arxiv.org/abs/1803.03382
"""

import dataclasses
import os

os.environ.setdefault("VQZOO_QUIET", "1")  # hides TensorFlow's messages between the log lines

import vqzoo  # isort: skip  # noqa: F401
from vqzoo.generation import Generator
from vqzoo.runs import PriorRun
from vqzoo.runs import TextPriorData
from vqzoo.runs import TextPriorSettings
from vqzoo.runs import build_text_prior
from vqzoo.runs import network_of
from vqzoo.runs import run_recipe


@dataclasses.dataclass(frozen=True)
class Config(TextPriorSettings):
    # Data
    data: str = ""  # table of pairs, TMX, or folder of gettext catalogues; empty: catalogues of installed packages
    source: str = ""  # column or language of what is translated; empty: the first column, English
    target: str = ""  # column or language of its translation; empty: the second column, Spanish
    out: str = "saved_models/text_translation"
    # Losses
    label_smoothing: float = 0.1
    # Samples
    beams: int = 4  # beginnings that are continued side by side; 1: always the likeliest piece
    length_penalty: float = 0.6  # favours longer translations


TINY = {"pieces": 400, "width": 32, "depth": 1, "encoder_depth": 1, "heads": 2, "batch_size": 16, "epochs": 2}
TINY |= {"steps_per_epoch": 15, "length": 24, "validation_examples": 16, "learning_rate": 3e-3, "average_decay": 0.9}
GPU = {"pieces": 16000, "width": 512, "depth": 6, "encoder_depth": 6, "heads": 8, "batch_size": 1024, "epochs": 60}
GPU |= {"steps_per_epoch": 1000, "average_decay": 0.9998, "precision": "mixed_bfloat16"}
VARIANTS = {
    "default": Config(),
    "tiny": Config(**TINY, out="saved_models/text_translation_tiny"),
    "gpu": Config(**GPU),
}
OF_NETWORK = ("kind", "width", "depth", "encoder_depth", "heads", "pieces", "length", "tokenizer")


def main(config):
    start = Generator.from_preset(config.init) if config.init else None
    if start is not None:
        config = dataclasses.replace(config, **network_of(start.prior))
    search = {"beams": config.beams, "length_penalty": config.length_penalty}
    sampling = search if config.beams > 1 and config.kind == "autoregressive" else {"temperature": 0.0}
    run = PriorRun(config, "text_translation", TextPriorData(config, paired=True), sampling, start)
    run.finish(run.fit(build_text_prior))


if __name__ == "__main__":
    run_recipe(main, VARIANTS, replaced={"init": OF_NETWORK})
