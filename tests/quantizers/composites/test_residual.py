import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.quantizers import EMAVectorQuantizer
from vqzoo.quantizers import GaussianQuantizer
from vqzoo.quantizers import GroupedQuantizer
from vqzoo.quantizers import Quantized
from vqzoo.quantizers import Quantizer
from vqzoo.quantizers import ResidualQuantizer
from vqzoo.quantizers import VectorQuantizer

GRIDS = [(7,), (2, 3), (2, 3, 2)]


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def vector(codebook, kind=VectorQuantizer, **options):
    """A quantizer with this codebook."""
    codebook = np.asarray(codebook, "float32")
    made = kind(len(codebook), **options)
    made.build((None, None, codebook.shape[1]))
    made.assign_codebook(codebook)
    return made


def moving(codebook, **options):
    return vector(codebook, EMAVectorQuantizer, **{"kmeans_steps": 0, "restart_below": 0.0, **options})


def residual(*quantizers, dim=None, **options):
    made = ResidualQuantizer(list(quantizers), **options)
    made.build((None, None, dim or quantizers[0].latent_dim))
    return made


def random_levels(*sizes, dim=4, kind=VectorQuantizer, **options):
    """Levels whose codes become smaller from one to the next."""
    return [vector(random(size, dim, seed=i) / 2**i, kind, **options) for i, size in enumerate(sizes)]


def oracle(latents, codebooks):
    """Algorithm 1 in float64: tokens, the sum after each level, and the mean square of what each level leaves."""
    rest, tokens, sums, squares = latents.astype("float64"), [], [], []
    for codebook in codebooks:
        distances = ((rest[..., None, :] - codebook.astype("float64")) ** 2).sum(axis=-1)
        tokens.append(distances.argmin(axis=-1))
        rest = rest - codebook[tokens[-1]]
        sums.append(latents - rest)
        squares.append((rest**2).mean())
    return np.stack(tokens, axis=-1), sums, squares


def test_typed_out_tokens_latents_and_losses():
    layer = residual(vector([[0.0], [10.0]]), vector([[-2.0], [1.0], [2.0]]))
    latents = np.array([[[8.5], [1.25], [12.0]]], "float32")
    quantized = layer(latents)
    assert quantized.tokens.numpy().tolist() == [[[1, 0], [0, 1], [1, 2]]]
    assert quantized.latents.numpy().tolist() == [[[8.0], [1.0], [12.0]]]
    # Left over by level 0: -1.5, 1.25 and 2; by level 1: 0.5, 0.25 and 0. The mean over both levels.
    expected = ((2.25 + 1.5625 + 4) / 3 + (0.25 + 0.0625 + 0) / 3) / 2
    for name in ("codebook", "commitment"):
        assert float(quantized.losses[name]) == pytest.approx(expected, rel=1e-6)
    assert layer.codebook_sizes == (2, 3) and layer.num_codebooks == 2
    assert layer.loss_names == ("codebook", "commitment") == tuple(quantized.losses)
    assert layer.decode(quantized.tokens).numpy().tolist() == [[[8.0], [1.0], [12.0]]]
    assert layer.decode(quantized.tokens, num_codebooks=1).numpy().tolist() == [[[10.0], [0.0], [10.0]]]


@pytest.mark.parametrize("grid", GRIDS)
def test_tokens_sums_and_losses_equal_algorithm_1(grid):
    layer = residual(*random_levels(20, 12, 8))
    latents = random(5, *grid, 4, seed=9)
    tokens, sums, squares = oracle(latents, [level.codebook.numpy() for level in layer.quantizers])
    quantized = layer(latents)
    np.testing.assert_array_equal(quantized.tokens, tokens)
    np.testing.assert_allclose(quantized.latents, sums[-1], atol=1e-5)
    for name in ("codebook", "commitment"):
        assert float(quantized.losses[name]) == pytest.approx(np.mean(squares), rel=1e-5)
    for n in (1, 2, 3):
        np.testing.assert_array_equal(layer.encode(latents, num_codebooks=n), tokens[..., :n])
        np.testing.assert_allclose(layer.decode(tokens, num_codebooks=n), sums[n - 1], atol=1e-5)
        np.testing.assert_array_equal(layer.decode(tokens[..., :n]), layer.decode(tokens, num_codebooks=n))
    assert squares[0] > squares[1] > squares[2]  # each level leaves less


