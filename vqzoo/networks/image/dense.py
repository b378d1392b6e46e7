"""Fully connected encoder and decoder for images of one fixed size."""

import math

import keras


def dense_encoder(latent_dim, shape=(28, 28, 1), positions=16, hidden=(512, 256)):
    """Builds an encoder of fully connected layers.

    Args:
        latent_dim: int, width of a latent vector.
        shape: tuple (height, width, channels) of the images, pixels. Defaults to (28, 28, 1).
        positions: int, latent vectors per image. Defaults to 16.
        hidden: tuple of ints, units of the hidden layers. Defaults to (512, 256).

    Returns:
        `keras.Model`, images (batch, height, width, channels) to latents (batch, positions, latent_dim).

    Example:
    >>> dense_encoder(64).output_shape
    (None, 16, 64)
    """
    x = images = keras.Input(shape, name="images")
    x = keras.layers.Flatten(name="flatten")(x)
    for i, units in enumerate(hidden):
        x = keras.layers.Dense(units, activation="relu", name=f"dense_{i}")(x)
    x = keras.layers.Dense(positions * latent_dim, name="to_latents")(x)
    latents = keras.layers.Reshape((positions, latent_dim), name="latents")(x)
    return keras.Model(images, latents, name="encoder")


def dense_decoder(latent_dim, shape=(28, 28, 1), positions=16, hidden=(256, 512)):
    """Builds the mirror image of `dense_encoder`.

    Args:
        latent_dim: int, width of a latent vector.
        shape: tuple (height, width, channels) of the images, pixels. Defaults to (28, 28, 1).
        positions: int, latent vectors per image. Defaults to 16.
        hidden: tuple of ints, units of the hidden layers. Defaults to (256, 512).

    Returns:
        `keras.Model`, latents (batch, positions, latent_dim) to float32 images (batch, height, width, channels).

    Example:
    >>> dense_decoder(64).output_shape
    (None, 28, 28, 1)
    """
    x = latents = keras.Input((positions, latent_dim), name="latents")
    x = keras.layers.Flatten(name="flatten")(x)
    for i, units in enumerate(hidden):
        x = keras.layers.Dense(units, activation="relu", name=f"dense_{i}")(x)
    x = keras.layers.Dense(math.prod(shape), dtype="float32", name="to_images")(x)
    images = keras.layers.Reshape(shape, dtype="float32", name="images")(x)
    return keras.Model(latents, images, name="decoder")
