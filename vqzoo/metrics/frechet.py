"""Fréchet distance between the network features of two sets of signals."""

import keras
import numpy as np
from keras import ops

from vqzoo.ops import compiled


class FrechetDistance:
    """Fréchet distance between the features of two sets of signals, updated batch by batch.

    The features of each set are modelled as a Gaussian, and `frechet_distance` is the distance between the two. It
    compares sets, not pairs. It is 0 if the features of both sets have the same mean and covariance.

    The value depends on the network as much as on the signals, so report the name of the network with it. It is the
    FID of the literature only with the pool3 features of the Inception network of that work, on images of 299 pixels.
    It also depends on the number of signals. An estimate from n signals per set is too large, with a bias that
    decreases as 1 / n, and the covariances have a rank of at most n - 1. Compare only values from equal numbers of
    signals, and use several times more signals than features.

    Sums are computed in numpy, in float64. Use it only for evaluation, not in `compile(metrics=...)`.

    Args:
        network: `keras.Model` from signals, for instance images (batch, height, width, 3) in [-1, 1], to one tensor
            (batch, features). A different size or range that it needs must be computed inside it.

    Raises:
        ValueError: the network returns anything else, or one of the sets has fewer than two signals.

    Example:
    >>> pool = keras.Sequential([keras.Input((None, None, 3)), keras.layers.GlobalAveragePooling2D()])
    >>> metric = FrechetDistance(pool)
    >>> images = keras.random.uniform((8, 4, 4, 3))
    >>> metric.update_state(images, images + 0.5)
    >>> round(metric.result(), 4)
    0.75

    Reference:
        Heusel et al. 2017, https://arxiv.org/abs/1706.08500, equation 6. The bias: Chong, Forsyth 2019,
        https://arxiv.org/abs/1911.07023, section 3.
    """

    def __init__(self, network):
        self.network = network
        self._compiled_network = compiled(lambda signals: network(signals, training=False))
        self.reset_state()

    def update_state(self, signals, reconstructions):
        """Adds a batch to each of the two sets.

        Args:
            signals: float tensor (batch, *grid, channels).
            reconstructions: float tensor with the same axes. The two need not be pairs, nor have the same batch size.
        """
        for moments, batch in ((self._signals, signals), (self._reconstructions, reconstructions)):
            if len(batch):  # compiled convolutions can fail on an empty batch
                moments.add(self._features_of(batch))

    def result(self):
        """The distance over all signals since the last reset, a Python float."""
        counts = self._signals.count, self._reconstructions.count
        if min(counts) < 2:
            raise ValueError(
                "A covariance needs at least two signals, and an accurate one several times more signals than "
                f"features. Received: {counts[0]} signals and {counts[1]} reconstructions. Give `update_state` more."
            )
        return frechet_distance(
            self._signals.mean,
            self._signals.covariance(),
            self._reconstructions.mean,
            self._reconstructions.covariance(),
        )

    def reset_state(self):
        """Resets the state."""
        self._signals = _Moments()
        self._reconstructions = _Moments()

    def _features_of(self, signals):
        features = self._compiled_network(ops.cast(ops.convert_to_tensor(signals), "float32"))
        shapes = [tuple(x.shape) for x in keras.tree.flatten(features)]
        if len(shapes) != 1 or len(shapes[0]) != 2:
            raise ValueError(
                "`network` must return one tensor (batch, features). Pool its grid, and select one output by "
                f"keras.Model(network.inputs, network.get_layer(...).output). Received: outputs of shapes {shapes}"
            )
        return ops.convert_to_numpy(keras.tree.flatten(features)[0]).astype("float64")


class _Moments:
    """Running mean and covariance of batches of rows."""

    def __init__(self):
        self.count = 0
        self.mean = 0.0
        self.scatter = 0.0  # sum of (x - mean) (x - mean)^T

    def add(self, rows):
        # Computed about the mean of the batch, then shifted to the mean of all rows. A plain sum of squares loses the
        # covariance of features with a large mean.
        mean, total = rows.mean(axis=0), self.count + len(rows)
        shift = mean - self.mean
        self.scatter = self.scatter + (rows - mean).T @ (rows - mean)
        self.scatter += np.outer(shift, shift) * (self.count * len(rows) / total)
        self.mean = self.mean + shift * (len(rows) / total)
        self.count = total

    def covariance(self):
        return self.scatter / (self.count - 1)


def frechet_distance(mean1, cov1, mean2, cov2):
    """Squared Fréchet distance between two Gaussians, in numpy: `|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))`.

    It is also the square of their 2-Wasserstein distance. The trace of the root is the sum of the singular values of
    `C1^(1/2) C2^(1/2)`, because that matrix times its transpose is the symmetric `C1^(1/2) C2 C1^(1/2)`, whose
    eigenvalues are those of `C1 C2`. Unlike a root of `C1 C2` itself, it exists and is exact without full rank.

    Args:
        mean1: array (features,).
        cov1: array (features, features), symmetric and positive semidefinite; negative eigenvalues from rounding
            count as 0.
        mean2: array (features,).
        cov2: array (features, features).

    Returns:
        float, not negative; 0 for equal Gaussians.

    Raises:
        ValueError: the shapes do not match, a covariance is not symmetric, or a value is not finite.

    Reference:
        Dowson, Landau 1982, The Fréchet distance between multivariate normal distributions.

    Example:
    >>> round(frechet_distance([0.0, 1.0], np.eye(2), [3.0, 1.0], 4 * np.eye(2)), 6)
    11.0
    """
    mean1, cov1, mean2, cov2 = (np.asarray(x, "float64") for x in (mean1, cov1, mean2, cov2))
    shapes = [x.shape for x in (mean1, cov1, mean2, cov2)]
    size = mean1.size
    if shapes != [(size,), (size, size)] * 2:
        raise ValueError(
            "Means must be (features,) and covariances (features, features), the same number for both. "
            f"Received: shapes {shapes}"
        )
    if not all(np.isfinite(x).all() for x in (mean1, cov1, mean2, cov2)):
        raise ValueError("Means and covariances must be finite. Received: NaN or infinity; check the features.")
    for name, cov in (("cov1", cov1), ("cov2", cov2)):
        if not np.allclose(cov, cov.T, rtol=1e-6, atol=1e-6 * np.abs(cov).max(initial=0.0)):
            raise ValueError(f"A covariance must be symmetric; use np.cov(rows, rowvar=False). Received: {name}={cov}")
    trace_of_root = np.linalg.svd(_root(cov1) @ _root(cov2), compute_uv=False).sum()
    distance = np.sum((mean1 - mean2) ** 2) + np.trace(cov1) + np.trace(cov2) - 2.0 * trace_of_root
    return max(float(distance), 0.0)  # negative only by rounding


def _root(cov):
    """The symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(cov)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