def gradients(of, layer, latents, **options):
    """Gradients of `of(quantized)` in the latents and in each codebook; None where nothing flows."""
    latents = tf.constant(latents)
    with tf.GradientTape() as tape:
        tape.watch(latents)
        value = of(layer(latents, training=True, **options))
    found = tape.gradient(value, [latents, *(level.codebook.value for level in layer.quantizers)])
    return [None if gradient is None else tf.convert_to_tensor(gradient).numpy() for gradient in found]


def test_the_straight_through_gradient_is_one_and_not_one_for_each_level():
    layer = residual(*random_levels(20, 12, 8))
    latents, weights = random(2, 7, 4), random(2, 7, 4, seed=1)
    of_latents, *of_codebooks = gradients(lambda q: keras.ops.sum(q.latents * weights), layer, latents)
    np.testing.assert_allclose(of_latents, weights, rtol=1e-6)
    assert of_codebooks == [None, None, None]


def test_every_levels_commitment_reaches_the_latents():
    layer = residual(*random_levels(20, 12, 8))
    latents = random(2, 7, 4, seed=9)
    _, sums, _ = oracle(latents, [level.codebook.numpy() for level in layer.quantizers])
    of_latents, *of_codebooks = gradients(lambda q: q.losses["commitment"], layer, latents)
    # The mean over three levels of 2 (r - e) / size; what a level leaves is the latents less the sum so far.
    expected = sum(2 * (latents - total) / latents.size for total in sums) / 3
    np.testing.assert_allclose(of_latents, expected, rtol=1e-4, atol=1e-7)
    assert of_codebooks == [None, None, None]


def test_each_levels_codebook_loss_moves_its_own_codes():
    layer = residual(*random_levels(6, 5, 4))
    latents = random(2, 30, 4, seed=9)
    codebooks = [level.codebook.numpy() for level in layer.quantizers]
    tokens, sums, _ = oracle(latents, codebooks)
    of_latents, *of_codebooks = gradients(lambda q: q.losses["codebook"], layer, latents)
    assert of_latents is None
    for level, total in enumerate(sums):
        left = (total - latents).reshape(-1, 4)  # code less residual
        chosen = tokens[..., level].ravel()
        expected = np.stack([2 * left[chosen == k].sum(axis=0) for k in range(len(codebooks[level]))])
        np.testing.assert_allclose(of_codebooks[level], expected / latents.size / 3, rtol=1e-4, atol=1e-7)


class Doubling(Quantizer):
    """Gives back its latents rounded, times a learnt factor, with the gradients of that product."""

    codebook_sizes, loss_names = (100,), ()

    def build(self, input_shape):
        self.factor = self.add_weight(name="factor", initializer="ones")

    def call(self, latents, training=False, mask=None):
        rounded = latents + keras.ops.stop_gradient(keras.ops.round(latents) - latents)
        return Quantized(rounded * self.factor, keras.ops.cast(keras.ops.round(latents), "int32")[..., :1], {})


def test_parameters_inside_a_level_learn_from_the_quantized_latents():
    layer = ResidualQuantizer([Doubling(), Doubling()])
    latents = tf.constant([[[3.3, 7.8]]])
    with tf.GradientTape() as tape:
        tape.watch(latents)
        total = tf.reduce_sum(layer(latents, training=True).latents)
    of_latents, *of_factors = tape.gradient(total, [latents, *(level.factor.value for level in layer.quantizers)])
    np.testing.assert_allclose(of_latents, [[[1.0, 1.0]]])
    # Half of what each adds: 3 + 8, and of the rest 0.3 and -0.2 nothing.
    assert [float(gradient) for gradient in of_factors] == [5.5, 0.0]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("training", [False, True])
