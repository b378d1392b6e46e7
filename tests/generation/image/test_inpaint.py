import numpy as np
import pytest

import vqzoo
from vqzoo.generation.image.inpaint import deeper_than
from vqzoo.generation.image.inpaint import token_holes
from vqzoo.generation.image.seams import edge_fill
from vqzoo.generation.image.seams import smooth_fill
from vqzoo.generation.image.seams import with_colours
from vqzoo.generation.image.seams import without_seam

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def generator(make_generator):
    return make_generator(vqzoo.MaskedPrior, labels=(), sampling={"steps": 2, "noise": 1.0})


@pytest.mark.parametrize("size", [(8, 12), (21, 30), (5, 6)], ids=["the prior's", "larger", "smaller"])
def test_known_pixels_stay_and_the_hole_is_made(generator, size):
    image = RNG.uniform(-1, 1, (*size, 3)).astype("float32")
    mask = np.zeros(size, bool)
    mask[1 : size[0] - 2, 2 : size[1] - 1] = True
    damaged = np.where(mask[..., None], np.nan, image).astype("float32")
    repaired = vqzoo.inpaint(generator, damaged, mask, seed=1, rim=0)
    np.testing.assert_array_equal(repaired[~mask], image[~mask])
    assert np.isfinite(repaired).all() and np.abs(repaired).max() <= 1.0
    assert np.abs(vqzoo.inpaint(generator, damaged, mask, seed=2, rim=0) - repaired)[mask].max() > 1e-3


def test_tokens_away_from_the_hole_are_the_pictures_own(generator, monkeypatch):
    image = RNG.uniform(-1, 1, (16, 24, 3)).astype("float32")
    mask = np.zeros((16, 24), bool)
    mask[:8] = True  # the picture is continued above
    seen = []
    complete = generator.complete
    monkeypatch.setattr(
        generator, "complete", lambda known, *a, **k: seen.append(known.copy()) or complete(known, *a, **k)
    )
    decode, decoded = generator.tokenizer.decode, []
    monkeypatch.setattr(generator.tokenizer, "decode", lambda x, **k: decoded.append(np.array(x)) or decode(x, **k))
    vqzoo.inpaint(generator, image, mask, rim=0)
    tokens = np.asarray(generator.tokenizer.encode(edge_fill(image, mask)[None]))[0]
    assert len(seen) > 1 and len(np.unique(tokens[2:])) > 1  # windows of 2x3 tokens in 4x6
    np.testing.assert_array_equal(decoded[0][0, 2:], tokens[2:])
    assert (decoded[0] >= 0).all()
    first = seen[0][0]  # half of the first window is known
    assert (first[0] == -1).all() and (first[1] >= 0).all()


def test_the_rim_of_a_hole_keeps_what_the_tokenizer_knows_of_its_filling(generator, monkeypatch):
    image = RNG.uniform(-1, 1, (20, 24, 3)).astype("float32")
    mask = np.zeros((20, 24), bool)
    mask[4:, :16] = True  # tokens 1 to 4 of 5 rows, and 0 to 3 of 6 columns
    seen = []
    complete = generator.complete
    monkeypatch.setattr(
        generator, "complete", lambda known, *a, **k: seen.append(known.copy()) or complete(known, *a, **k)
    )
    rows, columns = (np.asarray(a) for a in np.nonzero(deeper_than(2, token_holes(mask, (4, 4), (5, 6)))))
    assert rows.tolist() == [3, 3, 4, 4] and columns.tolist() == [0, 1, 0, 1]
    first = vqzoo.inpaint(generator, image, mask, seed=1)
    assert 1 <= len(seen) <= 4 and sum((known < 0).sum() for known in seen) >= 4
    assert np.isfinite(first).all()
    with pytest.raises(ValueError, match="`rim` is an integer from 0 to 2147483647. Received: rim=-1"):
        vqzoo.inpaint(generator, image, mask, rim=-1)
    shallow = mask & (np.arange(24) >= 8)  # nothing of it is deeper than the rim
    np.testing.assert_array_equal(*(vqzoo.inpaint(generator, image, shallow, seed=s) for s in (1, 2)))


def test_fine_detail_is_kept_and_wide_colours_are_the_bases():
    y, x = np.mgrid[:40, :40]
    mask = (np.hypot(y - 20, x - 20) < 15) | (y > 30)
    base = RNG.uniform(-1, 1, (40, 40, 2)).astype("float32")
    fine = 0.3 * (-1.0) ** (x + y)[..., None]
    found = with_colours(base + fine + 0.5, base, mask, reach=4.0) - base
    np.testing.assert_array_equal(found[~mask], 0.0)
    inside = np.hypot(y - 20, x - 20) < 6
    assert np.abs(found.mean(axis=-1)[inside] - fine[..., 0][inside]).max() < 0.2
    assert np.abs(found[inside].mean()) < 0.15  # of the half that the colours differ by


