"""Repairs that need no learning, to compare others with."""

import numpy as np


def classical_repairs(images, masks):
    """Fills holes by the mean of what is known, and by Telea's method or, without OpenCV, biharmonic equations.

    Args:
        images: float array (count, height, width, channels) in [-1, 1], 1 or 3 channels for Telea's; what they have in
            the holes does not count.
        masks: bool array (count, height, width), True where pixels are to be made.

    Returns:
        Dict "mean fill" and "Telea" or "biharmonic" -> float array like `images`.

    Example:
    >>> images, masks = np.full((1, 8, 8, 3), 0.5, "float32"), np.zeros((1, 8, 8), bool)
    >>> masks[:, 2:4, 2:4] = True
    >>> made = classical_repairs(images, masks)
    >>> len(made), bool(np.allclose(made["mean fill"], 0.5))
    (2, True)

    Reference:
        Telea 2004, https://doi.org/10.1080/10867651.2004.10487596; Damelin, Hoang 2018,
        https://doi.org/10.1155/2018/3950312
    """
    means = np.nanmean(np.where(masks[..., None], np.nan, images), axis=(1, 2), keepdims=True)
    made = {"mean fill": np.where(masks[..., None], means, images)}
    pairs = list(zip(np.where(masks[..., None], 0.0, images), masks, strict=True))
    try:
        import cv2
    except ImportError:
        from skimage.restoration import inpaint_biharmonic

        return {**made, "biharmonic": np.stack([inpaint_biharmonic(x, m, channel_axis=-1) for x, m in pairs])}
    pixels = [(np.rint((x + 1) * 127.5).astype("uint8"), m.astype("uint8")) for x, m in pairs]
    telea = np.stack([cv2.inpaint(x, m, 3, cv2.INPAINT_TELEA) for x, m in pixels])
    return {**made, "Telea": telea.reshape(np.shape(images)) / 127.5 - 1.0}