def test_padded_positions_do_not_count(grid, training):
    layer = residual(*random_levels(20, 12), moving(random(8, 4, seed=3)))
    other = ResidualQuantizer.from_config(layer.get_config())
    other.build((None, None, 4))
    for one, copy in zip(layer.quantizers, other.quantizers, strict=True):
        copy.assign_codebook(one.codebook)
    latents = random(3, *grid, 4, seed=9)
    mask = np.random.default_rng(5).random((3, *grid)) < 0.6
    spoilt = np.where(mask[..., None], latents, np.nan)
    masked, plain = layer(spoilt, training=training, mask=mask), other(latents[mask][None], training=training)
    np.testing.assert_array_equal(masked.tokens.numpy()[mask], plain.tokens[0])
    assert (masked.tokens.numpy()[~mask] == 0).all() and (~mask).any()
    np.testing.assert_array_equal(masked.latents.numpy()[mask], plain.latents[0])
    for name in layer.loss_names:
        assert float(masked.losses[name]) == pytest.approx(float(plain.losses[name]), rel=1e-5)
    last, last_other = layer.quantizers[-1], other.quantizers[-1]
    np.testing.assert_allclose(last.counts, last_other.counts, rtol=1e-6)
    np.testing.assert_allclose(last.codebook, last_other.codebook, rtol=1e-5, atol=1e-6)
    # Without the moving average's step, which came after.
    if not training:
        np.testing.assert_array_equal(layer.encode(spoilt, mask), masked.tokens)


def dropping(*levels, dropout=1.0, **options):
    return residual(*levels, dropout=dropout, seed=3, **options)


@pytest.mark.parametrize(
    ("dropout", "expected"), [(1.0, [1 / 3, 1 / 3, 1 / 3]), (0.3, [0.1, 0.1, 0.8]), (0, [0, 0, 1])]
)
@pytest.mark.parametrize("in_graph", [False, True])
def test_dropout_keeps_the_first_levels_of_each_example(dropout, expected, in_graph):
    layer = dropping(*(vector([[1.0]]) for _ in range(3)), dropout=dropout)
    call = tf.function(layer) if in_graph else layer
    latents = np.zeros((6000, 2, 1), "float32")
    kept = call(latents, training=True).latents.numpy()[..., 0]
    np.testing.assert_array_equal(kept[:, 0], kept[:, 1])  # an example is dropped as a whole
    shares = [(kept[:, 0] == n).mean() for n in (1, 2, 3)]
    np.testing.assert_allclose(shares, expected, atol=0.02)
    again = call(latents, training=True).latents.numpy()[..., 0]
    assert (again != kept).any() == (dropout > 0)
    assert (call(latents, training=False).latents.numpy() == 3.0).all()


