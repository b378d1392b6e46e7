import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.quantizers import GumbelQuantizer

KERNEL = np.array([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]], "float32")
BIAS = np.array([0.0, 0.0, 1.0], "float32")
CODEBOOK = np.array([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [-1.0, 0.0, 1.0, 0.0]], "float32")


def quantizer(kernel=KERNEL, bias=BIAS, codebook=CODEBOOK, **options):
    made = GumbelQuantizer(*np.shape(codebook), **{"seed": 0, **options})
    made.build((None, None, len(kernel)))
    made.logits.set_weights([kernel, bias])
    made.codebook.assign(codebook)
    return made


def random(n=50, size=7, channels=5, d=3, seed=0):
    rng = np.random.default_rng(seed)
    shapes = ((1, n, channels), (channels, size), (size,), (size, d))
    return [rng.normal(size=shape).astype("float32") for shape in shapes]


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def noise_of(layer, n):
    """The noise of the next training call, and a way to have it again."""
    state = layer.noise.state.numpy().copy()
    noise = layer._gumbel_noise(tf.zeros((n, layer.codebook_size))).numpy()
    layer.noise.state.assign(state)
    return noise.astype("float64")


def test_typed_out_tokens_and_latents_in_inference():
    # Logits (3, 0, -2), (-1, 1, 2), (0, 0.2, 1): a position that the bias alone decides.
    latents = np.array([[[3.0, 0.0], [-1.0, 0.5], [0.0, 0.1]]], "float32")
    layer = quantizer()
    quantized = layer(latents)
    assert quantized.tokens.numpy().tolist() == [[[0], [2], [2]]]
    assert quantized.latents.numpy().tolist() == [[[1.0, 2.0, 3.0, 4.0], [-1.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 1.0, 0.0]]]
    np.testing.assert_array_equal(layer.encode(latents), quantized.tokens)
    np.testing.assert_array_equal(layer.decode(quantized.tokens), quantized.latents)


@pytest.mark.parametrize("training", [False, True])
def test_kl_is_the_divergence_of_the_probabilities_from_the_uniform_ones(training):
    latents, kernel, bias, codebook = random()
    p = softmax((latents[0] @ kernel + bias).astype("float64"))
    expected = np.mean(np.sum(p * np.log(p / (1 / 7)), axis=1))
    losses = quantizer(kernel, bias, codebook, temperature=0.3)(latents, training=training).losses
    assert list(losses) == ["kl"]
    assert float(losses["kl"]) == pytest.approx(expected, rel=1e-5)


def test_kl_is_0_for_even_probabilities_and_log_k_for_certain_ones():
    layer = quantizer()
    assert float(layer(np.zeros((1, 4, 2), "float32")).losses["kl"]) > 0.1  # the bias
    layer.logits.set_weights([KERNEL, np.zeros(3)])
    assert float(layer(np.zeros((1, 4, 2), "float32")).losses["kl"]) == pytest.approx(0.0, abs=1e-6)
    certain = float(layer(np.full((1, 4, 2), 1e4, "float32")).losses["kl"])
    assert certain == pytest.approx(np.log(3), rel=1e-6)


def test_the_noise_is_gumbels():
    noise = noise_of(quantizer(codebook=np.zeros((3, 1))), 100_000).ravel()
    assert np.isfinite(noise).all()
    assert noise.mean() == pytest.approx(np.euler_gamma, abs=0.01)
    assert noise.var() == pytest.approx(np.pi**2 / 6, rel=0.02)
    # Its distribution function exp(-exp(-x)).
    for x in (-1.0, 0.0, 1.0, 3.0):
        assert (noise < x).mean() == pytest.approx(np.exp(-np.exp(-x)), abs=0.005)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("jit_compile", [None, False, True])
def test_training_draws_tokens_with_the_softmax_of_the_logits(temperature, jit_compile):
    layer = quantizer(temperature=temperature)
    latents = np.tile(np.array([0.3, 0.4], "float32"), (1, 40_000, 1))
    run = lambda x: layer(x, training=True).tokens  # noqa: E731
    run = run if jit_compile is None else tf.function(run, jit_compile=jit_compile)
    shares = np.bincount(run(latents).numpy().ravel(), minlength=3) / 40_000
    np.testing.assert_allclose(shares, softmax(np.array([0.3, 0.8, 0.7])), atol=0.01)  # whatever the temperature
    assert (run(latents[:, :50]).numpy() != run(latents[:, :50]).numpy()).any()


