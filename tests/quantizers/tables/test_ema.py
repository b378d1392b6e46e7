import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import spread_rows
from vqzoo.quantizers import EMAVectorQuantizer

STATE = ("codebook", "counts", "sums", "steps")


class Oracle:
    """The equations of the docstring in float64, one loop over codes."""

    def __init__(self, codebook, decay=0.99, epsilon=1e-5, kmeans_steps=0, restart_below=0.0):
        self.codebook = np.array(codebook, "float64")
        self.counts, self.sums = np.ones(len(codebook)), self.codebook.copy()
        self.decay, self.epsilon = decay, epsilon
        self.kmeans_steps, self.restart_below = kmeans_steps, restart_below
        self.steps, self.restarts = 0, 0

    def step(self, latents, candidates):
        if self.steps == 0 and self.kmeans_steps > 0:
            self.codebook = candidates.astype("float64")
        tokens = ((latents[:, None] - self.codebook) ** 2).sum(axis=-1).argmin(axis=1)
        decay = min(self.steps / (self.steps + 1), self.decay) if self.steps < self.kmeans_steps else self.decay
        for k in range(len(self.codebook)):
            chosen = latents[tokens == k]
            self.counts[k] = decay * self.counts[k] + (1 - decay) * len(chosen)
            self.sums[k] = decay * self.sums[k] + (1 - decay) * chosen.sum(axis=0)
        mean_count = self.counts.mean()
        for k in np.flatnonzero(self.counts < self.restart_below * mean_count):
            self.counts[k], self.sums[k] = mean_count, mean_count * candidates[k]
            self.restarts += 1
        total = self.counts.sum()
        smoothed = (self.counts + self.epsilon) / (total + len(self.counts) * self.epsilon) * total
        self.codebook = self.sums / smoothed[:, None]
        self.steps += 1
        return tokens


def quantizer(codebook, **options):
    codebook = np.asarray(codebook, "float32")
    options = {"kmeans_steps": 0, "restart_below": 0.0, **options}
    made = EMAVectorQuantizer(len(codebook), lambda shape, dtype: tf.constant(codebook, dtype), **options)
    made.build((None, None, codebook.shape[1]))
    return made


def state(layer):
    return {name: np.array(keras.ops.convert_to_numpy(getattr(layer, name))) for name in STATE}


