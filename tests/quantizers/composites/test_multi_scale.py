import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import area_matrix
from vqzoo.ops import bicubic_matrix
from vqzoo.quantizers import EMAVectorQuantizer
from vqzoo.quantizers import GaussianQuantizer
from vqzoo.quantizers import GroupedQuantizer
from vqzoo.quantizers import GumbelQuantizer
from vqzoo.quantizers import MultiScaleResidualQuantizer
from vqzoo.quantizers import ProjectedQuantizer
from vqzoo.quantizers import Quantized
from vqzoo.quantizers import Quantizer
from vqzoo.quantizers import ResidualQuantizer
from vqzoo.quantizers import VectorQuantizer
from vqzoo.quantizers import entropy_loss


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def multi_scale(scales, dim=4, size=20, inner=None, seed=0, **options):
    """A quantizer with random codes and convolutions."""
    made = MultiScaleResidualQuantizer(inner or VectorQuantizer(size), scales, **options)
    made.build((None, None, None, dim))
    if inner is None:
        made.quantizer.assign_codebook(random(size, dim, seed=seed))
    for i, convolution in enumerate(made.convolutions):
        convolution.set_weights([0.3 * random(3, 3, dim, dim, seed=seed + i), 0.1 * random(dim, seed=seed + i)])
    return made


def padded_convolution(x, kernel, bias):
    """A 3x3 convolution with one row and column of zeros around, tap by tap."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    taps = [(i, j) for i in range(3) for j in range(3)]
    return bias + sum(padded[:, i : i + x.shape[1], j : j + x.shape[2]] @ kernel[i, j] for i, j in taps)


class Oracle:
    """Algorithms 1 and 2 of the paper and the released code's losses, in float64."""

    def __init__(self, layer, scales, which):
        self.codebook = layer.quantizer.codebook.numpy().astype("float64")
        weights = [[w.astype("float64") for w in c.get_weights()] for c in layer.convolutions]
        self.scales, self.weights = scales, [weights[i] for i in which]
        self.ratio = layer.ratio

    def added(self, tokens, scale):
        (h, w), (big_h, big_w) = self.scales[scale], self.scales[-1]
        rows, columns = bicubic_matrix(h, big_h), bicubic_matrix(w, big_w)
        codes = self.codebook[tokens.reshape(-1, h, w)]
        codes = np.einsum("oh,pw,bhwc->bopc", rows, columns, codes)
        return codes * (1 - self.ratio) + padded_convolution(codes, *self.weights[scale]) * self.ratio

    def encode(self, latents):
        """Tokens of each scale, the sum after each scale, and its mean squared distance to the latents."""
        rest, tokens, sums, squares = latents.astype("float64"), [], [], []
        for scale, (h, w) in enumerate(self.scales):
            rows, columns = area_matrix(self.scales[-1][0], h), area_matrix(self.scales[-1][1], w)
            small = np.einsum("oh,pw,bhwc->bopc", rows, columns, rest).reshape(len(latents), -1, 1, latents.shape[-1])
            tokens.append(((small - self.codebook) ** 2).sum(axis=-1).argmin(axis=-1))
            rest = rest - self.added(tokens[-1], scale)
            sums.append(latents - rest)
            squares.append((rest**2).mean())
        return tokens, sums, squares


CASES = [
    ([(1, 1), (2, 3), (4, 5)], 4, [0, 1, 2]),
    ([(1, 2), (3, 2), (6, 7), (6, 7)], 2, [0, 0, 1, 1]),
    ([(3, 3)], 4, [0]),
]


def test_typed_out_scales():
    """Codes 0, 2 and 8; the convolutions give nothing, which leaves half of each code."""
    layer = MultiScaleResidualQuantizer(VectorQuantizer(3), (1, 2))
    layer.build((None, 2, 2, 1))
    layer.quantizer.assign_codebook([[0.0], [2.0], [8.0]])
    for convolution in layer.convolutions:
        convolution.set_weights([np.zeros((3, 3, 1, 1)), np.zeros(1)])
    latents = np.array([[[[4.0], [3.0]], [[4.5], [16.0]]]], "float32")
    quantized = layer(latents)
    # The mean 6.875 takes the code 8, half of which is added everywhere: 0, -1, 0.5 and 12 are left.
    assert quantized.tokens.numpy().tolist() == [[[2], [0], [0], [0], [2]]]
    assert quantized.latents.numpy()[0, ..., 0].tolist() == [[4.0, 4.0], [4.0, 8.0]]
    expected = ((0 + 1 + 0.25 + 144) / 4 + (0 + 1 + 0.25 + 64) / 4) / 2
    for name in ("codebook", "commitment"):
        assert float(quantized.losses[name]) == pytest.approx(expected, rel=1e-6)
    assert layer.decode(quantized.tokens[:, :1]).numpy()[0, ..., 0].tolist() == [[4.0, 4.0], [4.0, 4.0]]
    assert (layer.codebook_sizes, layer.num_codebooks, layer.loss_names) == ((3,), 1, ("codebook", "commitment"))