def test_nothing_to_do_and_everything_to_do(generator):
    image = RNG.uniform(-1, 1, (8, 12, 3)).astype("float32")
    np.testing.assert_array_equal(vqzoo.inpaint(generator, image, np.zeros((8, 12), bool)), image)
    made = vqzoo.inpaint(generator, image, np.ones((8, 12), bool), seed=3)
    other = vqzoo.inpaint(generator, -image, np.ones((8, 12), bool), seed=3)
    np.testing.assert_array_equal(made, other)


def test_what_cannot_be_repaired_is_told(generator, make_generator):
    image, mask = np.zeros((8, 12, 3), "float32"), np.zeros((8, 12), bool)
    with pytest.raises(
        ValueError,
        match="A mask is bool.*Received: mask float64 .8, 12., image .8, 12, 3.. Pass `np.asarray.x. > 0`",
    ):
        vqzoo.inpaint(generator, image, np.zeros((8, 12)))
    with pytest.raises(ValueError, match="Received: shape=.1, 1, 8, 12, 3.. Pass `x.0.`"):
        vqzoo.inpaint(generator, image[None], mask)
    with pytest.raises(ValueError, match="A signal must be in"):
        vqzoo.inpaint(generator, image + 255.0, ~mask & (np.arange(12) > 5))
    flat = make_generator(vqzoo.MaskedPrior, labels=(), grid=(6,))
    with pytest.raises(
        ValueError, match="where tokens lie in rows and columns. Received: a prior of tokens of the gri"
    ):
        vqzoo.inpaint(flat, image, mask)
    with pytest.raises(ValueError, match="temperature=-1.0"):
        vqzoo.inpaint(generator, image, mask, temperature=-1.0)  # also where there is nothing to make


def test_a_token_is_a_hole_where_one_of_its_pixels_is():
    mask = np.zeros((5, 7), bool)
    mask[4, 6] = mask[0, 3] = True
    expected = [[False, True, False, False], [False] * 4, [False, False, False, True]]
    assert token_holes(mask, (2, 2), (3, 4)).tolist() == expected


def test_a_smooth_fill_is_exact_for_planes_and_free_at_the_border():
    y, x = np.mgrid[:9, :11]
    plane = np.stack([0.1 * x - 0.05 * y, np.ones_like(x)], axis=-1).astype("float32")
    mask = np.zeros((9, 11), bool)
    mask[3:6, 2:9] = True
    np.testing.assert_allclose(smooth_fill(np.where(mask[..., None], np.nan, plane), mask), plane, atol=1e-5)
    mask[:] = True
    mask[:, :3] = False
    np.testing.assert_allclose(smooth_fill(plane[..., 1:], mask), plane[..., 1:], atol=1e-5)
    assert (smooth_fill(plane, np.ones((9, 11), bool)) == 0).all()


def test_a_seam_fades_over_its_reach():
    image, filling = np.ones((1, 201, 1)), np.zeros((1, 201, 1))
    mask = np.ones((1, 201), bool)
    mask[0, 0] = False
    blended = without_seam(filling, image, mask, reach=10.0)[0, :, 0]
    assert blended[0] == 1.0 and blended[1] > 0.9
    assert blended[10] == pytest.approx(np.exp(-1), rel=0.02) and blended[100] < 1e-3


@pytest.mark.parametrize(
    "make",
    [
        lambda mask: mask * 255,
        lambda mask: mask * 1.0,
        lambda mask: mask[..., None],
        lambda mask: mask[None],
        lambda mask: np.stack([mask * 255] * 3, axis=-1),
        lambda mask: mask.T,
        lambda mask: mask.tolist(),
    ],
)
def test_another_mask_is_told_how_it_becomes_one(make, generator):
    image, mask = np.zeros((8, 12, 3), "float32"), np.zeros((8, 12), bool)
    mask[2:4] = True
    x = make(mask)
    if np.asarray(x).dtype == bool and np.shape(x) == mask.shape:
        return  # a list of bools is a mask
    with pytest.raises(ValueError, match="A mask is bool .*Pass `") as caught:
        vqzoo.inpaint(generator, image, x)
    fixed = eval(str(caught.value).split("`")[1], {"np": np, "x": x})
    np.testing.assert_array_equal(fixed, mask)
