"""Trainers, `keras.Model`s whose `train_step` fits a tokenizer or a prior, and their callbacks."""

from vqzoo.startup import moved
from vqzoo.trainers.adversarial import AdversarialTrainer
from vqzoo.trainers.callbacks.audio import Sounds
from vqzoo.trainers.callbacks.checkpoints import Checkpoints
from vqzoo.trainers.callbacks.checkpoints import Position
from vqzoo.trainers.callbacks.image import GeneratedPictures
from vqzoo.trainers.callbacks.image import Pictures
from vqzoo.trainers.callbacks.logs import RunLog
from vqzoo.trainers.callbacks.logs import StopOnNonFinite
from vqzoo.trainers.callbacks.logs import read_log
from vqzoo.trainers.callbacks.progress import Progress
from vqzoo.trainers.callbacks.samples import Generated
from vqzoo.trainers.callbacks.text import Sentences
from vqzoo.trainers.prior import PriorTrainer
from vqzoo.trainers.reconstruction import ReconstructionTrainer
from vqzoo.trainers.schedules import warmup_cosine
from vqzoo.trainers.strategy import check_batch_size
from vqzoo.trainers.strategy import distributed_dataset
from vqzoo.trainers.strategy import is_chief
from vqzoo.trainers.strategy import strategy_named
from vqzoo.trainers.strategy import worker_values
from vqzoo.trainers.trainer import Trainer

__all__ = [
    "AdversarialTrainer",
    "Checkpoints",
    "Generated",
    "GeneratedPictures",
    "Pictures",
    "Position",
    "PriorTrainer",
    "Progress",
    "ReconstructionTrainer",
    "RunLog",
    "Sentences",
    "Sounds",
    "StopOnNonFinite",
    "Trainer",
    "check_batch_size",
    "distributed_dataset",
    "is_chief",
    "read_log",
    "strategy_named",
    "warmup_cosine",
    "worker_values",
]

_PLOTS = (
    "picture_rows",
    "reconstruction_grid",
    "save_loss_curves",
    "save_picture_rows",
    "save_reconstructions",
    "save_sentences",
    "save_sounds",
    "save_spectrograms",
    "save_usage_histogram",
)
__getattr__ = moved(__name__, _PLOTS, "vqzoo.plots")