def test_scales_take_the_published_convolutions():
    layer = MultiScaleResidualQuantizer(VectorQuantizer(3), (1, 2, 3, 4, 5, 6, 8, 10, 13, 16))
    # The least of |3/36, 13/36, 23/36, 33/36 - s/9|. Scales 2 and 7, at 8/36 and 28/36, lie in the middle of two; the
    # released code takes these.
    assert [layer.convolution_of(s) for s in range(10)] == [0, 0, 1, 1, 1, 2, 2, 3, 3, 3]
    layer = MultiScaleResidualQuantizer(VectorQuantizer(3), (1, 2, 3, 4, 5), num_convolutions=5)
    assert [layer.convolution_of(s) for s in range(5)] == [0, 1, 2, 3, 4]
    layer = MultiScaleResidualQuantizer(VectorQuantizer(3), (1, 2, 3), num_convolutions=1)
    assert [layer.convolution_of(s) for s in range(3)] == [0, 0, 0]


@pytest.mark.parametrize(("scales", "convolutions", "which"), CASES)
@pytest.mark.parametrize("ratio", [0.5, 0.2])
def test_tokens_sums_and_losses_equal_the_papers_algorithms(scales, convolutions, which, ratio):
    layer = multi_scale(scales, num_convolutions=convolutions, ratio=ratio)
    latents = 1.5 * random(3, *scales[-1], 4, seed=9)
    tokens, sums, squares = Oracle(layer, scales, which).encode(latents)
    quantized = layer(latents)
    np.testing.assert_array_equal(quantized.tokens[..., 0], np.concatenate(tokens, axis=1))
    np.testing.assert_array_equal(layer.encode(latents), quantized.tokens)
    np.testing.assert_allclose(quantized.latents, sums[-1], atol=1e-5)
    np.testing.assert_array_equal(layer.decode(quantized.tokens), quantized.latents)
    for name in ("codebook", "commitment"):
        assert float(quantized.losses[name]) == pytest.approx(np.mean(squares), rel=1e-5)
    end = 0
    for scale, (h, w) in enumerate(scales):
        end += h * w
        np.testing.assert_allclose(layer.decode(quantized.tokens[:, :end]), sums[scale], atol=1e-5)


