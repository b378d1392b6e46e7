"""Trains a VQ-VAE audio tokenizer: waveforms to a few kilobits per second, and back.

    pip install -e ".[samples]"
    python recipes/audio_vqvae.py                                   # a minute of recorded speech
    python recipes/audio_vqvae.py --data ~/recordings --sample_rate 24000
    python recipes/audio_vqvae.py tiny --out /some/folder           # a test run of seconds

Reference: Zeghidour et al. 2021, https://arxiv.org/abs/2107.03312; Siuzdak 2023, https://arxiv.org/abs/2306.00814
"""

import dataclasses
import os

os.environ.setdefault("VQZOO_QUIET", "1")  # hides TensorFlow's messages between the log lines

import vqzoo  # isort: skip
import keras

from vqzoo.runs import TokenizerRun
from vqzoo.runs import TokenizerSettings
from vqzoo.runs import run_recipe
from vqzoo.trainers import warmup_cosine


@dataclasses.dataclass(frozen=True)
class Config(TokenizerSettings):
    # Data
    data: str = ""  # recording or folder of recordings, recursive; empty: recorded speech, see docs/guide/audio.md
    validation_share: float = 0.1
    out: str = "saved_models/audio_vqvae"
    sample_rate: int = 16000  # Hz
    channels: int = 1  # 1 mono, 2 stereo
    seconds: float = 1.0  # length of a training clip
    normalize: str = "peak"  # peak or rms, normalization of training clips before `gain`; empty: none
    gain: tuple[float, ...] = (-30.0, 0.0)  # dB, range of the random gain, which includes quiet recordings
    noise: tuple[float, ...] = ()  # dB, range of the signal-to-noise ratio of added noise; empty: none
    polarity: bool = False  # invert the polarity of half of the clips
    # Networks
    frame_length: int = 1024  # samples of a frame
    hop_length: int = 256  # samples between frames
    bands: int = 80  # mel bands
    time_stride: int = 1  # frames per position of tokens
    filters: int = 256  # channels of the blocks
    blocks: int = 4  # blocks of the encoder and of the decoder
    attention: int = 0  # self-attention blocks in each of the two
    latent_dim: int = 64  # width of a code
    codebooks: int = 4  # tokens per position
    codebook_size: int = 1024  # codes of each codebook
    quantizer_dropout: float = 0.25  # fraction of training clips that use fewer codebooks
    # Losses
    mel_weight: float = 1.0  # weight of the distance of log-mel spectra
    stft_weight: float = 0.5  # weight of the distance of spectra
    level_weight: float = 2.0  # weight of the distance of levels; without it reconstructions are too quiet
    waveform_weight: float = 0.0  # weight of the absolute error of the waveform; the encoder has no phases
    commitment_weight: float = 0.25  # weight of the commitment loss
    # Training
    batch_size: int = 16
    steps_per_epoch: int = 60
    validation_clips: int = 32  # number of clips for the evaluation


SIZES = ("frame_length", "hop_length", "bands", "time_stride", "filters", "blocks", "attention", "latent_dim")
NETWORKS = (*SIZES, "codebooks", "codebook_size", "quantizer_dropout")  # settings that a preset in `init` replaces
CODEBOOK = {"decay": 0.97, "kmeans_steps": 30, "restart_below": 0.1}  # unused codes restart soon
FRAMES, BANDS = (128, 256, 512, 1024, 2048), (20, 40, 80, 160, 320)  # samples and mel bands of the loss spectra
TINY = {"seconds": 0.5, "filters": 32, "blocks": 1, "codebooks": 2, "codebook_size": 64, "batch_size": 4, "epochs": 2}
VARIANTS = {
    "default": Config(),
    "tiny": Config(
        **TINY, steps_per_epoch=10, validation_clips=8, average_decay=0.9, out="saved_models/audio_vqvae_tiny"
    ),
}


def build(context):
    config = context.settings
    tokenizer = build_tokenizer(config)
    losses = {
        "mel": vqzoo.losses.MelLoss(config.sample_rate, FRAMES, BANDS),
        "stft": vqzoo.losses.STFTLoss(FRAMES[-3:], [frame // 4 for frame in FRAMES[-3:]], FRAMES[-3:]),
        "level": vqzoo.losses.LevelLoss(config.sample_rate),
        "waveform": vqzoo.losses.l1_loss,
    }
    weights = dict.fromkeys(tokenizer.quantizer.loss_names, 1.0)  # a preset may have another quantizer
    weights |= {name: getattr(config, f"{name}_weight") for name in (*losses, "commitment")}
    trainer = vqzoo.ReconstructionTrainer(tokenizer, losses, weights, config.average_decay)
    trainer.build((None, round(config.seconds * config.sample_rate), config.channels))
    steps = config.epochs * config.steps_per_epoch
    rate = warmup_cosine(config.learning_rate, steps, config.warmup)
    trainer.compile(keras.optimizers.Adam(rate, beta_2=0.99, global_clipnorm=1.0))
    return trainer


def build_tokenizer(config):
    if config.init:
        return vqzoo.AudioTokenizer.from_preset(config.init, config.precision)
    levels = [vqzoo.EMAVectorQuantizer(config.codebook_size, **CODEBOOK) for _ in range(config.codebooks)]
    quantizer = vqzoo.quantizers.ResidualQuantizer(levels, config.quantizer_dropout, name="quantizer")
    sizes = {name: getattr(config, name) for name in ("sample_rate", "channels", *SIZES)}
    return vqzoo.spectrogram_vqvae(quantizer=quantizer, name="audio_vqvae", **sizes)


def main(config):
    run = TokenizerRun(config, "audio", "audio_vqvae", NETWORKS)
    trainer = run.fit(build)
    run.finish(trainer)


if __name__ == "__main__":
    run_recipe(main, VARIANTS, replaced={"init": NETWORKS})