def clusters(seed, n, size=10, d=3):
    """Latents of `size` clusters of very different weight, so that some codes see few of them."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(scale=3.0, size=(size, d))
    weights = 0.5 ** np.arange(size)
    which = rng.choice(size, n, p=weights / weights.sum())
    return (centres[which] + 0.3 * rng.normal(size=(n, d))).astype("float32")


@pytest.mark.parametrize("decay", [0.0, 1.0, -0.1, 99])
def test_decay_lies_between_0_and_1(decay):
    with pytest.raises(ValueError, match=f"`decay` must be in .0, 1.. Received: decay={decay}. 0.99 averages"):
        EMAVectorQuantizer(4, decay=decay)


@pytest.mark.parametrize("epsilon", [0.0, -1e-5])
def test_epsilon_is_positive(epsilon):
    with pytest.raises(ValueError, match=f"`epsilon` must be positive.*Received: epsilon={epsilon}"):
        EMAVectorQuantizer(4, epsilon=epsilon)


def test_kmeans_steps_are_not_negative():
    with pytest.raises(ValueError, match="`kmeans_steps` must be 0 or more. Received: kmeans_steps=-1"):
        EMAVectorQuantizer(4, kmeans_steps=-1)


@pytest.mark.parametrize("fraction", [-0.01, 1.0])
def test_restart_below_is_a_fraction(fraction):
    with pytest.raises(ValueError, match=f"`restart_below` must be a fraction.*Received: restart_below={fraction}"):
        EMAVectorQuantizer(4, restart_below=fraction)


def test_typed_out_step():
    layer = quantizer([[0.0], [10.0]], decay=0.5)
    quantized = layer(np.array([[[1.0], [2.0], [9.0]]], "float32"), training=True)
    # Tokens, latents and loss are those of the codebook before the step: (1 + 4 + 1) / 3.
    assert quantized.tokens.numpy().tolist() == [[[0], [0], [1]]]
    assert quantized.latents.numpy().tolist() == [[[0.0], [0.0], [10.0]]]
    assert {name: float(loss) for name, loss in quantized.losses.items()} == {"commitment": 2.0}
    # From one count at its place each: N = (1 + 2) / 2, (1 + 1) / 2 and S = (0 + 3) / 2, (10 + 9) / 2.
    assert layer.counts.numpy().tolist() == [1.5, 1.0]
    assert layer.sums.numpy().tolist() == [[1.5], [9.5]]
    np.testing.assert_allclose(layer.codebook, [[1.0], [9.5]], rtol=1e-4)
    assert int(layer.steps) == 1


def test_typed_out_k_means():
    layer = quantizer([[50.0], [60.0]], kmeans_steps=2, restart_below=0.05)
    # The first vector of the batch and the one at golden ratio 0.618 of it: 0 and 5.
    first = layer(np.array([[[0.0], [1.0], [5.0], [7.0]]], "float32"), training=True)
    assert first.latents.numpy().tolist() == [[[0.0], [0.0], [5.0], [5.0]]]
    np.testing.assert_allclose(layer.codebook, [[0.5], [6.0]], rtol=1e-4)  # a Lloyd iteration
    layer(np.array([[[1.5], [6.0], [6.0], [6.0]]], "float32"), training=True)
    # The means over both batches: (0 + 1 + 1.5) / 3 and (5 + 7 + 6 + 6 + 6) / 5.
    np.testing.assert_allclose(layer.codebook, [[2.5 / 3], [6.0]], rtol=1e-4)
    np.testing.assert_allclose(layer.counts, [1.5, 2.5])
    layer(np.array([[[1.0], [1.0], [1.0], [1.0]]], "float32"), training=True)
    np.testing.assert_allclose(layer.counts, [0.99 * 1.5 + 0.04, 0.99 * 2.5], rtol=1e-6)  # the average from here on


@pytest.mark.parametrize(
    ("options", "restarts"),
    [
        ({}, False),
        ({"decay": 0.8, "epsilon": 0.1}, False),
        ({"kmeans_steps": 5, "restart_below": 0.2}, True),
        ({"decay": 0.6, "kmeans_steps": 10, "restart_below": 0.2}, True),
        ({"decay": 0.8, "restart_below": 0.1}, True),
    ],
)
@pytest.mark.parametrize("in_graph", [False, True])
def test_twenty_steps_equal_the_float64_oracle(options, restarts, in_graph):
    start = 0.5 * np.random.default_rng(1).normal(size=(16, 3)).astype("float32")
    layer, oracle = quantizer(start, **options), Oracle(start, **options)
    train = lambda latents: layer(latents, training=True)  # noqa: E731
    train = tf.function(train) if in_graph else train
    for i in range(20):
        latents = clusters(i, 240)
        candidates = spread_rows(latents, 16, i).numpy()
        tokens = train(latents.reshape(4, 6, 10, 3)).tokens
        np.testing.assert_array_equal(tokens.numpy().ravel(), oracle.step(latents, candidates))
        np.testing.assert_allclose(layer.counts, oracle.counts, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(layer.sums, oracle.sums, rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(layer.codebook, oracle.codebook, rtol=1e-5, atol=1e-5)
    assert int(layer.steps) == 20
    assert (oracle.restarts > 0) == restarts
    assert np.abs(layer.codebook.numpy() - start).max() > 1.0


def test_the_state_moves_in_training_and_never_otherwise():
    layer = quantizer(clusters(0, 8), kmeans_steps=3, restart_below=0.05)
    latents = clusters(1, 100)[None]
    for moved in range(3):
        before = state(layer)
        for training in (False, None):
            layer(latents, training=training)
        tf.function(layer)(latents)
        layer.decode(layer.encode(latents))
        for name, value in state(layer).items():
            np.testing.assert_array_equal(value, before[name], err_msg=name)
        layer(latents, training=True)
        assert int(layer.steps) == moved + 1
        for name, value in state(layer).items():
            assert (value != before[name]).any(), name


def test_nothing_is_trainable_and_the_gradient_is_straight_through():
    layer = quantizer([[0.0], [10.0]])
    latents = tf.constant([[[1.0], [8.0]]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(latents)
        quantized = layer(latents, training=True)
        total, commitment = tf.reduce_sum(quantized.latents), quantized.losses["commitment"]
    assert not layer.trainable_variables
    assert not layer.losses
    assert tape.gradient(total, latents).numpy().tolist() == [[[1.0], [1.0]]]
    assert tape.gradient(commitment, latents).numpy().tolist() == [[[1.0], [-2.0]]]  # 2 (z - e) / 2
    assert layer.loss_names == ("commitment",)


def test_k_means_starts_from_different_vectors_of_the_batch():
    layer = quantizer(np.zeros((256, 3)), kmeans_steps=1)
    latents = np.random.default_rng(0).normal(size=(1000, 3)).astype("float32")
    used = np.unique(layer(latents[None], training=True).tokens)
    assert len(used) == 256  # a vector that is chosen twice leaves the second code without latents


def test_a_codebook_without_a_chosen_code_stays_where_it_is():
    layer = quantizer([[0.0], [10.0], [-20.0]])
    for _ in range(50):
        layer(np.array([[[1.0], [9.0]]], "float32"), training=True)
    np.testing.assert_allclose(layer.codebook.numpy()[2], -20.0, rtol=1e-4)
    assert float(layer.counts[2]) == pytest.approx(0.99**50, rel=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_latents_keep_the_state_in_float32(dtype):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(f"mixed_{dtype}")
    try:
        layer = quantizer([[-1.0], [1.0]])
        oracle = Oracle([[-1.0], [1.0]])
        train = tf.function(lambda latents: layer(latents, training=True))
        for i in range(600):
            # 1822 and 1823 in turn; float16 and bfloat16 hold neither 1822.3 nor the steps to it.
            latents = np.concatenate([np.full((1822 + i % 2, 1), -1.5), np.full((278, 1), 0.5)])
            quantized = train(tf.cast(latents[None], dtype))
            oracle.step(latents, None)
    finally:
        keras.config.set_dtype_policy(before)
    assert {getattr(layer, name).dtype for name in ("codebook", "counts", "sums")} == {"float32"}
    assert quantized.latents.dtype == "float32"
    assert oracle.counts[0] == pytest.approx(1818.1, abs=0.1)
    np.testing.assert_allclose(layer.counts, oracle.counts, rtol=1e-5)
    np.testing.assert_allclose(layer.codebook, oracle.codebook, rtol=1e-5)


def usage(layer, latents):
    return len(np.unique(layer.encode(latents[None]))) / layer.codebook_size


def test_a_codebook_far_away_is_revived_in_one_step():
    latents = np.random.default_rng(0).normal(size=(2000, 4)).astype("float32")
    start = 1000.0 + np.random.default_rng(1).uniform(size=(32, 4))
    layer = quantizer(start, decay=0.5, restart_below=0.05)
    assert usage(layer, latents) == 1 / 32
    layer(latents[None], training=True)
    # One code had all 2000 latents, the others none: they are vectors of the batch now.
    rows = {tuple(np.round(row, 3)) for row in latents.tolist()}
    revived = [tuple(np.round(row, 3)) in rows for row in layer.codebook.numpy().tolist()]
    assert sum(revived) == 31
    assert usage(layer, latents) == 1.0
    layer(latents[None], training=True)
    assert usage(layer, latents) == 1.0


def test_without_restarts_a_codebook_far_away_stays_dead():
    latents = np.random.default_rng(0).normal(size=(2000, 4)).astype("float32")
    layer = quantizer(1000.0 + np.random.default_rng(1).uniform(size=(32, 4)), decay=0.5)
    for _ in range(5):
        layer(latents[None], training=True)
    assert usage(layer, latents) == 1 / 32


def test_the_defaults_learn_a_mixture_better_than_random_points():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(64, 16))
    data = (centres[rng.integers(0, 64, 20_000)] + 0.5 * rng.normal(size=(20_000, 16))).astype("float32")
    held_out = (centres[rng.integers(0, 64, 4000)] + 0.5 * rng.normal(size=(4000, 16))).astype("float32")
    layer = EMAVectorQuantizer(256)
    layer.build((None, None, 16))
    train = tf.function(lambda latents: layer(latents, training=True).losses["commitment"])
    for _ in range(200):
        train(data[rng.integers(0, len(data), 1024)][None])
    learnt = float(layer(held_out[None]).losses["commitment"])
    random_points = []
    for _ in range(3):
        other = quantizer(data[rng.choice(len(data), 256, replace=False)])
        random_points.append(float(other(held_out[None]).losses["commitment"]))
    assert usage(layer, held_out) > 0.95
    assert learnt < 0.8 * min(random_points)
    # No code is better than the noise within a cluster allows, about 4 codes each.
    assert learnt > 0.15


# Logical devices must be made before TensorFlow starts, so in a process of its own.
TWO_REPLICAS = """
import numpy as np
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], 2 * [tf.config.LogicalDeviceConfiguration()]
)
from vqzoo.ops import spread_rows
from vqzoo.quantizers import EMAVectorQuantizer

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
rng = np.random.default_rng(0)
K, N, D, STEPS = 16, 80, 3, 20
start = tf.constant(rng.normal(size=(K, D)), tf.float32)
centres = 3 * rng.normal(size=(10, D))
# The replicas see different clusters.
halves = [
    centres[rng.integers(5 * r, 5 * r + 5, (STEPS, N))] + 0.3 * rng.normal(size=(STEPS, N, D)) for r in (0, 1)
]
halves = np.stack(halves).astype("float32")  # (replicas, STEPS, N, D)

