import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.quantizers import SimVectorQuantizer
from vqzoo.quantizers import VectorQuantizer

FROZEN = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], "float32")
MAP = np.array([[0.0, 2.0], [-1.0, 0.0]], "float32")  # a quarter turn, and twice as long along the first axis
CODEBOOK = [[0.0, 0.0], [0.0, 2.0], [-1.0, 0.0]]
LATENTS = np.array([[[0.25, 0.5], [0.0, 1.5], [-2.0, 0.0], [-1.0, 0.0]]], "float32")


def quantizer(frozen=FROZEN, linear_map=MAP, **options):
    made = SimVectorQuantizer(len(frozen), **options)
    made.build((None, None, np.shape(frozen)[1]))
    made.assign_codebook(frozen)
    made.linear_map.assign(linear_map)
    return made


def gradients(of, layer, latents):
    latents = tf.constant(latents, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(latents)
        tape.watch(layer.frozen_codebook.value)
        value = of(layer(latents, training=True))
    found = tape.gradient(value, [latents, layer.linear_map.value])
    return [None if gradient is None else gradient.numpy() for gradient in found]


def random(n=60, size=12, d=5):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in ((1, n, d), (size, d), (d, d))]


def test_typed_out_tokens_latents_and_losses():
    layer = quantizer()
    np.testing.assert_array_equal(layer.codebook, CODEBOOK)
    quantized = layer(LATENTS)
    assert quantized.tokens.numpy().tolist() == [[[0], [1], [2], [2]]]
    assert quantized.latents.numpy().tolist() == [[[0.0, 0.0], [0.0, 2.0], [-1.0, 0.0], [-1.0, 0.0]]]
    # (0.0625 + 0.25 + 0.25 + 1) / 8.
    assert {name: float(loss) for name, loss in quantized.losses.items()} == {
        "codebook": 0.1953125,
        "commitment": 0.1953125,
    }


def test_equals_the_numpy_oracle_with_its_gradients():
    latents, frozen, linear_map = random()
    layer = quantizer(frozen, linear_map)
    codes, z = frozen @ linear_map, latents[0]
    tokens = ((z[:, None] - codes) ** 2).sum(axis=-1).argmin(axis=1)
    quantized = layer(latents)
    np.testing.assert_array_equal(quantized.tokens[0, :, 0], tokens)
    np.testing.assert_allclose(quantized.latents[0], codes[tokens], atol=1e-5)
    np.testing.assert_allclose(layer.codebook, codes, atol=1e-5)
    for loss in quantized.losses.values():
        assert float(loss) == pytest.approx(np.mean((z - codes[tokens]) ** 2), rel=1e-5)

    difference = 2 * (codes[tokens] - z) / z.size
    of_latents, of_map = gradients(lambda quantized: quantized.losses["codebook"], layer, latents)
    assert of_latents is None
    np.testing.assert_allclose(of_map, frozen[tokens].T @ difference, rtol=1e-4, atol=1e-6)
    of_latents, of_map = gradients(lambda quantized: quantized.losses["commitment"], layer, latents)
    assert of_map is None
    np.testing.assert_allclose(of_latents[0], -difference, rtol=1e-4, atol=1e-6)
    weights = np.random.default_rng(3).normal(size=latents.shape).astype("float32")
    of_latents, of_map = gradients(lambda quantized: keras.ops.sum(quantized.latents * weights), layer, latents)
    assert of_map is None
    np.testing.assert_array_equal(of_latents, weights)


def test_only_the_map_is_trained_and_a_step_moves_every_code():
    layer = quantizer()
    assert [variable.name for variable in layer.trainable_variables] == ["linear_map"]
    assert [variable.name for variable in layer.non_trainable_variables] == ["codebook"]
    layer = quantizer(*random()[1:])
    before = layer.codebook.numpy()
    with tf.GradientTape() as tape:
        loss = layer(random()[0][:, :1], training=True).losses["codebook"]  # one code is chosen
    keras.optimizers.SGD(0.1).apply(tape.gradient(loss, layer.trainable_variables), layer.trainable_variables)
    assert (np.abs(layer.codebook.numpy() - before).max(axis=1) > 1e-4).all()


