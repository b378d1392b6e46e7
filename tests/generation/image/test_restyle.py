import numpy as np
import pytest

import vqzoo
from vqzoo.generation.image.restyle import adaptive_normalization

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def tokenizer():
    # Fine enough a lattice that the codes keep the statistics.
    quantizer = vqzoo.quantizers.FiniteScalarQuantizer([15, 15, 15])
    tokenizer = vqzoo.image_vqvae(filters=8, blocks=1, latent_dim=3, quantizer=quantizer)
    tokenizer.build((None, None, None, 3))
    return tokenizer


def test_latents_take_the_others_statistics():
    content, style = RNG.normal(2.0, 3.0, (1, 6, 5, 4)), RNG.normal(-1.0, 0.5, (1, 3, 9, 4))
    moved = np.asarray(adaptive_normalization(content, style))
    np.testing.assert_allclose(moved.mean((1, 2)), style.mean((1, 2)), atol=1e-4)
    np.testing.assert_allclose(moved.std((1, 2)), style.std((1, 2)), rtol=1e-3)
    np.testing.assert_allclose(np.corrcoef(moved[..., 0].ravel(), content[..., 0].ravel())[0, 1], 1.0, atol=1e-6)


def test_strength_goes_from_the_reconstruction_on(tokenizer):
    content, style = (RNG.uniform(-1, 1, size).astype("float32") for size in ((13, 18, 3), (8, 20, 3)))
    none = vqzoo.restyle(tokenizer, content, style, strength=0.0)
    again = np.clip(tokenizer.decode(tokenizer.encode(content[None]), size=(13, 18)), -1, 1)[0]
    np.testing.assert_allclose(none, again, atol=1e-5)
    np.testing.assert_allclose(vqzoo.restyle(tokenizer, content, content), again, atol=0.2)
    distances = [np.abs(vqzoo.restyle(tokenizer, content, style, s) - again).mean() for s in (0.3, 1.0)]
    assert 0.0 < distances[0] < distances[1]


def test_what_does_not_fit_is_told(tokenizer):
    picture = np.zeros((8, 8, 3), "float32")
    with pytest.raises(ValueError, match="`strength` is a number from 0 to 1. Received: strength=2.0"):
        vqzoo.restyle(tokenizer, picture, picture, strength=2.0)
    with pytest.raises(
        ValueError,
        match="`style` is one picture .height, width, channels.*Received: shape=.1, 1, 8, 8, 3.. Pass `x.0.`",
    ):
        vqzoo.restyle(tokenizer, picture, picture[None])
    with pytest.raises(ValueError, match="There is no preset 'image-nobody'"):
        vqzoo.restyle("image-nobody", picture, picture)


def test_a_prior_fills_the_hidden_share_beside_the_style(make_generator, monkeypatch):
    generator = make_generator(vqzoo.MaskedPrior, labels=(), parts={"style": 8}, sampling={"steps": 2})
    content, style = (RNG.uniform(-1, 1, size).astype("float32") for size in ((18, 21, 3), (14, 26, 3)))
    asked = {}

    def seen(**inputs):
        asked.update(inputs)
        return np.where(inputs["known"] < 0, 7, inputs["known"])

    monkeypatch.setattr(generator.prior, "generate", seen)
    own = np.asarray(generator.tokenizer.encode(content[None]))  # 5 x 6 tokens, in 3 x 2 windows of 2 x 3
    for strength in (0.0, 0.5, 1.0):
        made = vqzoo.restyle(generator, content, style, strength, seed=2, guidance=3.0)
        hidden = asked["known"].reshape(3, 2, 2, 3).swapaxes(1, 2).reshape(6, 6)[:5] < 0
        assert hidden.sum() == round(strength * 30) and asked["guidance"] == 3.0 and asked["steps"] == 2
        expected = generator.tokenizer.decode(np.where(hidden[None, ..., None], 7, own), size=(18, 21))
        np.testing.assert_allclose(made, np.clip(expected, -1, 1)[0], atol=1e-5)
    # The prefix of each window is a window of the style's 4 x 7 tokens.
    tokens = np.asarray(generator.tokenizer.encode(style[None]))[0]
    cut = {tuple(tokens[i : i + 2, j : j + 3].ravel()) for i in range(3) for j in range(5)}
    found = {tuple(np.asarray(row) - generator.prior.space.first("style")) for row in asked["prefix"]}
    assert found <= cut and len(asked["prefix"]) == 6
    vqzoo.restyle(generator, content, style[:3], 0.5)  # one row of tokens alone
    assert (np.asarray(asked["prefix"])[:, 3:] == 0).all() and (np.asarray(asked["prefix"])[:, :3] > 0).all()


def test_a_prior_of_no_styles_restyles_nothing(make_generator, tokenizer):
    picture = np.zeros((8, 12, 3), "float32")
    with pytest.raises(
        ValueError, match="by a prior of styles, on rows and columns. Received: one of label, image. Tr"
    ):
        vqzoo.restyle(make_generator(), picture, picture)
    with pytest.raises(ValueError, match="A tokenizer has no sampling settings. Received: steps"):
        vqzoo.restyle(tokenizer, picture, picture, steps=3)