def make(**options):
    layer = EMAVectorQuantizer(K, lambda shape, dtype: start, **options)
    layer.build((None, D))
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
        per_replica = lambda context: tf.constant(halves[context.replica_id_in_sync_group, i])
        tokens, losses = step(strategy.experimental_distribute_values_from_function(per_replica))
        local = strategy.experimental_local_results
        return np.stack([t.numpy()[:, 0] for t in local(tokens)]), [float(l) for l in local(losses)]
    return layer, train

def copies(layer):
    local = {name: getattr(layer, name).value for name in ("codebook", "counts", "sums", "steps")}
    return {name: [x.numpy() for x in strategy.experimental_local_results(value)] for name, value in local.items()}

# Plain averages: two replicas with half of the batch each equal one with the whole batch.
options = dict(kmeans_steps=0, restart_below=0.0)
layer, train = trainer(**options)
single = make(**options)
for i in range(STEPS):
    tokens, losses = train(i)
    quantized = single(halves[:, i].reshape(-1, D), training=True)
    np.testing.assert_array_equal(tokens.ravel(), quantized.tokens.numpy().ravel())
    np.testing.assert_allclose(np.mean(losses), float(quantized.losses["commitment"]), rtol=1e-5)
for name, (first, second) in copies(layer).items():
    np.testing.assert_array_equal(first, second, err_msg=name)
    np.testing.assert_allclose(first, getattr(single, name).numpy(), rtol=1e-6, atol=1e-6, err_msg=name)
