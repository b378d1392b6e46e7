"""Every quantizer, network, tokenizer, prior and trainer once, with a tiny constructor and an input shape."""

import functools
from typing import Any
from typing import NamedTuple

import keras
import numpy as np

import vqzoo
from vqzoo.losses import l1_loss
from vqzoo.losses import l2_loss
from vqzoo.networks import audio
from vqzoo.networks import discriminators
from vqzoo.networks import image
from vqzoo.networks import text
from vqzoo.networks.normalization import FastGroupNormalization
from vqzoo.networks.normalization import GroupNormalizationSwish


class Entry(NamedTuple):
    """One line of the table."""

    name: str
    make: Any  # () -> layer or model
    shape: tuple  # of one input with its batch axis
    dynamic: tuple  # the same with None where any size may come
    grid: tuple = (3, 4, 5)  # of a quantizer's tokens, with its batch axis
    ids: int = 0  # where the input are ids of pieces, how many of those there are; 0 is the end piece
    codes: tuple = ()  # where the input are tokens, the sizes of their codebooks

    @property
    def dtype(self):
        return "int32" if self.ids or self.codes else "float32"

    def built(self):
        thing = self.make()
        if not thing.built:
            thing.build(self.dynamic)
        return thing

    def inputs(self, seed=0):
        if self.ids:
            return sentences(self.shape, self.ids, seed)
        if self.codes:
            rng = np.random.default_rng(seed)
            return np.stack([rng.integers(0, k, self.shape[:-1]) for k in self.codes], axis=-1).astype("int32")
        return np.random.default_rng(seed).uniform(-1.0, 1.0, self.shape).astype("float32")


def sentences(shape, pieces, seed):
    """Ids in rows that end in the end piece, each earlier than the one before, and padding of it."""
    ids = np.random.default_rng(seed).integers(1, pieces, shape)
    for i, row in enumerate(ids):
        row[max(0, len(row) - 1 - 4 * i) :] = 0
    return ids.astype("int32")


LATENTS, ANY_LATENTS = (3, 4, 5, 8), (None, None, None, 8)
FRAMES, ANY_FRAMES = (2, 9, 8), (None, None, 8)
WAVES, ANY_WAVES = (2, 347, 2), (None, None, 2)
SOUNDS, ANY_SOUNDS = (2, 1003, 1), (None, None, 1)
IMAGES, ANY_IMAGES = (2, 13, 10, 3), (None, None, None, 3)
IDS, ANY_IDS = (2, 13), (None, None)
TOKENS, ANY_TOKENS = (4, 2, 3, 2), (None, 2, 3, 2)


def _quantizer(name, make):
    return Entry(name, make, LATENTS, ANY_LATENTS)


def _codes(size):
    return vqzoo.VectorQuantizer(size, keras.initializers.RandomNormal(seed=size))


def _levels(first, *others, **options):
    levels = [vqzoo.EMAVectorQuantizer(first, keras.initializers.RandomNormal(seed=1)), *map(_codes, others)]
    return vqzoo.quantizers.ResidualQuantizer(levels, **options)