@pytest.mark.parametrize("straight_through", [True, False])
@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_training_equals_the_numpy_oracle_with_its_gradients(straight_through, temperature):
    latents, kernel, bias, codebook = random()
    layer = quantizer(kernel, bias, codebook, temperature=temperature, straight_through=straight_through)
    noisy = latents[0].astype("float64") @ kernel + bias + noise_of(layer, 50)
    y, drawn = softmax(noisy / temperature), np.eye(7)[noisy.argmax(axis=1)]
    arriving = np.random.default_rng(1).normal(size=(50, 3))
    inputs = tf.constant(latents)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        quantized = layer(inputs, training=True)
        total = tf.reduce_sum(quantized.latents[0] * arriving.astype("float32"))
    weights = [inputs, layer.logits.kernel.value, layer.logits.bias.value, layer.codebook.value]
    of_latents, of_kernel, of_bias, of_codebook = tape.gradient(total, weights)

    forward = drawn if straight_through else y
    np.testing.assert_array_equal(quantized.tokens[0, :, 0], noisy.argmax(axis=1))
    if straight_through:
        np.testing.assert_array_equal(quantized.latents[0], codebook[noisy.argmax(axis=1)])  # to the last bit
    np.testing.assert_allclose(quantized.latents[0], forward @ codebook, atol=1e-5)
    of_y = arriving @ codebook.T.astype("float64")
    of_logits = y * (of_y - (y * of_y).sum(axis=1, keepdims=True)) / temperature
    np.testing.assert_allclose(of_codebook, forward.T @ arriving, atol=1e-4)
    np.testing.assert_allclose(of_latents[0], of_logits @ kernel.T, atol=1e-4)
    np.testing.assert_allclose(of_kernel, latents[0].T @ of_logits, atol=1e-4)
    np.testing.assert_allclose(of_bias, of_logits.sum(axis=0), atol=1e-4)


def test_the_gradient_of_kl_is_that_of_the_formula_and_leaves_the_codebook():
    latents, kernel, bias, codebook = random()
    layer = quantizer(kernel, bias, codebook)
    inputs = tf.constant(latents)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        loss = layer(inputs, training=True).losses["kl"]
    of_latents, of_codebook = tape.gradient(loss, [inputs, layer.codebook.value])
    p = softmax((latents[0] @ kernel + bias).astype("float64"))
    divergence = np.sum(p * np.log(p), axis=1, keepdims=True)
    np.testing.assert_allclose(of_latents[0], p * (np.log(p) - divergence) / 50 @ kernel.T, atol=1e-6)
    assert of_codebook is None


class Halving:
    """A schedule: 1, 1/2, 1/4 ..."""

    def __call__(self, step):
        return 0.5 ** keras.ops.cast(step, "float32")


def test_a_schedule_counts_training_calls_alone():
    latents, kernel, bias, codebook = random()
    layer = quantizer(kernel, bias, codebook, temperature=Halving(), straight_through=False)
    train = tf.function(lambda x: layer(x, training=True).latents)
    for step in range(4):
        layer(latents)
        layer.encode(latents)
        assert int(layer.steps) == step
        noisy = latents[0].astype("float64") @ kernel + bias + noise_of(layer, 50)
        np.testing.assert_allclose(train(latents)[0], softmax(noisy * 2.0**step) @ codebook, atol=1e-4)
    layer.trainable = False
    layer(latents, training=True)
    assert int(layer.steps) == 4
    assert layer.steps.dtype == "int32"
    assert "steps" not in [variable.name for variable in layer.trainable_variables]


def test_a_schedule_that_ends_at_0_stays_finite():
    latents, kernel, bias, codebook = random()
    layer = quantizer(kernel, bias, codebook, temperature=keras.optimizers.schedules.CosineDecay(1.0, 2))
    for _ in range(4):
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(layer(latents, training=True).latents)
        assert all(np.isfinite(g).all() for g in tape.gradient(total, layer.logits.trainable_variables))


def test_a_constant_temperature_has_no_counter():
    assert sorted(v.name for v in quantizer().variables) == ["bias", "codebook", "kernel", "seed_generator_state"]


def test_a_small_temperature_makes_the_mixture_the_drawn_code():
    latents, kernel, bias, codebook = random()
    mixture = quantizer(kernel, bias, codebook, temperature=0.001, straight_through=False)
    drawn = quantizer(kernel, bias, codebook, temperature=0.001)
    np.testing.assert_allclose(
        mixture(latents, training=True).latents, drawn(latents, training=True).latents, atol=0.02
    )


@pytest.mark.parametrize("grid", [(6,), (2, 3), (1, 3, 2)])
@pytest.mark.parametrize("training", [False, True])
def test_grids(grid, training):
    latents, kernel, bias, codebook = random(n=12)
    flat = quantizer(kernel, bias, codebook)(latents, training=training)
    quantized = quantizer(kernel, bias, codebook)(latents.reshape(2, *grid, 5), training=training)
    assert quantized.tokens.shape == (2, *grid, 1)
    np.testing.assert_array_equal(quantized.tokens.numpy().ravel(), flat.tokens.numpy().ravel())
    np.testing.assert_array_equal(quantized.latents.numpy().reshape(1, 12, 3), flat.latents)


def test_masked_kl_is_that_of_the_real_positions_and_padding_trains_no_code():
    latents, kernel, bias, codebook = random()
    mask = np.random.default_rng(2).random((1, 50)) < 0.5
    layer = quantizer(kernel, bias, codebook)
    alone = layer(latents[mask][None]).losses["kl"]
    assert float(layer(latents, mask=mask).losses["kl"]) == pytest.approx(float(alone), rel=1e-5)
    with tf.GradientTape() as tape:
        quantized = layer(latents, training=True, mask=mask)
        total = tf.reduce_sum(quantized.latents[tf.constant(~mask)])
    assert not any(np.any(g) for g in tape.gradient(total, layer.trainable_variables))
    assert not quantized.tokens.numpy()[~mask].any()