def test_gradients_reach_what_they_should_and_nothing_else():
    scales, which = CASES[0][0], CASES[0][2]
    layer = multi_scale(scales)
    latents, weights = 1.5 * random(3, 4, 5, 4, seed=9), random(3, 4, 5, 4, seed=2)
    x = tf.constant(latents)
    trained = [variable.value for variable in layer.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        quantized = layer(x, training=True)
        total = keras.ops.sum(quantized.latents * weights)
    np.testing.assert_array_equal(tape.gradient(total, x), weights)
    assert tape.gradient(total, trained) == [None] * len(trained)
    _, sums, _ = Oracle(layer, scales, which).encode(latents)
    commitment = sum(2 * (latents - each) for each in sums) / latents.size / 3
    np.testing.assert_allclose(tape.gradient(quantized.losses["commitment"], x), commitment, rtol=1e-4, atol=1e-7)
    assert tape.gradient(quantized.losses["commitment"], trained) == [None] * len(trained)
    assert tape.gradient(quantized.losses["codebook"], x) is None
    found = tape.gradient(
        quantized.losses["codebook"], [layer.quantizer.codebook.value, layer.convolutions[1].bias.value]
    )
    # A bias adds half of itself to every position from its scale on: scale 1 is the one with this convolution.
    bias = sum(0.5 * 2 * (each - latents).sum(axis=(0, 1, 2)) for each in sums[1:]) / latents.size / 3
    np.testing.assert_allclose(found[1], bias, rtol=1e-3, atol=1e-6)
    # A step against the gradient of the codes lowers the loss by its squared length.
    gradient, before = tf.convert_to_tensor(found[0]).numpy(), float(quantized.losses["codebook"])
    assert (np.abs(gradient).max(axis=1) > 0).sum() > 5
    codes = layer.quantizer.codebook.numpy()
    layer.quantizer.assign_codebook(codes - 1e-2 * gradient)
    after = layer(latents)
    np.testing.assert_array_equal(after.tokens, quantized.tokens)
    assert (before - float(after.losses["codebook"])) / (1e-2 * (gradient**2).sum()) == pytest.approx(1.0, rel=0.02)


def test_a_convolution_without_a_scale_is_not_made():
    layer = multi_scale(CASES[0][0])
    assert len(layer.convolutions) == 3  # the second of four would have no scale
    with tf.GradientTape() as tape:
        loss = layer(random(1, 4, 5, 4), training=True).losses["codebook"]
    assert all(np.abs(tf.convert_to_tensor(g)).max() > 0 for g in tape.gradient(loss, layer.trainable_variables))


def test_the_quantizers_other_losses_are_means_over_the_scales():
    inner = VectorQuantizer(6, extra_losses={"entropy": entropy_loss})
    layer = multi_scale([1, 3], dim=2, inner=inner)
    assert layer.loss_names == ("codebook", "commitment", "entropy")
    latents = tf.constant(random(2, 3, 3, 2, seed=9))
    with tf.GradientTape() as tape:
        tape.watch(latents)
        quantized = layer(latents)
        entropy = quantized.losses["entropy"]
    small = latents.numpy().mean(axis=(1, 2), keepdims=True)
    rest = latents - layer.decode(quantized.tokens[:, :1])
    expected = [float(inner(part).losses["entropy"]) for part in (small, rest)]
    assert float(entropy) == pytest.approx(np.mean(expected), rel=1e-4)
    assert np.abs(tape.gradient(entropy, latents)).max() > 0


def test_a_moving_average_follows_the_scales_residuals():
    inner = EMAVectorQuantizer(5, decay=0.5, kmeans_steps=0, restart_below=0.0)
    layer = multi_scale([1, 2], dim=2, inner=inner)
    start = random(5, 2)
    inner.assign_codebook(start)
    latents = random(3, 2, 2, 2, seed=9)
    before = layer(latents)
    trained = layer(latents, training=True)
    assert int(inner.steps) == 2 and layer.loss_names == ("codebook", "commitment")
    np.testing.assert_array_equal(trained.tokens[:, :1], before.tokens[:, :1])
    # After the first scale, and again after the second.
    counts = 0.5 + 0.5 * np.bincount(trained.tokens.numpy()[:, 0, 0], minlength=5)
    counts = 0.5 * counts + 0.5 * np.bincount(trained.tokens.numpy()[:, 1:, 0].ravel(), minlength=5)
    np.testing.assert_allclose(inner.counts, counts, rtol=1e-6)
    assert np.abs(inner.codebook.numpy() - start).max() > 0.1


def test_several_codebooks_at_each_position():
    inner = GroupedQuantizer([VectorQuantizer(7), VectorQuantizer(5)])
    layer = multi_scale([(1, 2), (3, 4)], inner=inner)
    for i, group in enumerate(inner.quantizers):
        group.assign_codebook(random(group.codebook_size, 2, seed=i))
    latents = random(2, 3, 4, 4, seed=9)
    tokens = layer.encode(latents)
    assert tokens.shape == (2, 14, 2) and layer.codebook_sizes == (7, 5)
    small = latents.reshape(2, 3, 2, 2, 4).mean(axis=(1, 3))[:, None]
    np.testing.assert_array_equal(tokens[:, :2], inner.encode(small)[:, 0])
    np.testing.assert_array_equal(layer.decode(tokens), layer(latents).latents)


@pytest.mark.parametrize("known", [True, False])
def test_graphs_of_known_and_unknown_sizes_give_the_same(known):
    layer = multi_scale(CASES[1][0])
    latents = random(2, 6, 7, 4, seed=9)
    tokens = layer.encode(latents)
    shape = latents.shape if known else (None, None, None, 4)
    encode = tf.function(layer.encode, input_signature=[tf.TensorSpec(shape)])
    np.testing.assert_array_equal(encode(latents), tokens)
    decode = tf.function(
        layer.decode, input_signature=[tf.TensorSpec(tokens.shape if known else (None, None, 1), tf.int32)]
    )
    np.testing.assert_allclose(decode(tokens), layer.decode(tokens), atol=1e-6)
    assert encode.get_concrete_function().output_shapes[1:].as_list() == [2 + 6 + 42 + 42, 1]


def test_config_round_trip():
    layer = MultiScaleResidualQuantizer(VectorQuantizer(5), (1, (2, 3), [4, 5]), num_convolutions=2, ratio=0.25)
    config = layer.get_config()
    assert config["scales"] == [[1, 1], [2, 3], [4, 5]]
    copy = MultiScaleResidualQuantizer.from_config(config)
    assert copy.get_config() == config
    assert (copy.quantizer.codebook_size, copy.num_convolutions, copy.ratio) == (5, 2, 0.25)


def test_the_portable_form_gives_the_same_tokens_and_codes():
    layer = multi_scale([(1, 2), (3, 2), (4, 5)])
    latents, tokens = keras.Input((None, None, 4)), keras.Input((2 + 6 + 20, 1), dtype="int32")
    encoder = keras.Model(latents, layer.portable_encode(latents))
    decoder = keras.Model(tokens, layer.portable_decode(tokens))
    x = 1.5 * random(5, 4, 5, 4, seed=9)
    np.testing.assert_array_equal(encoder(x), layer.encode(x))
    np.testing.assert_allclose(decoder(layer.encode(x)), layer(x).latents, atol=1e-6)
    assert len(np.unique(layer.encode(x))) > 10


@pytest.mark.parametrize("cut", [0, 2, 6, 28])
def test_tokens_end_at_a_scale(cut):
    layer = multi_scale([1, (2, 3), (4, 5)])
    message = rf"one after another. Their positions end at \[1, 7, 27\]. Received: shape=\(1, {cut}, 1\). Keep whole"
    with pytest.raises(ValueError, match=message):
        layer.decode(np.zeros((1, cut, 1), "int32"))
    with pytest.raises(ValueError, match=r"end at \[1, 7, 27\]. Received: shape=\(1, 7, 1, 1\)"):
        layer.check_tokens([[[[0]]] * 7])
    with pytest.raises(ValueError, match="codebook 0 must be in"):
        layer.decode(np.full((1, 7, 1), 20))
    layer.check_tokens(keras.Input((None, 1), dtype="int32"))


def test_a_mask_is_refused():
    layer = multi_scale([1, 2])
    for run in (layer, layer.encode):
        with pytest.raises(ValueError, match=r"mixes all positions.*a mask of shape \(1, 2, 2\). Crop or resize"):
            run(random(1, 2, 2, 4), mask=np.ones((1, 2, 2), bool))


@pytest.mark.parametrize("shape", [(1, 3, 2, 4), (1, 2, 4), (1, 2, 2, 2, 4)])
def test_another_grid_is_refused(shape):
    layer = multi_scale([1, (2, 3)])
    for run in (layer, layer.encode):
        with pytest.raises(ValueError, match=r"grid of the last scale, \(2, 3\). Received: shape=\("):
            run(random(*shape))
    with pytest.raises(ValueError, match=r"grid of the last scale, \(2, 3\)"):
        MultiScaleResidualQuantizer(VectorQuantizer(3), [(2, 3)]).build(shape)


MAPPING = {
    "projected": lambda: ProjectedQuantizer(VectorQuantizer(4), 2, name="mapped"),
    "gaussian": lambda: GaussianQuantizer(VectorQuantizer(4), 4, name="mapped"),
    "gumbel": lambda: GumbelQuantizer(4, 4, name="mapped"),
    "grouped": lambda: GroupedQuantizer([VectorQuantizer(4), GumbelQuantizer(4, 2)], name="mapped"),
    "residual": lambda: ResidualQuantizer([GroupedQuantizer([MAPPING["projected"]()])], name="mapped"),
}


@pytest.mark.parametrize("kind", MAPPING)
def test_an_inner_map_which_would_never_learn_is_refused(kind):
    message = (
        "would not be trained. Received: 'mapped', which maps the latents. Put a projection or .* around all scales, as"
    )
    with pytest.raises(ValueError, match=message):
        MultiScaleResidualQuantizer(MAPPING[kind](), [1, 2])


@pytest.mark.parametrize("around", [ProjectedQuantizer, GaussianQuantizer])
def test_a_map_around_all_scales_learns(around):
    layer = around(MultiScaleResidualQuantizer(VectorQuantizer(20, "random_normal"), [1, 2]), 3)
    latents = random(2, 2, 2, 5, seed=9)
    with tf.GradientTape(persistent=True) as tape:
        quantized = layer(latents, training=True)
        total = tf.reduce_sum(quantized.latents * random(*quantized.latents.shape))
    head = layer.project_in if around is ProjectedQuantizer else layer.mean
    for target in (total, quantized.losses["commitment"]):
        for gradient in tape.gradient(target, [weight.value for weight in head.trainable_variables]):
            assert np.abs(gradient).max() > 1e-3
    np.testing.assert_array_equal(layer.decode(layer.encode(latents)), layer(latents).latents)


def test_an_inner_estimator_has_no_effect():
    def none(codes, latents):
        return keras.ops.stop_gradient(codes)

    latents = tf.constant(random(2, 2, 2, 4, seed=9))
    layers = [
        multi_scale([1, 2], inner=VectorQuantizer(20, "ones", **options)) for options in ({}, {"estimator": none})
    ]
    for layer in layers:
        layer.quantizer.assign_codebook(random(20, 4))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(latents)
        plain, other = (layer(latents, training=True).latents for layer in layers)
    np.testing.assert_array_equal(plain, other)
    for sums in (plain, other):
        np.testing.assert_array_equal(tape.gradient(sums, latents), np.ones((2, 2, 2, 4)))


class FirstTwo(Quantizer):
    """Gives back two channels, whatever the latents' width."""

    codebook_sizes = (1,)
    loss_names = ()

    def encode(self, latents, mask=None):
        return keras.ops.zeros((*latents.shape[:-1], 1), "int32")

    def decode(self, tokens):
        return keras.ops.zeros((*tokens.shape[:-1], 2))

    def call(self, latents, mask=None):
        return Quantized(latents[..., :2], self.encode(latents), {})


def test_another_width_is_refused():
    with pytest.raises(ValueError, match=r"must be known.*Received: input shape \(None, 2, 2, None\)"):
        MultiScaleResidualQuantizer(VectorQuantizer(3), [2]).build((None, 2, 2, None))
    layer = MultiScaleResidualQuantizer(FirstTwo(name="narrow"), [1, 2])
    layer.build((None, 2, 2, 4))
    for run in (layer, layer.encode):
        with pytest.raises(
            ValueError, match="width of the latents, here 4. Received: 'narrow', whose codes have width 2"
        ):
            run(random(1, 2, 2, 4))


@pytest.mark.parametrize("scales", [(), (0,), (1.5,), ((1, 2, 3),), ("a",), ((2, -1),)])
def test_scales_are_positive(scales):
    with pytest.raises(ValueError, match="`scales` must be a list of positive integers or pairs"):
        MultiScaleResidualQuantizer(VectorQuantizer(3), scales)


@pytest.mark.parametrize("scales", [(4, 2), ((1, 3), (2, 2))])
def test_the_last_scale_is_the_largest(scales):
    with pytest.raises(ValueError, match="no other may be larger. Received: scales=.*Order them from coarse to fine"):
        MultiScaleResidualQuantizer(VectorQuantizer(3), scales)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_convolutions": 0}, "`num_convolutions` is a positive integer. Received: num_convolutions=0"),
        ({"num_convolutions": 2.0}, "`num_convolutions` is a positive integer. Received: num_convolutions=2.0"),
        ({"ratio": -0.1}, r"`ratio` must be in \[0, 1\]. Received: ratio=-0.1"),
        ({"ratio": 1.1}, r"`ratio` must be in \[0, 1\]. Received: ratio=1.1"),
        ({"quantizer": [VectorQuantizer(3)]}, "`quantizer` is a vqzoo.quantizers.Quantizer. Received: quantizer="),
    ],
)
def test_arguments_are_in_their_range(options, message):
    with pytest.raises(ValueError, match=message):
        MultiScaleResidualQuantizer(**{"quantizer": VectorQuantizer(3), "scales": (1, 2), **options})