assert np.abs(first - start.numpy()).max() > 0.1

# k-means and restarts: code k takes its vector from replica k mod 2, and all copies stay the same.
layer, train = trainer(kmeans_steps=5, restart_below=0.5)
counts, sums, codebook, restarts = np.ones(K), start.numpy().astype("float64"), None, 0
for i in range(STEPS):
    rows = [spread_rows(half, K, i).numpy() for half in halves[:, i]]
    candidates = np.stack([rows[k % 2][k] for k in range(K)])
    codebook = candidates if i == 0 else codebook
    batch = halves[:, i].reshape(-1, D)
    expected = ((batch[:, None] - codebook) ** 2).sum(axis=-1).argmin(axis=1)
    tokens, _ = train(i)
    np.testing.assert_array_equal(tokens.ravel(), expected)
    decay = i / (i + 1) if i < 5 else 0.99
    counts = decay * counts + (1 - decay) * np.bincount(expected, minlength=K)
    sums = decay * sums + (1 - decay) * np.stack([batch[expected == k].sum(axis=0) for k in range(K)])
    dead = counts < 0.5 * counts.mean()
    sums[dead], counts[dead] = counts.mean() * candidates[dead], counts.mean()
    restarts += dead.sum()
    codebook = sums / ((counts + 1e-5) / (counts.sum() + K * 1e-5) * counts.sum())[:, None]
    for name, (first, second) in copies(layer).items():
        np.testing.assert_array_equal(first, second, err_msg=name)
    np.testing.assert_allclose(layer.counts.numpy(), counts, rtol=1e-5)
    np.testing.assert_allclose(layer.codebook.numpy(), codebook, rtol=1e-5, atol=1e-5)
