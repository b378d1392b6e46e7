"""Trains a VQGAN audio tokenizer: clearer than the VQ-VAE, at a higher cost and with a less stable training.

    pip install -e ".[samples]"
    python recipes/audio_vqgan.py                                   # a minute of recorded speech
    python recipes/audio_vqgan.py --data ~/recordings --sample_rate 24000
    python recipes/audio_vqgan.py --init saved_models/audio_vqvae --freeze_encoder     # trains the decoder of a VQ-VAE
    python recipes/audio_vqgan.py large --data ~/recordings --strategy mirrored        # the published sizes, on GPUs
    python recipes/audio_vqgan.py tiny --out /some/folder           # a test run of seconds

Reference: Zeghidour et al. 2021, https://arxiv.org/abs/2107.03312; Kumar et al. 2023, https://arxiv.org/abs/2306.06546
"""

import dataclasses
import os

os.environ.setdefault("VQZOO_QUIET", "1")  # hides TensorFlow's messages between the log lines

import vqzoo  # isort: skip
import keras

from vqzoo.networks.discriminators import combined_discriminator
from vqzoo.networks.discriminators import multi_period_discriminator
from vqzoo.networks.discriminators import multi_resolution_discriminator
from vqzoo.runs import TokenizerRun
from vqzoo.runs import TokenizerSettings
from vqzoo.runs import run_recipe
from vqzoo.trainers import warmup_cosine


@dataclasses.dataclass(frozen=True)
class Config(TokenizerSettings):
    # Data
    data: str = ""  # recording or folder of recordings, recursive; empty: recorded speech, see docs/guide/audio.md
    validation_share: float = 0.1
    out: str = "saved_models/audio_vqgan"
    freeze_encoder: bool = False  # train only the decoder: keeps the tokens of `init`, and is more stable
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
    periods: tuple[int, ...] = (2, 3, 5, 7, 11)  # samples, periods of the waveform discriminators
    resolutions: tuple[int, ...] = (2048, 1024, 512)  # samples, frame lengths of the spectrum discriminators
    period_filters: int = 2  # filters of the first convolution for waveforms; 32 in the paper
    resolution_filters: int = 8  # filters of the convolutions for spectra; 32 in the paper
    discriminator_start: float = 0.5  # fraction of the steps before the discriminators are used
    discriminator_warmup: float = 0.1  # fraction of the steps over which their weight increases from 0
    adaptive: bool = True  # adversarial weights are relative to the gradient of the signal losses, not plain factors
    adversarial_weight: float = 0.3  # weight of the adversarial loss
    feature_matching_weight: float = 0.4  # weight of the distance of the discriminators' features
    # Training
    batch_size: int = 16
    steps_per_epoch: int = 40
    validation_clips: int = 32  # number of clips for the evaluation
    discriminator_learning_rate: float = 3e-4  # constant, no schedule

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.discriminator_start <= 1:
            raise ValueError(f"--discriminator_start must be in [0, 1]. Received: {self.discriminator_start}")
        if self.freeze_encoder and not self.init:
            raise ValueError("--freeze_encoder needs a preset: give one with --init")


SIZES = ("frame_length", "hop_length", "bands", "time_stride", "filters", "blocks", "attention", "latent_dim")
NETWORKS = (*SIZES, "codebooks", "codebook_size", "quantizer_dropout")  # settings that a preset in `init` replaces
CODEBOOK = {"decay": 0.97, "kmeans_steps": 30, "restart_below": 0.1}  # unused codes restart soon
FRAMES, BANDS = (128, 256, 512, 1024, 2048), (20, 40, 80, 160, 320)  # samples and mel bands of the loss spectra
LARGE = {"filters": 512, "blocks": 8, "latent_dim": 256, "period_filters": 32, "resolution_filters": 32}
LARGE |= {"discriminator_start": 0.0, "discriminator_warmup": 0.01, "learning_rate": 2e-4, "average_decay": 0.9999}
TINY = {"seconds": 0.5, "filters": 32, "blocks": 1, "codebooks": 2, "codebook_size": 64, "batch_size": 4, "epochs": 2}
TINY |= {"periods": (2, 3), "resolutions": (512,), "period_filters": 1, "resolution_filters": 2, "average_decay": 0.9}
VARIANTS = {
    "default": Config(),
    "large": Config(**LARGE, epochs=100, steps_per_epoch=4_000, out="saved_models/audio_vqgan_large"),
    "tiny": Config(**TINY, steps_per_epoch=10, validation_clips=8, out="saved_models/audio_vqgan_tiny"),
}


def build(context):
    config = context.settings
    tokenizer = build_tokenizer(config)
    tokenizer.encoder.trainable = tokenizer.quantizer.trainable = not config.freeze_encoder
    opponents = [
        multi_period_discriminator(config.channels, config.periods, config.period_filters),
        multi_resolution_discriminator(config.channels, config.resolutions, filters=config.resolution_filters),
    ]
    losses = {
        "mel": vqzoo.losses.MelLoss(config.sample_rate, FRAMES, BANDS),
        "stft": vqzoo.losses.STFTLoss(FRAMES[-3:], [frame // 4 for frame in FRAMES[-3:]], FRAMES[-3:]),
        "level": vqzoo.losses.LevelLoss(config.sample_rate),
        "waveform": vqzoo.losses.l1_loss,
    }
    weights = dict.fromkeys((*tokenizer.quantizer.loss_names, "discriminator"), 1.0)
    weights |= {x: getattr(config, f"{x}_weight") for x in (*losses, "commitment", "adversarial", "feature_matching")}
    steps = config.epochs * config.steps_per_epoch
    options = {name: int(getattr(config, name) * steps) for name in ("discriminator_start", "discriminator_warmup")}
    options |= {"adaptive": config.adaptive, "average_decay": config.average_decay}
    trainer = vqzoo.AdversarialTrainer(tokenizer, combined_discriminator(opponents), losses, weights, **options)
    trainer.build((None, round(config.seconds * config.sample_rate), config.channels))
    rate = warmup_cosine(config.learning_rate, steps, config.warmup)
    trainer.compile(
        keras.optimizers.Adam(rate, beta_1=0.8, beta_2=0.99, global_clipnorm=1.0),
        keras.optimizers.Adam(config.discriminator_learning_rate, beta_1=0.8, beta_2=0.99),
    )
    return trainer


def build_tokenizer(config):
    if config.init:
        return vqzoo.AudioTokenizer.from_preset(config.init, config.precision)
    levels = [vqzoo.EMAVectorQuantizer(config.codebook_size, **CODEBOOK) for _ in range(config.codebooks)]
    quantizer = vqzoo.quantizers.ResidualQuantizer(levels, config.quantizer_dropout, name="quantizer")
    sizes = {name: getattr(config, name) for name in ("sample_rate", "channels", *SIZES)}
    return vqzoo.spectrogram_vqvae(quantizer=quantizer, name="audio_vqgan", **sizes)


def main(config):
    run = TokenizerRun(config, "audio", "audio_vqgan", NETWORKS)
    trainer = run.fit(build)
    run.finish(trainer, marks={"discriminators start": trainer.discriminator_start})


if __name__ == "__main__":
    run_recipe(main, VARIANTS, replaced={"init": NETWORKS})
