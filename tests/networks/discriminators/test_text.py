import numpy as np
import pytest

from vqzoo.networks.discriminators import text_discriminator

LENGTHS = (11, 7, 1)


def vectors():
    x = np.random.default_rng(0).normal(size=(3, 11, 4)).astype("float32")
    return x * (np.arange(11) < np.array(LENGTHS)[:, None])[..., None].astype("float32")


def stirred(**options):
    model = text_discriminator(4, filters=5, **options)
    rng = np.random.default_rng(1)
    model.set_weights([w + rng.normal(size=w.shape) * 0.3 for w in model.get_weights()])
    return model


def test_two_convolutions_by_hand():
    model, x = stirred(depth=2, kernel_size=3), vectors()
    *convolutions, (kernel, bias) = np.array_split(np.array(model.get_weights(), object), 3)
    real = np.any(x != 0, axis=-1, keepdims=True)
    y = x
    outputs = []
    for weights, offset in convolutions:
        padded = np.pad(y, ((0, 0), (1, 1), (0, 0)))
        y = sum(padded[:, k : k + 11] @ weights[k] for k in range(3)) + offset
        y = np.where(y > 0, y, 0.2 * y) * real
        outputs.append(y)
    outputs.append((y @ kernel[0] + bias) * real)
    for one, other in zip(model(x), outputs, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_sentence_alone_has_what_it_has_in_a_batch():
    model, x = stirred(), vectors()
    together = [y.numpy() for y in model(x)]
    assert len(together) == 4
    for i, length in enumerate(LENGTHS):
        for one, other in zip(together, model(x[i : i + 1, :length]), strict=True):
            np.testing.assert_allclose(one[i, :length], other[0], atol=1e-5)
            assert not one[i, length:].any()


def test_a_logit_judges_a_window():
    model, x = stirred(depth=1, kernel_size=5), vectors()[:1]
    other = x.copy()
    other[0, 6] += 1.0
    moved = np.abs(model(other)[-1] - model(x)[-1])[0, :, 0] > 1e-4
    assert moved.tolist() == [False] * 4 + [True] * 5 + [False] * 2


def test_errors():
    for wrong in ({"depth": 0}, {"kernel_size": 4}):
        with pytest.raises(ValueError, match="`depth` must be at least 1, and `kernel_size` odd"):
            text_discriminator(4, **wrong)
