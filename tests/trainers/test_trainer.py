import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqzoo
from vqzoo.losses import l1_loss
from vqzoo.losses import l2_loss
from vqzoo.trainers import StopOnNonFinite

WEIGHTS = {"l2": 1.0, "codebook": 1.0, "commitment": 0.25}


def tokenizer():
    quantizer = vqzoo.VectorQuantizer(16, keras.initializers.RandomNormal(stddev=0.3, seed=1), name="quantizer")
    return vqzoo.image_vqvae(filters=8, blocks=1, latent_dim=4, quantizer=quantizer)


def trainer(losses=None, weights=None, optimizer=None, **kwargs):
    it = vqzoo.ReconstructionTrainer(tokenizer(), losses or {"l2": l2_loss}, weights or WEIGHTS, **kwargs)
    it.build((None, 12, 12, 3))
    it.compile(optimizer or keras.optimizers.SGD(0.1))
    return it


def images(count=4, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, 12, 12, 3)).astype("float32")


def values(variables):
    return [v.numpy().copy() for v in variables]


def assert_all_equal(ones, others):
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_step_descends_the_weighted_sum():
    it = trainer()
    variables = it.tokenizer.trainable_variables
    before = values(variables)
    with tf.GradientTape() as tape:
        result = it.tokenizer(images(), training=True)
        total = tf.reduce_mean((images() - result.signal) ** 2) + result.losses["codebook"]
        total += 0.25 * result.losses["commitment"]
    gradients = tape.gradient(total, [v.value for v in variables])
    history = it.fit(images(), batch_size=4, verbose=0).history
    for variable, old, gradient in zip(variables, before, gradients, strict=True):
        np.testing.assert_allclose(variable.numpy(), old - 0.1 * tf.convert_to_tensor(gradient), atol=1e-6)
    assert history["loss"][0] == pytest.approx(float(total), rel=1e-5)


def test_a_weight_of_zero_only_reports():
    reported = {"l2": l2_loss, "broken": lambda signal, other: tf.reduce_mean(other) * np.nan}
    plain = trainer()
    with_report = trainer(reported, {**WEIGHTS, "broken": 0.0})
    with_report.tokenizer.set_weights(plain.tokenizer.get_weights())
    plain.fit(images(), verbose=0, shuffle=False)
    history = with_report.fit(images(), verbose=0, shuffle=False).history
    assert np.isnan(history["broken"][0]) and np.isfinite(history["loss"][0])
    assert_all_equal(values(plain.tokenizer.variables), values(with_report.tokenizer.variables))


def test_a_loss_may_give_a_number_for_each_example():
    per_image = {"l1": l1_loss, "psnr": vqzoo.metrics.psnr}
    weights = {"l1": 1.0, "psnr": 0.0, "codebook": 1.0, "commitment": 0.25}
    history = trainer(per_image, weights).fit(images(), verbose=0).history
    assert 3.0 < history["psnr"][0] < 12.0


@pytest.mark.parametrize("weights", [{"l2": 1.0}, {**WEIGHTS, "l1": 1.0}, {**WEIGHTS, "commitmnt": 1.0}])
def test_unknown_and_missing_names_are_told(weights):
    with pytest.raises(ValueError, match=r"`loss_weights` must have one number for each loss: .*'l2', 'codebook'"):
        trainer(weights=weights)


def test_the_average_decay_is_a_fraction():
    with pytest.raises(ValueError, match=r"`average_decay` must be in \[0, 1\). Received: average_decay=1.0"):
        trainer(average_decay=1.0)


def test_the_average_follows_its_formula_and_swaps_exactly():
    it = trainer(average_decay=0.2)
    expected = values(it.tokenizer.trainable_variables)
    for step in range(3):
        it.fit(images(), batch_size=4, verbose=0)
        decay = min(0.2, (1 + step) / (10 + step))
        now = values(it.tokenizer.trainable_variables)
        expected = [decay * average + (1 - decay) * value for average, value in zip(expected, now, strict=True)]
    before = values(it.variables)
    with it.averaged() as averaged:
        assert averaged is it.tokenizer
        for variable, average in zip(averaged.trainable_variables, expected, strict=True):
            np.testing.assert_allclose(variable.numpy(), average, atol=1e-6)
    with pytest.raises(KeyError), it.averaged():
        raise KeyError
    assert_all_equal(before, values(it.variables))


def test_evaluation_uses_the_average():
    it = trainer(average_decay=0.9)
    validation = images(seed=1)
    history = it.fit(images(), batch_size=1, verbose=0, validation_data=(validation,)).history
    raw = float(l2_loss(validation, it.tokenizer(validation).signal))
    with it.averaged():
        averaged = float(l2_loss(validation, it.tokenizer(validation).signal))
    assert history["val_l2"][0] == pytest.approx(averaged, rel=1e-5)
    assert abs(raw - averaged) > 1e-5


def test_without_an_average_the_weights_stay():
    it = trainer(average_decay=0.0)
    before = values(it.variables)
    with it.averaged():
        assert_all_equal(before, values(it.variables))


def test_the_wait_for_data_is_measured():
    def slow():
        for _ in range(4):
            time.sleep(0.05)
            yield images()

    it = trainer()
    signature = tf.TensorSpec((4, 12, 12, 3), tf.float32)
    data = tf.data.Dataset.from_generator(slow, output_signature=signature)
    it.fit(data.apply(tf.data.experimental.assert_cardinality(4)), verbose=0, shuffle=False)
    assert 0.1 < it.seconds_waiting < 5.0


