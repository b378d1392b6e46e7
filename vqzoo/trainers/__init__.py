"""`keras.Model`s whose `train_step` fits a tokenizer, and what watches them."""

from vqzoo.trainers.adversarial import AdversarialTrainer
from vqzoo.trainers.checkpoints import Checkpoints
from vqzoo.trainers.checkpoints import Position
from vqzoo.trainers.generated import GeneratedPictures
from vqzoo.trainers.generated import picture_rows
from vqzoo.trainers.generated import save_picture_rows
from vqzoo.trainers.logs import RunLog
from vqzoo.trainers.logs import StopOnNonFinite
from vqzoo.trainers.logs import read_log
from vqzoo.trainers.pictures import Pictures
from vqzoo.trainers.pictures import reconstruction_grid
from vqzoo.trainers.pictures import save_loss_curves
from vqzoo.trainers.pictures import save_reconstructions
from vqzoo.trainers.pictures import save_usage_histogram
from vqzoo.trainers.prior import PriorTrainer
from vqzoo.trainers.progress import Progress
from vqzoo.trainers.reconstruction import ReconstructionTrainer
from vqzoo.trainers.schedules import warmup_cosine
from vqzoo.trainers.sentences import Sentences
from vqzoo.trainers.sentences import save_sentences
from vqzoo.trainers.sounds import Sounds
from vqzoo.trainers.sounds import save_sounds
from vqzoo.trainers.sounds import save_spectrograms
from vqzoo.trainers.strategy import check_batch_size
from vqzoo.trainers.strategy import distributed_dataset
from vqzoo.trainers.strategy import is_chief
from vqzoo.trainers.strategy import strategy_named
from vqzoo.trainers.strategy import worker_values
from vqzoo.trainers.trainer import Trainer

__all__ = [
    "AdversarialTrainer",
    "Checkpoints",
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
    "picture_rows",
    "read_log",
    "reconstruction_grid",
    "save_loss_curves",
    "save_picture_rows",
    "save_reconstructions",
    "save_sentences",
    "save_sounds",
    "save_spectrograms",
    "save_usage_histogram",
    "strategy_named",
    "warmup_cosine",
    "worker_values",
]