def test_the_seed_decides_what_drops():
    latents = np.zeros((50, 1, 1), "float32")
    kept = [
        residual(*(vector([[1.0]]) for _ in range(4)), dropout=0.5, seed=seed)(latents, training=True).latents.numpy()
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(kept[0], kept[1])
    assert (kept[0] != kept[2]).any()


def test_a_dropped_level_adds_nothing_to_latents_losses_and_gradients():
    layer = dropping(*random_levels(20, 12, 8))
    latents, weights = random(40, 5, 4, seed=9), random(40, 5, 4, seed=1)
    tokens, sums, _ = oracle(latents, [level.codebook.numpy() for level in layer.quantizers])
    with tf.GradientTape(persistent=True) as tape:
        x = tf.constant(latents)
        tape.watch(x)
        quantized = layer(x, training=True)
        total = keras.ops.sum(quantized.latents * weights)
    error = np.stack([np.abs(quantized.latents - each).max(axis=(1, 2)) for each in sums])
    kept = error.argmin(axis=0)  # index of the last level used
    assert (error.min(axis=0) < 1e-5).all() and set(kept) == {0, 1, 2}
    np.testing.assert_array_equal(quantized.tokens, tokens)  # also of dropped levels: what `encode` finds
    commitments, gradient = [], 0.0
    for level, each in enumerate(sums):
        used = kept >= level
        commitments.append(((latents - each)[used] ** 2).mean())
        gradient = gradient + 2 * (latents - each) * used[:, None, None] / (used.sum() * 20) / 3
    assert float(quantized.losses["commitment"]) == pytest.approx(np.mean(commitments), rel=1e-5)
    np.testing.assert_allclose(tape.gradient(quantized.losses["commitment"], x), gradient, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(tape.gradient(total, x), weights, rtol=1e-6)


@pytest.mark.parametrize("masked", [False, True])
def test_a_dropped_level_keeps_its_moving_averages(masked):
    start = [random(6, 2, seed=1), random(6, 2, seed=2) / 2]
    layer = dropping(*(moving(codebook) for codebook in start))
    latents = random(30, 5, 2, seed=9)
    mask = np.random.default_rng(5).random((30, 5)) < 0.6 if masked else np.ones((30, 5), bool)
    tokens, sums, _ = oracle(latents, start)
    quantized = layer(latents, training=True, mask=mask if masked else None)
    error = np.where(mask[..., None], np.abs(quantized.latents - sums[1]), 0.0)
    kept = mask.any(axis=1) & (error.max(axis=(1, 2)) < 1e-5)
    assert 5 < kept.sum() < 25
    used = mask & kept[:, None]
    counts = 0.99 + 0.01 * np.bincount(tokens[..., 1][used], minlength=6)
    np.testing.assert_allclose(layer.quantizers[1].counts, counts, rtol=1e-5)
    counts = 0.99 + 0.01 * np.bincount(tokens[..., 0][mask], minlength=6)
    np.testing.assert_allclose(layer.quantizers[0].counts, counts, rtol=1e-5)
    # The tokens of the kept levels are those of the codebooks before this step.
    np.testing.assert_array_equal(quantized.tokens.numpy()[used], tokens[used])
    assert (quantized.tokens.numpy()[~mask] == 0).all()


def test_frozen_levels_stay():
    layer = residual(*(moving(random(6, 2, seed=i)) for i in range(2)))
    layer.trainable = False
    before = [variable.numpy().copy() for variable in layer.variables]
    layer(random(3, 9, 2), training=True)
    for one, variable in zip(before, layer.variables, strict=True):
        np.testing.assert_array_equal(one, variable)
    assert len(before) == 8


def test_levels_of_other_kinds_and_several_codebooks():
    grouped = GroupedQuantizer([vector(random(7, 2, seed=1)), vector(random(5, 2, seed=2))])
    layer = residual(moving(2 * random(9, 4)), grouped, vector(random(6, 4, seed=3) / 4))
    assert layer.codebook_sizes == (9, 7, 5, 6) and layer.num_codebooks == 4
    assert layer.loss_names == ("commitment", "codebook")
    latents = random(3, 6, 4, seed=9)
    quantized = layer(latents)
    tokens = quantized.tokens.numpy()
    first, rest = layer.quantizers[0](latents), latents - layer.quantizers[0](latents).latents
    second = grouped(rest)
    third = layer.quantizers[2](rest - second.latents)
    np.testing.assert_array_equal(tokens[..., :1], first.tokens)
    np.testing.assert_array_equal(tokens[..., 1:3], second.tokens)
    np.testing.assert_array_equal(tokens[..., 3:], third.tokens)
    np.testing.assert_allclose(quantized.latents, first.latents + second.latents + third.latents, atol=1e-6)
    parts = [first.losses, second.losses, third.losses]
    assert float(quantized.losses["commitment"]) == pytest.approx(np.mean([p["commitment"] for p in parts]), rel=1e-5)
    # The moving average has no codebook loss: the mean over the levels that have one.
    assert float(quantized.losses["codebook"]) == pytest.approx(np.mean([p["codebook"] for p in parts[1:]]), rel=1e-5)
    np.testing.assert_array_equal(layer.decode(tokens[..., :3]), first.latents + second.latents)
    message = r"4 codebooks, of which the first \[1, 3, 4\] can be used without the others. Received: 2 codebooks"
    for cut in (
        lambda: layer.decode(tokens[..., :2]),
        lambda: layer.decode(tokens, num_codebooks=2),
        lambda: layer.encode(latents, num_codebooks=2),
        lambda: layer.check_tokens(keras.Input((6, 2), dtype="int32")),
    ):
        with pytest.raises(ValueError, match=message):
            cut()


def test_one_codebook_shared_by_all_levels_stays_shared_in_a_file(tmp_path):
    shared = vector(random(9, 4))
    layer = ResidualQuantizer([shared, vector(random(5, 4, seed=1)), shared])
    inputs = keras.Input((None, 4))
    model = keras.Model(inputs, layer(inputs))
    assert [v.shape for v in layer.trainable_variables] == [(9, 4), (5, 4)]
    _, of_shared, _, again = gradients(lambda q: q.losses["codebook"], layer, random(2, 30, 4, seed=9))
    np.testing.assert_array_equal(of_shared, again)
    model.save(tmp_path / "it.keras")
    loaded = keras.models.load_model(tmp_path / "it.keras")
    copy = loaded.layers[-1]
    assert copy.quantizers[0] is copy.quantizers[2] is not copy.quantizers[1]
    np.testing.assert_array_equal(loaded(random(2, 7, 4))[1], layer.encode(random(2, 7, 4)))
    np.testing.assert_array_equal(copy.quantizers[2].codebook, shared.codebook)


def test_config_round_trip():
    layer = ResidualQuantizer([VectorQuantizer(5), EMAVectorQuantizer(6, decay=0.5)], dropout=0.25, seed=4)
    config = layer.get_config()
    copy = ResidualQuantizer.from_config(config)
    assert copy.get_config() == config
    assert [type(q) for q in copy.quantizers] == [VectorQuantizer, EMAVectorQuantizer]
    assert (copy.dropout, copy.seed, copy.quantizers[1].decay, copy.codebook_sizes) == (0.25, 4, 0.5, (5, 6))


def test_the_portable_form_gives_the_same_tokens_and_codes():
    grouped = GroupedQuantizer([vector(random(7, 2, seed=1)), vector(random(5, 2, seed=2))])
    layer = residual(moving(2 * random(9, 4)), grouped, vector(random(6, 4, seed=3) / 4))
    latents, tokens = keras.Input((None, None, 4)), keras.Input((None, None, 4), dtype="int32")
    encoder = keras.Model(latents, layer.portable_encode(latents))
    decoder = keras.Model(tokens, layer.portable_decode(tokens))
    x = random(2, 5, 8, 4, seed=9)
    np.testing.assert_array_equal(encoder(x), layer.encode(x))
    np.testing.assert_array_equal(decoder(layer.encode(x)), layer(x).latents)


def test_tokens_out_of_range_name_their_level():
    layer = residual(*random_levels(4, 3))
    layer.check_tokens([[[3, 2]]])
    layer.check_tokens([[[3]]])
    for tokens, message in (
        ([[[3, 3]]], r"Tokens of codebook 1 must be in \[0, 3\). Received: values from 3 to 3"),
        ([[[4]]], r"Tokens of codebook 0 must be in \[0, 4\). Received: values from 4 to 4"),
        ([[[-1, 0]]], "codebook 0.*values from -1 to -1"),
        ([[[0.5]]], "Tokens must be integers"),
        ([[[0, 0, 0]]], r"the first \[1, 2\] can be used without the others. Received: 3 codebooks"),
    ):
        with pytest.raises(ValueError, match=message):
            layer.decode(tokens)
    clipped = tf.function(layer.decode)(tf.constant([[[9, -4]]]))
    np.testing.assert_array_equal(clipped, layer.decode([[[3, 0]]]))


@pytest.mark.parametrize("quantizers", [None, [], VectorQuantizer(3), ["ema"], [VectorQuantizer(3), None]])
def test_quantizers_are_a_list_of_quantizers(quantizers):
    with pytest.raises(ValueError, match="list of one or more vqzoo.quantizers.Quantizer.*Received: quantizers="):
        ResidualQuantizer(quantizers)


@pytest.mark.parametrize("dropout", [-0.1, 1.5, float("nan")])
def test_dropout_is_a_share(dropout):
    with pytest.raises(ValueError, match=f"`dropout` must be in .* Received: dropout={dropout}"):
        ResidualQuantizer([VectorQuantizer(3)], dropout=dropout)


def test_levels_keep_the_width():
    layer = ResidualQuantizer([GaussianQuantizer(VectorQuantizer(3), 2, name="narrow")])
    layer.build((None, None, 4))
    for run in (layer, layer.encode):
        with pytest.raises(
            ValueError, match="must keep the width of the latents, here 4. Received: 'narrow', whose codes have width 2"
        ):
            run(random(1, 3, 4))


def test_the_width_is_known_when_built():
    with pytest.raises(ValueError, match=r"must be known.*Received: input shape \(None, 4, None\)"):
        ResidualQuantizer([VectorQuantizer(3)]).build((None, 4, None))


# Logical devices must be made before TensorFlow starts, so in a process of its own.
TWO_REPLICAS = """
import numpy as np
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], 2 * [tf.config.LogicalDeviceConfiguration()]
)
from vqzoo.quantizers import EMAVectorQuantizer
from vqzoo.quantizers import ResidualQuantizer

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
rng = np.random.default_rng(0)
K, LEVELS, N, D, STEPS = 12, 3, 80, 3, 15
starts = [tf.constant(rng.normal(size=(K, D)) / 2**level, tf.float32) for level in range(LEVELS)]
# The replicas see different halves of the plane.
halves = np.stack([[1.0], [-1.0]])[:, None, None] * np.abs(rng.normal(size=(2, STEPS, N, D))).astype("float32")
halves = halves.astype("float32")

def make(**options):
    levels = [
        EMAVectorQuantizer(K, lambda shape, dtype, s=s: s, kmeans_steps=0, restart_below=0.0, decay=0.8) for s in starts
    ]
    layer = ResidualQuantizer(levels, **options)
    layer.build((None, None, D))
    return layer

def trainer(**options):
    with strategy.scope():
        layer = make(**options)
    @tf.function
    def step(x):
        def run(x):
            quantized = layer(x, training=True)
            return quantized.tokens, quantized.losses["commitment"]
        return strategy.run(run, args=(x,))
    def train(i):
        per_replica = lambda context: tf.constant(halves[context.replica_id_in_sync_group, i][None])
        tokens, losses = step(strategy.experimental_distribute_values_from_function(per_replica))
        local = strategy.experimental_local_results
        return np.stack([t.numpy()[0] for t in local(tokens)]), [float(l) for l in local(losses)]
    return layer, train

def copies(level):
    local = {name: getattr(level, name).value for name in ("codebook", "counts", "sums", "steps")}
    return {name: [x.numpy() for x in strategy.experimental_local_results(value)] for name, value in local.items()}

layer, train = trainer()
single = make()
for i in range(STEPS):
    tokens, losses = train(i)
    quantized = single(halves[:, i], training=True)
    np.testing.assert_array_equal(tokens, quantized.tokens.numpy())
    np.testing.assert_allclose(np.mean(losses), float(quantized.losses["commitment"]), rtol=1e-5)
for level, other, start in zip(layer.quantizers, single.quantizers, starts):
    for name, (first, second) in copies(level).items():
        np.testing.assert_array_equal(first, second, err_msg=name)
        np.testing.assert_allclose(first, getattr(other, name).numpy(), rtol=1e-6, atol=1e-6, err_msg=name)
    assert copies(level)["steps"] == [STEPS, STEPS]
    assert np.abs(level.codebook.numpy() - start.numpy()).max() > 0.05

# With dropout the copies stay the same.
layer, train = trainer(dropout=0.5, seed=1)
for i in range(STEPS):
    train(i)
for level in layer.quantizers:
    for name, (first, second) in copies(level).items():
        np.testing.assert_array_equal(first, second, err_msg=name)
print("good")
"""


def test_two_replicas_follow_as_one(fresh_python):
    child = fresh_python("-c", TWO_REPLICAS)
    assert child.stdout == "good\n", child.stderr[-3000:]