assert restarts > 0

# A replica that holds nothing but padding adds nothing: the other alone decides.
for options in (dict(kmeans_steps=0, restart_below=0.0), dict(kmeans_steps=5, restart_below=0.5)):
    with strategy.scope():
        layer = make(**options)
    single = make(**options)
    @tf.function
    def step(x):
        def run(x):
            first = tf.distribute.get_replica_context().replica_id_in_sync_group == 0
            return layer(tf.where(first, x, 1e30), training=True, mask=tf.fill((N,), first)).losses["commitment"]
        return strategy.run(run, args=(x,))
    for i in range(STEPS):
        step(tf.constant(halves[0, i]))
        single(halves[0, i], training=True)
        for name, (first, second) in copies(layer).items():
            np.testing.assert_array_equal(first, second, err_msg=name)
            if not options["kmeans_steps"]:
                np.testing.assert_allclose(first, getattr(single, name).numpy(), rtol=1e-6, atol=1e-6, err_msg=name)
    assert np.abs(layer.codebook.numpy()).max() < 20
    np.testing.assert_allclose(layer.counts.numpy().sum(), single.counts.numpy().sum(), rtol=0.2)
print("good")
"""


def test_two_replicas_follow_as_one(fresh_python):
    child = fresh_python("-c", TWO_REPLICAS)
    assert child.stdout == "good\n", child.stderr[-3000:]


def test_a_code_that_nothing_chose_stays_where_k_means_put_it():
    quantizer = EMAVectorQuantizer(8, restart_below=0.0)
    latents = np.array([[[0.0], [1.0], [2.0], [3.0]]], "float32")  # four vectors for eight codes
    for _ in range(3):
        quantizer(latents, training=True)
    np.testing.assert_allclose(quantizer.codebook.numpy(), spread_rows(latents[0], 8, 0), atol=1e-3)


def masked_batch(seed, n=240, share=0.4):
    """Latents of which about `share` are real; the others are padding that would wreck every statistic."""
    latents = clusters(seed, n)
    mask = np.random.default_rng(seed).random(n) < share
    return np.where(mask[:, None], latents, np.float32(1e30)), mask


@pytest.mark.parametrize("options", [{}, {"kmeans_steps": 5, "restart_below": 0.2, "decay": 0.8}])
@pytest.mark.parametrize("in_graph", [False, True])
def test_twenty_masked_steps_equal_those_of_the_real_positions_alone(options, in_graph):
    start = 0.5 * np.random.default_rng(1).normal(size=(16, 3)).astype("float32")
    layer, alone = quantizer(start, **options), quantizer(start, **options)
    train = lambda latents, mask: layer(latents, training=True, mask=mask)  # noqa: E731
    train = tf.function(train) if in_graph else train
    for i in range(20):
        latents, mask = masked_batch(i)
        masked = train(latents.reshape(4, 60, 3), mask.reshape(4, 60))
        expected = alone(latents[mask][None], training=True)
        np.testing.assert_array_equal(masked.tokens.numpy().ravel()[mask], expected.tokens.numpy().ravel())
        assert not masked.tokens.numpy().ravel()[~mask].any()
        loss = float(expected.losses["commitment"])
        assert float(masked.losses["commitment"]) == pytest.approx(loss, rel=1e-5)
        for name, value in state(alone).items():
            np.testing.assert_allclose(state(layer)[name], value, rtol=1e-5, atol=1e-5, err_msg=name)


def test_k_means_starts_from_real_positions_alone():
    latents, mask = masked_batch(0, n=200, share=0.1)
    layer = quantizer(np.zeros((64, 3)), kmeans_steps=3)
    layer(latents[None], training=True, mask=mask[None])
    assert np.abs(layer.codebook).max() < 20.0
    rows = latents[mask]
    distances = ((layer.codebook.numpy()[:, None] - rows) ** 2).sum(axis=-1).min(axis=1)
    assert distances.max() < 1e-3  # fewer real vectors than codes: each code is one of them


@pytest.mark.parametrize("steps_before", [0, 3])
def test_a_batch_of_padding_alone_is_no_step(steps_before):
    layer = quantizer(clusters(0, 8), kmeans_steps=2, restart_below=0.2)
    for i in range(steps_before):
        layer(clusters(i, 100)[None], training=True)
    before = state(layer)
    quantized = layer(np.full((1, 50, 3), 1e30, "float32"), training=True, mask=np.zeros((1, 50), bool))
    for name, value in state(layer).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)
    assert float(quantized.losses["commitment"]) == 0.0
    # The first real batch still starts k-means.
    if steps_before == 0:
        layer(clusters(7, 100)[None], training=True)
        assert len(np.unique(layer.encode(clusters(7, 100)[None]))) > 4


@pytest.mark.parametrize("options", [{}, {"kmeans_steps": 3, "restart_below": 0.2}])
def test_not_trainable_freezes_everything(options):
    layer = quantizer(clusters(0, 8), **options)
    layer.trainable = False
    before = state(layer)
    quantized = layer(clusters(1, 100)[None], training=True)
    for name, value in state(layer).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)
    assert float(quantized.losses["commitment"]) > 0.0
    layer.trainable = True
    layer(clusters(1, 100)[None], training=True)
    assert int(layer.steps) == 1


def test_a_mask_from_a_keras_layer_reaches_the_statistics():
    inputs = keras.Input((None, 3))
    layer = EMAVectorQuantizer(4, kmeans_steps=1, restart_below=0.0)
    model = keras.Model(inputs, layer(keras.layers.Masking(mask_value=0.0)(inputs)).tokens)
    latents = clusters(1, 100)[None]
    latents[0, 60:] = 0.0
    model(latents, training=True)
    assert float(keras.ops.sum(layer.counts)) == pytest.approx(60.0)


class Tokens(keras.Model):
    """A model that is built on its first batch, as users write them."""

    def __init__(self, quantizer):
        super().__init__()
        self.encoder = keras.layers.Dense(3, kernel_initializer="identity")
        self.quantizer = quantizer

    def call(self, latents, training=False):
        quantized = self.quantizer(self.encoder(latents), training=training)
        self.add_loss(quantized.losses["commitment"])
        return quantized.latents


@pytest.mark.parametrize("how", ["fit", "graph", "eager"])
def test_a_layer_that_is_built_in_its_first_step_follows_as_one_that_was_built_before(how):
    start = clusters(0, 8)
    options = {"kmeans_steps": 0, "restart_below": 0.0, "decay": 0.9}
    lazy = EMAVectorQuantizer(8, lambda shape, dtype: tf.constant(start, dtype), **options)
    oracle = Oracle(start, decay=0.9)
    batches = np.stack([clusters(i, 4) for i in range(5)])  # few latents: most codes are never chosen
    if how == "fit":
        model = Tokens(lazy)
        model.compile(keras.optimizers.SGD(0.0))
        model.fit(batches[:, None], batch_size=1, shuffle=False, verbose=0)
    else:
        train = lambda x: lazy(x, training=True).tokens  # noqa: E731
        train = tf.function(train) if how == "graph" else train
        for batch in batches:
            train(batch[None])
    for batch in batches:
        oracle.step(batch, None)
    np.testing.assert_allclose(lazy.codebook, oracle.codebook, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(lazy.sums, oracle.sums, rtol=1e-4, atol=1e-5)


def test_a_codebook_assigned_before_the_first_step_is_where_the_averages_start():
    layer, expected = quantizer(clusters(0, 8)), quantizer(clusters(1, 8))
    layer.assign_codebook(clusters(1, 8))
    for each in (layer, expected):
        each(clusters(2, 20)[None], training=True)
    for name, value in state(expected).items():
        np.testing.assert_array_equal(state(layer)[name], value, err_msg=name)


BAD = [np.nan, np.inf, -np.inf, 1e30]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("options", [{}, {"kmeans_steps": 3, "restart_below": 0.2, "decay": 0.8}])
def test_latents_that_are_not_finite_count_as_padding_does(bad, options):
    start = clusters(99, 16)
    layer, alone = quantizer(start, **options), quantizer(start, **options)
    train = tf.function(lambda latents: layer(latents, training=True).tokens)
    for i in range(6):
        latents = clusters(i, 120)
        out = np.random.default_rng(i).random(120) < 0.3
        spoilt = latents.copy()
        spoilt[out, i % 3] = bad
        train(spoilt[None])
        alone(latents[~out][None], training=True)
        for name, value in state(alone).items():
            np.testing.assert_allclose(state(layer)[name], value, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("steps_before", [0, 5])
def test_a_batch_without_a_finite_latent_is_no_step(bad, steps_before):
    layer = quantizer(clusters(0, 8), kmeans_steps=2, restart_below=0.2)
    train = tf.function(lambda latents: layer(latents, training=True).tokens)
    for i in range(steps_before):
        train(clusters(i, 50)[None])
    before = state(layer)
    train(np.full((1, 50, 3), bad, "float32"))
    for name, value in state(layer).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)
    for i in range(20):
        train(clusters(i, 200)[None])
    assert float(layer(clusters(7, 200)[None]).losses["commitment"]) < 1.0


def test_a_sample_that_overflows_half_precision_leaves_the_state_finite():
    layer = quantizer(clusters(0, 8), restart_below=0.2)
    train = tf.function(lambda latents: layer(latents, training=True).tokens)
    latents = np.stack([clusters(1, 50), 1e6 * clusters(2, 50)])
    assert not np.isfinite(tf.cast(latents, "float16")).all()
    train(tf.cast(latents, "float16"))
    assert np.abs(layer.codebook).max() < 20.0
    assert len(np.unique(layer.encode(clusters(3, 200)[None]))) > 3


@pytest.mark.parametrize("jit_compile", [None, False, True])
@pytest.mark.parametrize("options", [{}, {"kmeans_steps": 3, "restart_below": 0.2}])
def test_an_empty_batch_is_no_step(jit_compile, options):
    layer = quantizer(clusters(0, 8), **options)

    def train(latents):
        quantized = layer(latents, training=True)
        return quantized.tokens, quantized.losses["commitment"]

    if jit_compile is not None:
        signature = [tf.TensorSpec((None, 4, 3))]
        train = tf.function(train, jit_compile=jit_compile, input_signature=signature)
    for steps in range(3):
        before = state(layer)
        tokens, commitment = train(tf.zeros((0, 4, 3)))
        assert tokens.shape == (0, 4, 1)
        assert float(commitment) == 0.0
        for name, value in state(layer).items():
            np.testing.assert_array_equal(value, before[name], err_msg=name)
        train(tf.constant(clusters(steps, 80).reshape(20, 4, 3)))
        assert int(layer.steps) == steps + 1


@pytest.mark.parametrize("in_graph", [False, True])
def test_k_means_counts_the_nearest_latents_where_a_temperature_draws_tokens(in_graph):
    options = {"kmeans_steps": 3, "restart_below": 0.0, "decay": 0.8}
    drawing = quantizer(clusters(0, 8), temperature=20.0, seed=0, **options)
    sure = quantizer(clusters(0, 8), **options)
    train = lambda latents: drawing(latents, training=True).tokens  # noqa: E731
    train = tf.function(train) if in_graph else train
    for i in range(3):
        tokens = train(clusters(i, 100)[None])
        nearest = sure(clusters(i, 100)[None], training=True).tokens
        assert (tokens.numpy() != nearest.numpy()).mean() > 0.2
        for name, value in state(sure).items():
            np.testing.assert_allclose(state(drawing)[name], value, rtol=1e-5, atol=1e-5, err_msg=name)
    # Afterwards the drawn ones count.
    before = drawing.counts.numpy()
    tokens = train(clusters(3, 100)[None]).numpy().ravel()
    np.testing.assert_allclose(drawing.counts, 0.8 * before + 0.2 * np.bincount(tokens, minlength=8), rtol=1e-5)