def usage_after_training(layer, data):
    """Share of the codes that the data use after 300 steps of Adam on the codebook loss, and that loss."""
    optimizer = keras.optimizers.Adam(0.02)
    optimizer.build(layer.trainable_variables)

    @tf.function
    def step(latents):
        with tf.GradientTape() as tape:
            loss = layer(latents, training=True).losses["codebook"]
        optimizer.apply(tape.gradient(loss, layer.trainable_variables))

    rng = np.random.default_rng(1)
    for _ in range(300):
        step(data[rng.integers(0, len(data), 512)][None])
    quantized = layer(data[None])
    return len(np.unique(quantized.tokens)) / layer.codebook_size, float(quantized.losses["codebook"])


def test_all_codes_stay_in_use_where_a_codebook_of_its_own_rows_collapses():
    rng = np.random.default_rng(0)
    size, d = 256, 8
    # The encoder's latents are ten times as far out as the codes: at first only the outermost codes are nearest.
    data = (5.0 * rng.normal(size=(20_000, d))).astype("float32")
    start = (rng.normal(size=(size, d)) / d**0.5).astype("float32")
    one, other = quantizer(start, np.eye(d)), VectorQuantizer(size)
    other.build((None, None, d))
    other.assign_codebook(start)
    (usage, loss), (collapsed, worse) = usage_after_training(one, data), usage_after_training(other, data)
    assert usage > 0.99
    assert collapsed < 0.6
    assert loss < 0.95 * worse


@pytest.mark.parametrize("grid", [(4,), (2, 2), (1, 2, 2)])
def test_grids(grid):
    tokens = quantizer().encode(LATENTS.reshape(1, *grid, 2))
    assert tokens.numpy().tolist() == np.array([0, 1, 2, 2]).reshape(1, *grid, 1).tolist()
    expected = np.array(CODEBOOK)[[0, 1, 2, 2]].reshape(1, *grid, 2)
    np.testing.assert_array_equal(quantizer().decode(tokens), expected)


def test_masked_losses_are_those_of_the_real_positions_alone():
    mask = np.array([[True, False, True, False]])
    losses = quantizer()(LATENTS, mask=mask).losses
    assert float(losses["codebook"]) == float(losses["commitment"]) == (0.0625 + 0.25 + 1.0) / 4


def test_new_codes_are_normal_with_variance_one_over_the_width():
    layer = SimVectorQuantizer(3000)
    layer.build((None, None, 16))
    codebook = layer.codebook.numpy()
    np.testing.assert_array_equal(layer.linear_map, np.eye(16))
    np.testing.assert_allclose(codebook.T @ codebook / 3000, np.eye(16) / 16, atol=0.01)
    kurtosis = (codebook**4).mean() / (codebook**2).mean() ** 2
    assert kurtosis == pytest.approx(3.0, rel=0.05)  # a normal distribution's; a uniform one's is 1.8


def test_an_assigned_codebook_is_read_back_whatever_the_map_was():
    layer = quantizer()
    values = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], "float32")
    layer.assign_codebook(values)
    np.testing.assert_array_equal(layer.codebook, values)
    np.testing.assert_array_equal(layer.decode(np.array([[[2]]])), [[[5.0, 6.0]]])
    with pytest.raises(ValueError, match=r"here \(3, 2\). Received: shape=\(2, 3\)"):
        layer.assign_codebook(values.T)


def test_config_round_trip():
    layer = quantizer(initializer=keras.initializers.RandomNormal(stddev=0.3, seed=1), temperature=0.1)
    again = SimVectorQuantizer.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    again.build((None, 2))
    np.testing.assert_array_equal(again.codebook, keras.initializers.RandomNormal(stddev=0.3, seed=1)((3, 2)))


def test_the_portable_form_gives_the_same_tokens_and_codes():
    latents, frozen, linear_map = random(400, 50)
    layer = quantizer(frozen, linear_map)
    inputs, tokens = keras.Input((None, 5)), keras.Input((None, 1), dtype="int32")
    encoder = keras.Model(inputs, layer.portable_encode(inputs))
    decoder = keras.Model(tokens, layer.portable_decode(tokens))
    expected = layer.encode(latents)
    np.testing.assert_array_equal(encoder(latents), expected)
    np.testing.assert_allclose(decoder(expected), layer.decode(expected), atol=1e-5)