QUANTIZERS = [
    _quantizer("BinarySphericalQuantizer", lambda: vqzoo.quantizers.BinarySphericalQuantizer(8)),
    _quantizer("FiniteScalarQuantizer", lambda: vqzoo.quantizers.FiniteScalarQuantizer((5, 4, 3, 3, 2, 2, 2, 2))),
    _quantizer("LookupFreeQuantizer", lambda: vqzoo.quantizers.LookupFreeQuantizer(8)),
    _quantizer(
        "CosineVectorQuantizer", lambda: vqzoo.quantizers.CosineVectorQuantizer(16, kmeans_steps=2, restart_below=0.05)
    ),
    _quantizer(
        "GumbelQuantizer",
        lambda: vqzoo.quantizers.GumbelQuantizer(
            16, 6, keras.optimizers.schedules.CosineDecay(1.0, 10, alpha=0.1), seed=1
        ),
    ),
    _quantizer("IndexPropagationQuantizer", lambda: vqzoo.quantizers.IndexPropagationQuantizer(16)),
    _quantizer(
        "ProjectedQuantizer",
        lambda: vqzoo.quantizers.ProjectedQuantizer(vqzoo.quantizers.CosineVectorQuantizer(16), 4),
    ),
    _quantizer("SimVectorQuantizer", lambda: vqzoo.quantizers.SimVectorQuantizer(16)),
    _quantizer("VectorQuantizer", lambda: vqzoo.VectorQuantizer(16, keras.initializers.RandomNormal(seed=1))),
    _quantizer("EMAVectorQuantizer", lambda: vqzoo.EMAVectorQuantizer(16, keras.initializers.RandomNormal(seed=1))),
    _quantizer(
        "GaussianQuantizer",
        lambda: vqzoo.quantizers.GaussianQuantizer(
            vqzoo.EMAVectorQuantizer(16, keras.initializers.RandomNormal(seed=1)), 6
        ),
    ),
    _quantizer("GroupedQuantizer", lambda: vqzoo.quantizers.GroupedQuantizer([_levels(16, 8), _codes(12)])),
    _quantizer(
        "MultiScaleResidualQuantizer",
        lambda: vqzoo.quantizers.MultiScaleResidualQuantizer(_codes(16), [1, (2, 3), (4, 5)]),
    )._replace(grid=(3, 1 + 6 + 20)),
    _quantizer("ResidualQuantizer", lambda: _levels(16, 8, 12, dropout=0.5, seed=0)),
    _quantizer("StartupQuantizer", lambda: vqzoo.quantizers.StartupQuantizer(_levels(16, 8), 0, 2, seed=0)),
    _quantizer(
        "LatentPriorQuantizer",
        lambda: vqzoo.quantizers.LatentPriorQuantizer(_levels(16, 8), 0, 2, width=8, depth=2),
    ),
]

TEXT = {"stride": 2, "filters": 8, "blocks": 2, "embedding_dim": 6}


def autoregressive_text_decoder():
    """As a function of the latents alone: the ids that it is taught by are made of them."""
    latents = keras.Input((None, 8))
    ids = keras.ops.repeat(keras.ops.cast(keras.ops.argmax(latents, -1), "int32"), 2, axis=1)
    decoder = text.AutoregressiveTextDecoder(20, end=0, stride=2, filters=8, depth=1, heads=2, embedding_dim=6)
    return keras.Model(latents, decoder(latents, ids))


SPECTROGRAM = {"frame_length": 64, "hop_length": 16, "time_stride": 2, "filters": 8, "blocks": 2}


def multi_period_discriminator(channels=2):
    return discriminators.multi_period_discriminator(channels, periods=(2, 3), filters=1)


def multi_resolution_discriminator(channels=2):
    return discriminators.multi_resolution_discriminator(channels, (64,), ((0.0, 0.4), (0.4, 1.0)), filters=2)


