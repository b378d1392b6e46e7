"""Holes in pictures: filled smoothly from their borders, and seams faded out of what fills them."""

import numpy as np


def smooth_fill(image, mask):
    r"""Fills a hole with the membrane that hangs on its border.

    $$\nabla^2 x = 0 \text{ in the hole}, \quad x \text{ as it is around it}$$

    Args:
        image: float array (height, width, channels).
        mask: bool array (height, width), True in the hole.

    Returns:
        float32 array like `image`; without any known pixel 0 everywhere.

    Example:
    >>> row = np.array([0.0, 9.0, 9.0, 9.0, 4.0])[None, :, None]
    >>> smooth_fill(row, np.array([[False, True, True, True, False]]))[0, :, 0].tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    return _hung(np.where(mask[..., None], 0.0, image), mask, 0.0)


def edge_fill(image, mask):
    """Fills a hole so that its border's edges go on into it: the mean of `smooth_fill` and of the nearest known pixel.

    Args:
        image: float array (height, width, channels).
        mask: bool array (height, width), True in the hole.

    Returns:
        float32 array like `image`; without any known pixel 0 everywhere.

    Example:
    >>> row = np.array([0.0, 9.0, 9.0, 4.0])[None, :, None]
    >>> filled = edge_fill(row, np.array([[False, True, True, False]]))
    >>> [round(float(v), 2) for v in filled[0, :, 0]]
    [0.0, 0.67, 3.33, 4.0]
    """
    smooth = smooth_fill(image, mask)
    if not mask.any() or mask.all():
        return smooth
    from scipy.ndimage import distance_transform_edt  # here, because it takes a quarter of a second

    places = distance_transform_edt(mask, return_distances=False, return_indices=True)
    return np.where(mask[..., None], 0.5 * (smooth + np.asarray(image)[tuple(places)]), smooth).astype("float32")


def without_seam(filling, image, mask, reach):
    r"""Puts a filling into a picture's hole so that no seam shows: its error at the border is taken back inside.

    $$y = f + c, \quad \nabla^2 c = c / r^2 \text{ in the hole}, \quad c = x - f \text{ around it}$$

    Args:
        filling: float array (height, width, channels) f.
        image: float array x of the same shape.
        mask: bool array (height, width), True in the hole.
        reach: float r, pixels over which the correction falls to 1 / e.

    Returns:
        float32 array like `image`: outside of the hole the image itself.

    Example:
    >>> filling, image = np.zeros((1, 5, 1)), np.ones((1, 5, 1))
    >>> y = without_seam(filling, image, np.array([[False, True, True, True, False]]), reach=1.0)
    >>> [round(float(v), 2) for v in y[0, :, 0]]
    [1.0, 0.43, 0.29, 0.43, 1.0]

    Reference:
        Pérez, Gangnet, Blake 2003, Poisson Image Editing, section 2, equation 5, with a correction that fades
    """
    corrected = filling + _hung(np.where(mask[..., None], 0.0, image - filling), mask, 1.0 / reach**2)
    return np.where(mask[..., None], corrected, image).astype("float32")


def with_colours(detailed, base, mask, reach):
    r"""What is finer than `reach` of one filling of a hole, and the rest of another one, which has the same border.

    $$y = b + h, \quad h / r^2 - \nabla^2 h = -\nabla^2 (d - b) \text{ in the hole}, \quad h = 0 \text{ around it}$$

    Args:
        detailed: float array (height, width, channels) d.
        base: float array b of the same shape.
        mask: bool array (height, width), True in the hole.
        reach: float r, pixels.

    Returns:
        float32 array like `base`: outside of the hole the base itself.

    Example:
    >>> base, mask = np.zeros((1, 42, 1)), (np.arange(42) % 41 > 0)[None]
    >>> wide = with_colours(np.ones((1, 42, 1)), base, mask, reach=2.0)  # a step at the border, no detail inside
    >>> bool(abs(wide[0, 20, 0]) < 0.01)
    True
    """
    finer = np.where(mask[..., None], np.asarray(detailed) - base, 0.0)
    bend = np.zeros_like(finer)
    for axis in (0, 1):
        step = np.diff(finer, axis=axis)
        ends = [(0, 0)] * 3
        ends[axis] = (0, 1)
        bend -= np.pad(step, ends)
        bend += np.pad(step, [pair[::-1] for pair in ends])
    finer = _hung(np.zeros_like(finer), mask, 1.0 / reach**2, bend)
    return (base + np.where(mask[..., None], finer, 0.0)).astype("float32")


def _hung(values, mask, screening, source=None):
    """Solves screening * v - laplace(v) = source in the hole, with v given around it, free at the picture's border."""
    values = np.array(values, "float32")
    if not mask.any() or mask.all():
        return values
    from scipy.sparse import coo_matrix  # here, because it takes half a second
    from scipy.sparse.linalg import splu

    number = np.cumsum(mask.ravel()).reshape(mask.shape) - 1  # of each unknown
    rows, columns, entries = [], [], []
    degree = np.full(int(mask.sum()), screening)
    given = np.zeros((len(degree), values.shape[-1]))
    for axis in (0, 1):
        for ahead in (False, True):
            length = mask.shape[axis]
            here = np.take(np.arange(length), np.arange(length - 1) + (not ahead))
            there = here + (1 if ahead else -1)
            inside, beside = (np.take(mask, places, axis=axis) for places in (here, there))
            own = np.take(number, here, axis=axis)[inside]
            np.add.at(degree, own, 1.0)
            both = inside & beside
            rows.append(np.take(number, here, axis=axis)[both])
            columns.append(np.take(number, there, axis=axis)[both])
            entries.append(np.full(int(both.sum()), -1.0))
            edge = inside & ~beside
            np.add.at(given, np.take(number, here, axis=axis)[edge], np.take(values, there, axis=axis)[edge])
    given = given if source is None else given + source[mask]
    diagonal = np.arange(len(degree))
    parts = [np.concatenate(x) for x in ([*entries, degree], [*rows, diagonal], [*columns, diagonal])]
    matrix = coo_matrix((parts[0], (parts[1], parts[2])), shape=(len(degree), len(degree))).tocsc()
    # The ordering for symmetric matrices, several times as fast.
    values[mask] = splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(given)
    return values