def test_training_learns_to_tell_clusters_apart():
    rng = np.random.default_rng(0)
    centres = 3 * np.eye(4)
    which = rng.integers(0, 4, 256)
    latents = (centres[which] + 0.3 * rng.normal(size=(256, 4))).astype("float32")[None]
    layer = GumbelQuantizer(4, 4, temperature=keras.optimizers.schedules.CosineDecay(1.0, 200, alpha=0.1), seed=0)
    layer.build((None, None, 4))
    optimizer = keras.optimizers.Adam(0.03)
    optimizer.build(layer.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            quantized = layer(latents, training=True)
            loss = tf.reduce_mean(tf.square(quantized.latents - latents)) + 0.02 * quantized.losses["kl"]
        optimizer.apply(tape.gradient(loss, layer.trainable_variables))

    for _ in range(300):
        step()
    quantized = layer(latents)
    assert float(tf.reduce_mean(tf.square(quantized.latents - latents))) < 0.2  # the noise is 0.09, one code 1.7
    for k in range(4):
        assert len(np.unique(quantized.tokens.numpy()[0, which == k])) == 1


@pytest.mark.parametrize("temperature", [0.7, keras.optimizers.schedules.CosineDecay(1.0, 100, alpha=0.1)])
def test_config_round_trip(temperature):
    layer = GumbelQuantizer(7, 3, temperature, straight_through=False, initializer="ones", seed=5)
    config = layer.get_config()
    again = GumbelQuantizer.from_config(config)
    assert again.get_config() == config
    again.build((None, 2))
    np.testing.assert_array_equal(again.codebook, np.ones((7, 3)))
    now = [float(q.temperature(50)) if callable(q.temperature) else q.temperature for q in (layer, again)]
    assert now[0] == now[1]


def test_new_codes_are_standard_normal():
    layer = GumbelQuantizer(500, 100)
    layer.build((None, 4))
    assert float(keras.ops.std(layer.codebook)) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("value", [0, -2, 4.0, None])
def test_sizes_are_positive_integers(value):
    with pytest.raises(ValueError, match=f"`codebook_size` is a positive integer. Received: codebook_size={value}"):
        GumbelQuantizer(value, 4)
    with pytest.raises(ValueError, match=f"`latent_dim` is a positive integer. Received: latent_dim={value}"):
        GumbelQuantizer(4, value)


@pytest.mark.parametrize("temperature", [0.0, -1.0, None, "low"])
def test_the_temperature_is_positive_or_a_schedule(temperature):
    with pytest.raises(
        ValueError, match=f"`temperature` must be a positive number, or a schedule.*temperature={temperature!r}"
    ):
        GumbelQuantizer(4, 4, temperature)


def test_the_width_of_the_latents_is_known_and_kept():
    with pytest.raises(
        ValueError, match=r"must be known when a quantizer is built. Received: input shape \(None, None\)"
    ):
        GumbelQuantizer(4, 4).build((None, None))
    with pytest.raises(ValueError, match=r"with latent_dim=2. Received: shape=\(1, 2, 3\)"):
        quantizer().encode(np.zeros((1, 2, 3), "float32"))


def test_tokens_out_of_range_are_refused_and_clipped_in_a_graph():
    layer = quantizer()
    with pytest.raises(ValueError, match=r"Tokens of codebook 0 must be in \[0, 3\)"):
        layer.decode([[3]])
    np.testing.assert_array_equal(tf.function(layer.decode)(tf.constant([[-1], [9]])), CODEBOOK[[0, 2]])


def test_the_portable_form_gives_the_same_tokens_and_codes():
    latents, kernel, bias, codebook = random(400, 50)
    layer = quantizer(kernel, bias, codebook)
    inputs, tokens = keras.Input((None, 5)), keras.Input((None, 1), dtype="int32")
    encoder = keras.Model(inputs, layer.portable_encode(inputs))
    decoder = keras.Model(tokens, layer.portable_decode(tokens))
    expected = layer.encode(latents)
    assert len(np.unique(expected)) > 20
    np.testing.assert_array_equal(encoder(latents), expected)
    np.testing.assert_array_equal(decoder(expected), layer.decode(expected))


def test_an_assigned_codebook_is_used_and_checked():
    layer = quantizer()
    values = np.arange(12, dtype="float32").reshape(3, 4)
    layer.assign_codebook(values.tolist())
    np.testing.assert_array_equal(layer.codebook, values)
    np.testing.assert_array_equal(layer.decode(np.array([[[2], [0]]])), values[[[2, 0]]])
    with pytest.raises(ValueError, match=r"here \(3, 4\). Received: shape=\(4, 3\)"):
        layer.assign_codebook(values.reshape(4, 3))
    with pytest.raises(ValueError, match="A codebook must be finite. Received: values that are NaN or infinite"):
        layer.assign_codebook(np.full((3, 4), np.nan))
    np.testing.assert_array_equal(layer.codebook, values)
