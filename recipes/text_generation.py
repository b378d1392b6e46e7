"""Trains a prior that generates text, from its pieces or from the tokens of a text tokenizer.

    python recipes/text_generation.py                              # English prose of docstrings
    python recipes/text_generation.py --data stories.txt           # one text per line; or a folder of .txt
    python recipes/text_generation.py --tokenizer text-english     # half as many steps, each a token of the tokenizer
    python recipes/text_generation.py tiny --out /some/folder      # a test run of seconds

The preset writes new texts and continues others:
`vqzoo generate saved_models/text_generation --prompt "Returns the" --count 5`.

Reference: Radford et al. 2018, https://openai.com/research/language-unsupervised; over discrete codes: Kaiser et al.
2018, https://arxiv.org/abs/1803.03382; nucleus sampling: Holtzman et al. 2019, https://arxiv.org/abs/1904.09751
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
    data: str = ""  # text file, one text per line, or folder of files, recursive; empty: prose of docstrings
    pieces: int = 4000  # size of the subword vocabulary
    out: str = "saved_models/text_generation"
    # Network
    encoder_depth: int = 0  # nothing is read besides the text itself
    # Training
    epochs: int = 5
    steps_per_epoch: int = 300
    # Samples
    temperature: float = 0.8  # sampling temperature; below 1 texts are more typical and less diverse
    top_p: float = 0.95  # nucleus sampling: total probability of the candidate tokens


TINY = {"pieces": 400, "width": 32, "depth": 1, "heads": 2, "batch_size": 16, "epochs": 2, "steps_per_epoch": 15}
TINY |= {"length": 24, "validation_examples": 16, "learning_rate": 3e-3, "average_decay": 0.9}
GPU = {"pieces": 16000, "width": 768, "depth": 12, "heads": 12, "length": 512, "batch_size": 256, "epochs": 50}
GPU |= {"steps_per_epoch": 1000, "learning_rate": 3e-4, "average_decay": 0.9998, "precision": "mixed_bfloat16"}
VARIANTS = {
    "default": Config(),
    "tiny": Config(**TINY, out="saved_models/text_generation_tiny"),
    "gpu": Config(**GPU),
}
OF_NETWORK = ("kind", "width", "depth", "encoder_depth", "heads", "pieces", "length", "tokenizer")


def main(config):
    start = Generator.from_preset(config.init) if config.init else None
    if start is not None:
        config = dataclasses.replace(config, **network_of(start.prior))
    sampling = {"temperature": config.temperature, "top_p": config.top_p}
    run = PriorRun(config, "text_generation", TextPriorData(config), sampling, start)
    run.finish(run.fit(build_text_prior))


if __name__ == "__main__":
    run_recipe(main, VARIANTS, replaced={"init": OF_NETWORK})