NETWORKS = [
    Entry("Transformer", lambda: vqzoo.networks.Transformer(2, 2, causal=True), FRAMES, ANY_FRAMES),
    Entry("TransformerBlock", lambda: vqzoo.networks.TransformerBlock(2, 16), FRAMES, ANY_FRAMES),
    Entry("convolutional_encoder", lambda: image.convolutional_encoder(8, filters=8, blocks=1), IMAGES, ANY_IMAGES),
    Entry("convolutional_decoder", lambda: image.convolutional_decoder(8, filters=8, blocks=1), LATENTS, ANY_LATENTS),
    Entry("dense_encoder", lambda: image.dense_encoder(8, (6, 6, 1), 4, (16,)), (2, 6, 6, 1), (None, 6, 6, 1)),
    Entry("dense_decoder", lambda: image.dense_decoder(8, (6, 6, 1), 4, (16,)), (2, 4, 8), (None, 4, 8)),
    Entry(
        "residual_encoder",
        lambda: image.residual_encoder(8, filters=8, multipliers=(1, 2), blocks=1, attention=(1,)),
        IMAGES,
        ANY_IMAGES,
    ),
    Entry(
        "residual_decoder",
        lambda: image.residual_decoder(8, filters=8, multipliers=(1, 2), blocks=1, attention=(1,)),
        LATENTS,
        ANY_LATENTS,
    ),
    Entry("UpsampleConv2D", lambda: image.UpsampleConv2D(6), LATENTS, ANY_LATENTS),
    Entry("UpsampleNearest2D", image.UpsampleNearest2D, LATENTS, ANY_LATENTS),
    Entry("FastGroupNormalization", lambda: FastGroupNormalization(4, epsilon=1e-6), LATENTS, ANY_LATENTS),
    Entry("GroupNormalizationSwish", lambda: GroupNormalizationSwish(4, epsilon=1e-6), LATENTS, ANY_LATENTS),
    Entry("LogMel", lambda: audio.LogMel(8000, 64, 16, 8), WAVES, ANY_WAVES),
    Entry("TimeConv1D", lambda: audio.TimeConv1D(6, 4, 2), FRAMES, ANY_FRAMES),
    Entry("UpsampleConv1D", lambda: audio.UpsampleConv1D(6, 3), FRAMES, ANY_FRAMES),
    Entry("ConvNeXtBlock1D", audio.ConvNeXtBlock1D, FRAMES, ANY_FRAMES),
    Entry("SelfAttentionBlock1D", lambda: audio.SelfAttentionBlock1D(2), FRAMES, ANY_FRAMES),
    Entry("InverseSTFTHead", lambda: audio.InverseSTFTHead(32, 8, 2), FRAMES, ANY_FRAMES),
    Entry(
        "spectrogram_encoder",
        lambda: audio.spectrogram_encoder(8, 8000, 2, **SPECTROGRAM, bands=8, attention=1),
        WAVES,
        ANY_WAVES,
    ),
    Entry(
        "spectrogram_decoder",
        lambda: audio.spectrogram_decoder(8, 2, **SPECTROGRAM, attention=1),
        FRAMES,
        ANY_FRAMES,
    ),
    Entry("FoldPeriod", lambda: discriminators.FoldPeriod(3), WAVES, ANY_WAVES),
    Entry("ComplexSpectrum", lambda: discriminators.ComplexSpectrum(64, 16), WAVES, ANY_WAVES),
    Entry("multi_period_discriminator", multi_period_discriminator, WAVES, ANY_WAVES),
    Entry("multi_resolution_discriminator", multi_resolution_discriminator, WAVES, ANY_WAVES),
    Entry(
        "combined_discriminator",
        lambda: discriminators.combined_discriminator([multi_period_discriminator(), multi_resolution_discriminator()]),
        WAVES,
        ANY_WAVES,
    ),
    Entry("RealPieces", lambda: text.RealPieces(0, 2), IDS, ANY_IDS, ids=20),
    Entry("MaskedTransformer", lambda: text.MaskedTransformer(2, 2), FRAMES, ANY_FRAMES),
    Entry("WordDropout", lambda: text.WordDropout(0.5, seed=0), FRAMES, ANY_FRAMES),
    Entry("text_encoder", lambda: text.text_encoder(20, 8, end=0, **TEXT), IDS, ANY_IDS, ids=20),
    Entry("text_decoder", lambda: text.text_decoder(20, 8, **TEXT), FRAMES, ANY_FRAMES),
    Entry("AutoregressiveTextDecoder", autoregressive_text_decoder, FRAMES, ANY_FRAMES),
    Entry("text_discriminator", lambda: discriminators.text_discriminator(8, filters=6, depth=2), FRAMES, ANY_FRAMES),
    Entry("patch_discriminator", lambda: discriminators.patch_discriminator(filters=8, depth=1), IMAGES, ANY_IMAGES),
]


def vqvae():
    return vqzoo.image_vqvae(filters=8, blocks=1, latent_dim=4, quantizer=_quantizer_of_tokenizers())


def vqvae_dense():
    return vqzoo.tokenizers.image_vqvae_dense((6, 6, 1), 4, (16,), 4, _quantizer_of_tokenizers())