def test_fit_ends_when_the_data_end():
    data = tf.data.Dataset.from_tensor_slices(images(6)).batch(4)
    it = trainer()
    history = it.fit(data, epochs=2, verbose=0, shuffle=False).history
    assert len(history["loss"]) == 2
    assert int(it.steps.numpy()) == 4


def test_a_loss_that_is_not_finite_stops_the_run_and_is_named():
    it = trainer(optimizer=keras.optimizers.SGD(1e12))
    with pytest.raises(FloatingPointError, match=r"l2"):
        it.fit(images(), batch_size=1, epochs=5, verbose=0, callbacks=[StopOnNonFinite()])


def test_a_perceptual_loss_trains_and_is_saved_with_its_network(tmp_path):
    signal = keras.Input((None, None, 3))
    features = keras.layers.Conv2D(4, 3, activation="relu", name="features")(signal)
    network = keras.Model(signal, features)
    perceptual = vqzoo.losses.PerceptualLoss(network, ["features"])
    it = trainer({"l2": l2_loss, "perceptual": perceptual}, {**WEIGHTS, "perceptual": 1.0})
    before = network.get_weights()
    first = float(perceptual(images(), it(images())))
    it.fit(images(), batch_size=4, epochs=10, verbose=0)
    assert float(perceptual(images(), it(images()))) < first
    assert_all_equal(network.get_weights(), before)
    it.save(tmp_path / "it.keras")
    again = keras.models.load_model(tmp_path / "it.keras")
    assert float(again.signal_losses["perceptual"](images(), it(images()))) == float(perceptual(images(), it(images())))


def test_the_same_seed_gives_the_same_weights():
    runs = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        it = trainer()
        it.fit(images(), batch_size=2, verbose=0)
        runs.append(values(it.variables))
    assert_all_equal(*runs)


def test_an_average_decay_of_the_int_0_keeps_none():
    it = trainer(average_decay=0)
    it.fit(images(), batch_size=2, verbose=0)
    assert not it.averages


def test_a_part_frozen_after_build_leaves_the_average_of_the_others():
    it = trainer(average_decay=0.5)
    it.tokenizer.encoder.trainable = False
    it.compile(keras.optimizers.Adam(1e-2))
    encoder = [w.copy() for w in it.tokenizer.encoder.get_weights()]
    it.fit(images(), batch_size=2, verbose=0)
    with it.averaged() as tokenizer:
        for old, new in zip(encoder, tokenizer.encoder.get_weights(), strict=True):
            np.testing.assert_allclose(new, old, atol=1e-6)
        averaged = tokenizer.decoder.get_weights()
    moved = [np.abs(a - b).max() > 0 for a, b in zip(averaged, it.tokenizer.decoder.get_weights(), strict=True)]
    assert np.mean(moved) > 0.5


def test_an_interrupted_evaluation_puts_the_weights_back():
    it = trainer(average_decay=0.5)
    it.fit(images(), batch_size=2, verbose=0)
    before = it.tokenizer.get_weights()

    class Stop(keras.callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        it.evaluate(images(), batch_size=1, verbose=0, callbacks=[Stop()])
    for old, new in zip(before, it.tokenizer.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


@pytest.mark.parametrize("steps_per_execution", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_fit_without_build_is_fit_with_it(steps_per_execution):
    trainers = []
    for build in (True, False):
        keras.utils.set_random_seed(0)
        it = vqzoo.ReconstructionTrainer(tokenizer(), {"l2": l2_loss}, WEIGHTS)
        if build:
            it.build((None, 12, 12, 3))
        it.compile(keras.optimizers.Adam(1e-3), steps_per_execution=steps_per_execution)
        it.fit(images(16), batch_size=4, shuffle=False, verbose=0)
        trainers.append(it)
    built, unbuilt = trainers
    assert int(unbuilt.steps.numpy()) == 4
    assert_all_equal(values(unbuilt.tokenizer.weights), values(built.tokenizer.weights))
    assert_all_equal(values(unbuilt.averages), values(built.averages))
    assert_all_equal(values(unbuilt.optimizer.variables), values(built.optimizer.variables))


def test_evaluation_without_build_measures_the_tokenizer_as_it_is():
    it = vqzoo.ReconstructionTrainer(tokenizer(), {"l2": l2_loss}, WEIGHTS)
    it.compile(keras.optimizers.Adam(1e-3))
    before = values(it.tokenizer.weights)
    expected = np.mean((images() - it.tokenizer(images()).signal.numpy()) ** 2)
    assert it.evaluate(images(), verbose=0, return_dict=True)["l2"] == pytest.approx(expected, rel=1e-5)
    assert_all_equal(values(it.tokenizer.weights), before)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (255 * (images() + 1) / 2, "A signal must be in .* Received: values up to 2[0-9]{2}"),
        ((127.5 * (images() + 1)).astype("uint8"), "A signal must be floating point in .* Received: dtype=uint8"),
        (images()[..., :2], r"takes signals of the shape .* Received: shape=\(4, 12, 12, 2\)"),
    ],
)
def test_signals_that_encode_would_refuse_are_not_trained_on(data, message):
    it = trainer()
    before = values(it.tokenizer.weights)
    with pytest.raises(ValueError, match=message):
        it.fit(data, batch_size=4, verbose=0)
    assert_all_equal(values(it.tokenizer.weights), before)


def test_a_loss_given_to_compile_is_refused():
    with pytest.raises(
        ValueError, match="The losses of a trainer are arguments of its constructor. Received: loss='mse'"
    ):
        trainer().compile(keras.optimizers.SGD(0.1), loss="mse")
