import pytest

from vqzoo.metrics import bits_per_pixel
from vqzoo.metrics import kilobits_per_second


@pytest.mark.parametrize(
    "token_shape, codebook_sizes, size, expected",
    [
        ((1, 16, 16, 1), (1024,), (256, 256), 16 * 16 * 10 / 256**2),
        ((7, 16, 16, 1), (1024,), (256, 256), 16 * 16 * 10 / 256**2),  # the batch does not matter
        ((1, 8, 4, 2), (256, 16), (32, 16), 8 * 4 * (8 + 4) / (32 * 16)),
        ((1, 30, 1), (2**12,), (16, 16), 30 * 12 / 256),  # scales one after another
        ((1, 3, 3, 1), (1,), (9, 9), 0.0),  # one code tells nothing
        ((None, 3, 3, 1), (2,), (3, 3), 1.0),
    ],
)
def test_typed_out_answers(token_shape, codebook_sizes, size, expected):
    assert bits_per_pixel(token_shape, codebook_sizes, *size) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("token_shape", [(1, 16, 16, 2), (1, 16, 16), (1,), ()])
def test_the_last_axis_must_be_the_codebooks(token_shape):
    with pytest.raises(ValueError, match="one codebook size for each codebook. Received: token_shape="):
        bits_per_pixel(token_shape, (1024,), 256, 256)


def test_a_picture_must_have_pixels():
    with pytest.raises(ValueError, match="An image must have pixels. Received: height=0, width=16"):
        bits_per_pixel((1, 4, 4, 1), (1024,), 0, 16)


@pytest.mark.parametrize(
    "frame_rate, codebook_sizes, expected",
    [(75, (1024,), 0.75), (75, (1024,) * 32, 24.0), (12.5, (2048,) * 8, 1.1), (50, (1,), 0.0), (40, (8, 4096), 0.6)],
)
def test_kilobits_per_second(frame_rate, codebook_sizes, expected):
    assert kilobits_per_second(frame_rate, codebook_sizes) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("frame_rate", [0, -1.0])
def test_a_frame_rate_is_positive(frame_rate):
    with pytest.raises(ValueError, match=f"`frame_rate` must be positive, in Hz. Received: frame_rate={frame_rate}"):
        kilobits_per_second(frame_rate, (1024,))