def vqgan():
    network = {"filters": 8, "multipliers": (1, 2), "blocks": 1, "attention": (1,), "latent_dim": 4}
    return vqzoo.image_vqgan(**network, quantizer=_quantizer_of_tokenizers())


def _quantizer_of_tokenizers():
    return vqzoo.VectorQuantizer(16, keras.initializers.RandomNormal(stddev=0.05, seed=1), name="quantizer")


def audio_quantizer():
    codebooks = [
        vqzoo.EMAVectorQuantizer(16, keras.initializers.RandomNormal(stddev=0.5, seed=seed)) for seed in range(2)
    ]
    return vqzoo.quantizers.ResidualQuantizer(codebooks, 0.5, seed=0, name="quantizer")


def spectrogram_vqvae():
    return vqzoo.spectrogram_vqvae(8000, bands=8, latent_dim=4, quantizer=audio_quantizer(), **SPECTROGRAM)


def spectrogram_vqgan():
    network = {**SPECTROGRAM, "time_stride": 1, "attention": 1}
    return vqzoo.spectrogram_vqgan(8000, bands=8, latent_dim=4, quantizer=audio_quantizer(), **network)


def stereo():
    encoder = audio.spectrogram_encoder(4, 8000, 2, bands=8, **SPECTROGRAM)
    decoder = audio.spectrogram_decoder(4, 2, **SPECTROGRAM)
    return vqzoo.AudioTokenizer(encoder, _quantizer_of_tokenizers(), decoder, 8000)


def gaussian():
    quantizer = vqzoo.quantizers.GaussianQuantizer(_quantizer_of_tokenizers(), 4, name="gaussian")
    return vqzoo.image_vqvae(filters=8, blocks=1, latent_dim=4, quantizer=quantizer)


@functools.cache
def pieces():
    return vqzoo.data.Pieces.train(["the cat sat on the mat", "a dog and a cat"], size=300, exact=False)


def text_quantizer():
    return vqzoo.quantizers.StartupQuantizer(audio_quantizer(), 0, 2, seed=0, name="quantizer")


def text_vqvae():
    return vqzoo.text_vqvae(pieces(), latent_dim=4, quantizer=text_quantizer(), **TEXT)


def text_vqgan():
    return vqzoo.text_vqgan(pieces(), latent_dim=4, quantizer=audio_quantizer(), attention=1, **TEXT)


def autoregressive():
    network = {"stride": 2, "filters": 8, "embedding_dim": 6}
    decoder = text.AutoregressiveTextDecoder(pieces().size, end=0, depth=1, heads=2, max_length=64, **network)
    encoder = text.text_encoder(pieces().size, 4, end=0, blocks=1, **network)
    return vqzoo.TextTokenizer(pieces(), encoder, audio_quantizer(), decoder)


TOKENIZERS = [
    Entry("image_vqvae", vqvae, IMAGES, ANY_IMAGES),
    Entry("image_vqvae_dense", vqvae_dense, (2, 6, 6, 1), (None, 6, 6, 1)),
    Entry("image_vqgan", vqgan, IMAGES, ANY_IMAGES),
    Entry("ImageTokenizer", gaussian, IMAGES, ANY_IMAGES),
    Entry("spectrogram_vqvae", spectrogram_vqvae, SOUNDS, ANY_SOUNDS),
    Entry("spectrogram_vqgan", spectrogram_vqgan, SOUNDS, ANY_SOUNDS),
    Entry("AudioTokenizer", stereo, WAVES, ANY_WAVES),
    Entry("text_vqvae", text_vqvae, IDS, ANY_IDS, ids=270),
    Entry("text_vqgan", text_vqgan, IDS, ANY_IDS, ids=270),
    Entry("TextTokenizer", autoregressive, IDS, ANY_IDS, ids=270),
]


def _prior(kind, depth=2, **options):
    space = vqzoo.priors.TokenSpace({"label": 3, "image": (8, 6)})
    transformer = vqzoo.networks.Transformer(depth, 2, causal=kind is vqzoo.AutoregressivePrior)
    return kind(space, transformer, "image", 8, (2, 3), seed=0, **options)


