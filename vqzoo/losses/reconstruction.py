"""Element-wise distances between a signal and its reconstruction."""

import keras


@keras.saving.register_keras_serializable(package="vqzoo")
def l1_loss(signal, reconstruction):
    """Mean absolute difference. It blurs less than `l2_loss`, and VQGAN uses it.

    Args:
        signal: float tensor of any shape.
        reconstruction: float tensor of the same shape.

    Returns:
        Scalar float32.

    Example:
    >>> float(l1_loss(keras.ops.zeros((2,)), keras.ops.convert_to_tensor([1.0, -2.0])))
    1.5
    """
    return keras.ops.mean(keras.ops.abs(_difference(signal, reconstruction)))


@keras.saving.register_keras_serializable(package="vqzoo")
def l2_loss(signal, reconstruction):
    """Mean squared difference. PSNR is a function of it, and VQ-VAE uses it.

    Args:
        signal: float tensor of any shape.
        reconstruction: float tensor of the same shape.

    Returns:
        Scalar float32.

    Example:
    >>> float(l2_loss(keras.ops.zeros((2,)), keras.ops.convert_to_tensor([1.0, -2.0])))
    2.5
    """
    return keras.ops.mean(keras.ops.square(_difference(signal, reconstruction)))


def _difference(signal, reconstruction):
    # Means over many elements lose precision in float16 and bfloat16.
    return keras.ops.cast(signal, "float32") - keras.ops.cast(reconstruction, "float32")
