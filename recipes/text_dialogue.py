"""Trains a prior of dialogue: it generates a reply from the last turns of a conversation.

    python recipes/text_dialogue.py                                # conversations of the extra `samples`
    python recipes/text_dialogue.py --data dialogue.tsv            # columns conversation and text, or prompt and reply
    python recipes/text_dialogue.py --data dialogue.tsv --history 3
    python recipes/text_dialogue.py tiny --out /some/folder        # a test run of seconds

`vqzoo chat saved_models/text_dialogue` talks with the preset. It says what is likely in its data, true or not: the data
have to be free of what it should not say.

Reference: Vinyals, Le 2015, https://arxiv.org/abs/1506.05869
"""

import dataclasses
import os

os.environ.setdefault("VQZOO_QUIET", "1")  # hides TensorFlow's messages between the log lines

import vqzoo  # isort: skip  # noqa: F401
from vqzoo.generation import Generator
from vqzoo.runs import DialoguePriorData
from vqzoo.runs import PriorRun
from vqzoo.runs import TextPriorSettings
from vqzoo.runs import build_text_prior
from vqzoo.runs import network_of
from vqzoo.runs import run_recipe


@dataclasses.dataclass(frozen=True)
class Config(TextPriorSettings):
    # Data
    data: str = ""  # table of conversations: tsv, csv or jsonl; empty: those of the package chatterbot-corpus
    history: int = 3  # turns that are read at most
    length: int = 96  # pieces of a reply, and of what is read, at most; longer ones are left out
    out: str = "saved_models/text_dialogue"
    # Losses
    label_smoothing: float = 0.05
    # Samples
    temperature: float = 0.7  # sampling temperature; below 1 replies are more typical and less diverse
    top_p: float = 0.9  # nucleus sampling: total probability of the candidate tokens


TINY = {"pieces": 400, "width": 32, "depth": 1, "encoder_depth": 1, "heads": 2, "batch_size": 16, "epochs": 2}
TINY |= {
    "steps_per_epoch": 15,
    "length": 48,
    "history": 1,
    "validation_examples": 16,
    "learning_rate": 3e-3,
    "average_decay": 0.9,
}
GPU = {"pieces": 16000, "width": 512, "depth": 6, "encoder_depth": 6, "heads": 8, "batch_size": 1024, "epochs": 60}
GPU |= {"steps_per_epoch": 1000, "average_decay": 0.9998, "precision": "mixed_bfloat16"}
OF_NETWORK = ("kind", "width", "depth", "encoder_depth", "heads", "pieces", "length", "tokenizer")
VARIANTS = {
    "default": Config(),
    "tiny": Config(**TINY, out="saved_models/text_dialogue_tiny"),
    "gpu": Config(**GPU),
}


def main(config):
    start = Generator.from_preset(config.init) if config.init else None
    if start is not None:
        config = dataclasses.replace(config, **network_of(start.prior))
    sampling = {"temperature": config.temperature, "top_p": config.top_p}
    run = PriorRun(config, "text_dialogue", DialoguePriorData(config), sampling, start)
    run.finish(run.fit(build_text_prior))


if __name__ == "__main__":
    run_recipe(main, VARIANTS, replaced={"init": OF_NETWORK})