def autoregressive_prior():
    return _prior(vqzoo.AutoregressivePrior, pattern=vqzoo.priors.DelayPattern(), learnt_positions=7)


PRIORS = [
    Entry("AutoregressivePrior", autoregressive_prior, TOKENS, ANY_TOKENS, codes=(8, 6)),
    Entry("MaskedPrior", lambda: _prior(vqzoo.MaskedPrior), TOKENS, ANY_TOKENS, codes=(8, 6)),
]


def reconstruction_trainer():
    weights = {"l2": 1.0, "codebook": 1.0, "commitment": 0.25}
    return vqzoo.ReconstructionTrainer(vqvae(), {"l2": l2_loss}, weights)


def adversarial_trainer(**kwargs):
    weights = {"l1": 1.0, "codebook": 1.0, "commitment": 0.25}
    weights |= {"feature_matching": 1.0, "adversarial": 0.5, "discriminator": 1.0}
    discriminator = discriminators.patch_discriminator(filters=8, depth=1)
    kwargs = {"discriminator_start": 2, "discriminator_warmup": 2, **kwargs}
    return vqzoo.AdversarialTrainer(vqvae(), discriminator, {"l1": l1_loss}, weights, **kwargs)


TRAINERS = [
    Entry(
        "PriorTrainer",
        lambda: vqzoo.PriorTrainer(_prior(vqzoo.AutoregressivePrior, depth=1)),
        TOKENS,
        ANY_TOKENS,
        codes=(8, 6),
    ),
    Entry("ReconstructionTrainer", reconstruction_trainer, (4, 12, 12, 3), (None, 12, 12, 3)),
    Entry("AdversarialTrainer", adversarial_trainer, (4, 12, 12, 3), (None, 12, 12, 3)),
]

ALL = [*QUANTIZERS, *NETWORKS, *TOKENIZERS, *PRIORS, *TRAINERS]


def compiled(trainer):
    """A trainer with its optimizers."""
    optimizers = [keras.optimizers.Adam(1e-3)]
    if isinstance(trainer, vqzoo.AdversarialTrainer):
        optimizers.append(keras.optimizers.Adam(2e-3, beta_1=0.5))
    trainer.compile(*optimizers)
    return trainer


def stirred(thing):
    """Other values in every weight than its initializer gave: a file that lost them would come back with the same."""
    rng = np.random.default_rng(0)
    for variable in thing.weights:  # not `variables`: of its random generators Keras keeps no state
        values = keras.ops.convert_to_numpy(variable)
        if "float" in variable.dtype:
            # Upwards alone, so that counts and variances stay positive.
            variable.assign(values + rng.uniform(0.01, 0.1, values.shape))
        else:
            variable.assign(values + np.ones_like(values))
    return thing


def decoded(tokenizer, tokens, signal):
    """What tokens decode to, cut to the `Reconstruction.signal`; and what that says, in the same form."""
    length = signal.shape[1]
    if tokenizer.modality == "audio":
        return tokenizer.decode(tokens, length=length), signal
    if tokenizer.modality == "image":
        return tokenizer.decode(tokens, size=signal.shape[1:3]), signal
    ids = tokenizer.decode_ids(tokens)
    if tokenizer.is_autoregressive:  # what it was taught by is not what it said
        signal = tokenizer.decoder(tokenizer.quantizer.decode(tokens), ids)
    return ids[:, :length], tokenizer.ids_of(signal)[:, :length]


def flat(outputs):
    """All tensors of a result as numpy arrays."""
    return [keras.ops.convert_to_numpy(x) for x in keras.tree.flatten(outputs)]


def projection(outputs):
    """A scalar whose gradient every tensor of floats in a result has a part in: their weighted sum."""
    rng = np.random.default_rng(1)
    total = 0.0
    for tensor in keras.tree.flatten(outputs):
        if "float" in keras.backend.standardize_dtype(tensor.dtype):
            weights = keras.ops.convert_to_tensor(rng.normal(size=tuple(tensor.shape)), tensor.dtype)
            total = total + keras.ops.sum(tensor * weights)
    return total
