"""Encoders and decoders of images: dense, convolutional (van den Oord 2017) and residual (Esser 2021)."""

from vqzoo.networks.image.convolutional import convolutional_decoder
from vqzoo.networks.image.convolutional import convolutional_encoder
from vqzoo.networks.image.dense import dense_decoder
from vqzoo.networks.image.dense import dense_encoder
from vqzoo.networks.image.features import vgg16_features
from vqzoo.networks.image.residual import residual_decoder
from vqzoo.networks.image.residual import residual_encoder
from vqzoo.networks.image.upsample import UpsampleConv2D
from vqzoo.networks.image.upsample import UpsampleNearest2D

__all__ = [
    "UpsampleConv2D",
    "UpsampleNearest2D",
    "convolutional_decoder",
    "convolutional_encoder",
    "dense_decoder",
    "dense_encoder",
    "residual_decoder",
    "residual_encoder",
    "vgg16_features",
]
