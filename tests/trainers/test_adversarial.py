import keras
import numpy as np
import pytest
import tensorflow as tf

import vqzoo
from vqzoo.losses import HingeLoss
from vqzoo.losses import LeCamRegularizer
from vqzoo.losses import R1Penalty
from vqzoo.losses import l1_loss
from vqzoo.networks.discriminators import patch_discriminator

WEIGHTS = {"l1": 1.0, "codebook": 1.0, "commitment": 0.25}
ALL_WEIGHTS = {**WEIGHTS, "feature_matching": 0.7, "adversarial": 0.5, "discriminator": 1.0}


def tokenizer():
    quantizer = vqzoo.VectorQuantizer(16, keras.initializers.RandomNormal(stddev=0.3, seed=1), name="quantizer")
    return vqzoo.image_vqvae(filters=8, blocks=1, latent_dim=4, quantizer=quantizer)


def trainer(weights=None, discriminator=None, rate=0.05, **kwargs):
    keras.utils.set_random_seed(0)
    parts = tokenizer(), discriminator or patch_discriminator(filters=8, depth=1)
    it = vqzoo.AdversarialTrainer(*parts, {"l1": l1_loss}, weights or ALL_WEIGHTS, **kwargs)
    it.build((None, 12, 12, 3))
    it.compile(keras.optimizers.SGD(rate), keras.optimizers.SGD(rate))
    return it


def plain_trainer():
    keras.utils.set_random_seed(0)
    it = vqzoo.ReconstructionTrainer(tokenizer(), {"l1": l1_loss}, WEIGHTS)
    it.build((None, 12, 12, 3))
    it.compile(keras.optimizers.SGD(0.05))
    it.fit(images(), batch_size=2, verbose=0, shuffle=False)
    return it


def images(count=4, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, 12, 12, 3)).astype("float32")


def values(variables):
    return [v.numpy().copy() for v in variables]


def assert_all_equal(ones, others):
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_array_equal(one, other)


def test_before_the_start_it_is_the_reconstruction_trainer():
    it = trainer(discriminator_start=3)
    opponent = values(it.discriminator.variables)
    it.fit(images(), batch_size=2, verbose=0, shuffle=False)
    for one, other in zip(it.tokenizer.variables, plain_trainer().tokenizer.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    for one, variable in zip(opponent, it.discriminator.variables, strict=True):
        np.testing.assert_array_equal(one, variable.numpy())
    assert int(it.discriminator_optimizer.iterations.numpy()) == 0
    it.fit(images(), batch_size=2, verbose=0)  # steps 2 and 3: it joins at 3
    assert int(it.discriminator_optimizer.iterations.numpy()) == 1
    assert not np.array_equal(values(it.discriminator.variables)[0], opponent[0])


@pytest.mark.parametrize("adaptive", [True, False])
def test_a_step_descends_the_formula_of_the_docstring(adaptive):
    it = trainer(discriminator_start=0, discriminator_warmup=4, adaptive=adaptive)
    share = 0.25  # the first of four steps
    variables, opponents = it.tokenizer.trainable_variables, it.discriminator.trainable_variables
    with tf.GradientTape(persistent=True) as tape:
        result = it.tokenizer(images(), training=True)
        *real_features, real = it.discriminator(images(), training=True)
        *features, fake = it.discriminator(result.signal, training=True)
        matching = sum(tf.reduce_mean(abs(x - y)) for x, y in zip(real_features, features, strict=True))
        own = tf.reduce_mean(abs(images() - result.signal))
        matching = matching / len(features)
        adversarial = -tf.reduce_mean(fake)
        opponent_loss = HingeLoss().discriminator(real, fake)
        quantizer = result.losses["codebook"] + 0.25 * result.losses["commitment"]
    kernel = it.tokenizer.decoder.get_layer("images").kernel.value
    norms = [float(tf.norm(tape.gradient(loss, kernel))) for loss in (own, adversarial, matching)]
    balance, balance_of_matching = [norms[0] / (norm + 1e-4) if adaptive else 1.0 for norm in norms[1:]]
    before, opponents_before = values(variables), values(opponents)
    expected = []
    for variable in variables:
        terms = [tape.gradient(loss, variable.value) for loss in (own, adversarial, quantizer, matching)]
        terms = [0.0 if term is None else tf.convert_to_tensor(term) for term in terms]
        expected.append(terms[0] + share * (balance * 0.5 * terms[1] + balance_of_matching * 0.7 * terms[3]) + terms[2])
    opponent_gradients = tape.gradient(opponent_loss, [v.value for v in opponents])
    history = it.fit(images(), batch_size=4, verbose=0).history
    assert history["adaptive_weight"][0] == pytest.approx(balance, rel=1e-3)
    for variable, old, gradient in zip(variables, before, expected, strict=True):
        np.testing.assert_allclose(variable.numpy(), old - 0.05 * gradient, atol=2e-6)
    for variable, old, gradient in zip(opponents, opponents_before, opponent_gradients, strict=True):
        np.testing.assert_allclose(variable.numpy(), old - 0.05 * gradient, atol=2e-6)


def test_the_share_grows_from_nothing_to_one():
    it = trainer(discriminator_start=5, discriminator_warmup=4)
    shares = []
    for step in (5, 6, 8, 9, 100):
        it.steps.assign(step)
        shares.append(float(it._share()))
    assert shares == [0.25, 0.5, 1.0, 1.0, 1.0]
    assert float(trainer(discriminator_warmup=0)._share()) == 1.0


def test_the_largest_adaptive_weight_holds():
    it = trainer(discriminator_warmup=0, max_adaptive_weight=0.01)
    assert it.fit(images(), batch_size=4, verbose=0).history["adaptive_weight"] == [pytest.approx(0.01)]


def test_a_discriminator_that_gives_logits_alone_has_no_features_to_match():
    signal = keras.Input((None, None, 3))
    logits = keras.layers.Conv2D(1, 4, 2, name="logits")(signal)
    it = trainer(discriminator=keras.Model(signal, logits), discriminator_warmup=0)
    history = it.fit(images(), batch_size=2, verbose=0).history
    assert history["feature_matching"] == [0.0]
    assert history["adversarial"][0] != 0.0


def test_weights_of_zero_leave_the_tokenizer_alone():
    it = trainer({**ALL_WEIGHTS, "feature_matching": 0.0, "adversarial": 0.0}, discriminator_warmup=0)
    it.fit(images(), batch_size=2, verbose=0, shuffle=False)
    for one, other in zip(it.tokenizer.variables, plain_trainer().tokenizer.variables, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"discriminator_start": -1}, r"must be at least 0. Received: discriminator_start=-1"),
        ({"discriminator_warmup": -2}, r"discriminator_warmup=-2"),
        ({"max_adaptive_weight": 0.0}, r"`max_adaptive_weight` must be positive. Received: max_adaptive_weight=0.0"),
        ({"regularizers": {"r1": R1Penalty()}}, r"Missing: \['r1'\]"),
        ({"regularizers": {"l1": R1Penalty()}}, r"Two losses share a name: .*Rename your own loss"),
        ({"weights": WEIGHTS}, r"Missing: \['adversarial', 'discriminator', 'feature_matching'\]"),
    ],
)
def test_errors_teach(arguments, message):
    with pytest.raises(ValueError, match=message):
        trainer(**arguments)


def test_the_start_of_the_discriminator_does_not_wreck_the_reconstruction():
    crops = vqzoo.data.ImageCrops(vqzoo.data.sample_images(), 32, 8, scale=(0.25, 0.25))
    quantizer = vqzoo.EMAVectorQuantizer(64, name="quantizer")
    parts = vqzoo.image_vqvae(filters=16, blocks=1, latent_dim=8, quantizer=quantizer), patch_discriminator(filters=16)
    weights = {"l1": 1.0, "commitment": 0.25, "feature_matching": 0.5, "adversarial": 0.3, "discriminator": 1.0}
    it = vqzoo.AdversarialTrainer(
        *parts, {"l1": l1_loss}, weights, discriminator_start=120, discriminator_warmup=40, average_decay=0.0
    )
    it.build((None, 32, 32, 3))
    it.compile(keras.optimizers.Adam(2e-3), keras.optimizers.Adam(1e-3, beta_1=0.5))
    history = it.fit(crops.dataset(), steps_per_epoch=20, epochs=10, verbose=0, shuffle=False).history
    before, after = history["l1"][5], history["l1"][6:]
    assert history["l1"][0] > 1.5 * before  # it has learnt something that could be wrecked
    assert history["discriminator"][5] == 0.0 and min(history["discriminator"][6:]) > 0.0
    assert max(after) < 1.15 * before


def test_regularizers_train_the_discriminator_alone():
    regularized = {"r1": R1Penalty(), "lecam": LeCamRegularizer(decay=0.5)}
    weights = {**ALL_WEIGHTS, "r1": 0.0, "lecam": 0.0}
    reported = trainer(weights, regularizers=regularized)
    reported.fit(images(2), batch_size=2, verbose=0)
    plain = trainer()
    plain.fit(images(2), batch_size=2, verbose=0)
    assert_all_equal(values(reported.discriminator.variables), values(plain.discriminator.variables))
    for name in regularized:
        it = trainer({**weights, name: 3.0}, regularizers=regularized)
        logs = it.fit(images(2), batch_size=2, verbose=0).history
        assert logs[name][0] > 0
        assert_all_equal(values(it.tokenizer.variables), values(plain.tokenizer.variables))
        assert not np.array_equal(values(it.discriminator.variables)[0], values(plain.discriminator.variables)[0])


def test_regularizers_are_saved_with_their_state(tmp_path):
    it = trainer(
        {**ALL_WEIGHTS, "r1": 1.0, "lecam": 0.1}, regularizers={"r1": R1Penalty(), "lecam": LeCamRegularizer(0.5)}
    )
    it.fit(images(2), batch_size=2, verbose=0)
    before = float(it.regularizers["lecam"].real_average)
    it.evaluate(images(2), batch_size=2, verbose=0)
    assert float(it.regularizers["lecam"].real_average) == before != 0
    it.save(tmp_path / "trainer.keras")
    again = keras.models.load_model(tmp_path / "trainer.keras")
    assert float(again.regularizers["lecam"].real_average) == before
    assert again.loss_names == it.loss_names


def test_a_discriminator_of_weight_0_is_only_reported():
    it = trainer({**ALL_WEIGHTS, "discriminator": 0.0}, discriminator_warmup=0)
    opponent = values(it.discriminator.variables)
    history = it.fit(images(), batch_size=2, verbose=0).history
    for one, variable in zip(opponent, it.discriminator.variables, strict=True):
        np.testing.assert_array_equal(one, variable.numpy())
    assert history["discriminator"][0] > 0.5


def test_a_mean_is_over_the_steps_that_the_discriminator_played():
    histories = [
        trainer(discriminator_start=start, discriminator_warmup=0, rate=0.0).fit(
            images(), batch_size=1, verbose=0, shuffle=False
        )
        for start in (0, 2)
    ]
    whole, half = (history.history["discriminator"][0] for history in histories)
    # With a rate of 0 nothing learns: the mean over the last two pictures is near that over all four, not half of it.
    assert half == pytest.approx(whole, rel=0.1)


def test_fit_without_build_is_fit_with_it():
    built = trainer(discriminator_start=2)
    keras.utils.set_random_seed(0)
    parts = tokenizer(), patch_discriminator(filters=8, depth=1)
    unbuilt = vqzoo.AdversarialTrainer(*parts, {"l1": l1_loss}, ALL_WEIGHTS, discriminator_start=2)
    unbuilt.compile(keras.optimizers.SGD(0.05), keras.optimizers.SGD(0.05))
    for it in (built, unbuilt):
        it.fit(images(8), batch_size=2, verbose=0, shuffle=False)
    assert int(unbuilt.discriminator_optimizer.iterations.numpy()) == 2
    for one, other in zip(unbuilt.tokenizer.weights, built.tokenizer.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(unbuilt.discriminator.weights, built.discriminator.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_discriminator_of_several_parts_counts_as_their_mean():
    """The losses of lists of lists are the means of the parts' own."""
    waves = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 512, 1)).astype("float32")
    parts = [vqzoo.networks.discriminators.multi_period_discriminator(1, (p,), 1, f"period_{p}") for p in (2, 3)]
    both = vqzoo.networks.discriminators.combined_discriminator(parts)
    tokenizer = vqzoo.spectrogram_vqvae(
        8000,
        frame_length=64,
        hop_length=16,
        bands=8,
        filters=8,
        blocks=1,
        latent_dim=4,
        quantizer=vqzoo.EMAVectorQuantizer(8),
    )
    weights = {"l1": 1.0, "commitment": 1.0, "feature_matching": 1.0, "adversarial": 1.0, "discriminator": 1.0}
    weights |= {"lecam": 0.0, "r1": 0.0}
    found = []
    for discriminator in (*parts, both):
        regularizers = {"lecam": vqzoo.losses.LeCamRegularizer(), "r1": vqzoo.losses.R1Penalty()}
        trainer = vqzoo.AdversarialTrainer(
            tokenizer, discriminator, {"l1": vqzoo.losses.l1_loss}, weights, regularizers=regularizers
        )
        trainer.build((None, 512, 1))
        losses, _ = trainer.losses_on(tf.constant(waves), training=False)
        found.append({name: float(value) for name, value in losses.items()})
    for name in ("feature_matching", "adversarial", "discriminator"):
        assert found[2][name] == pytest.approx((found[0][name] + found[1][name]) / 2, rel=1e-5)
        assert found[0][name] != found[1][name]
    # The penalty is of the sum of all logits' gradient; the averages begin at zero.
    assert found[2]["r1"] > 0 and found[2]["lecam"] > 0
    trainer.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3))
    before = [v.numpy().copy() for v in both.trainable_variables]
    trainer.fit(waves, batch_size=2, epochs=2, verbose=0)
    moved = [np.abs(v.numpy() - old).max() > 0 for v, old in zip(both.trainable_variables, before, strict=True)]
    assert np.mean(moved) > 0.8  # of a single filter some never fire


@pytest.mark.parametrize("start", [0, 1])
def test_both_steps_go_through_losses_on(start, monkeypatch):
    it, seen = trainer(discriminator_start=start), []
    losses_on = it.losses_on

    def counted(signal, training, *options):
        seen.append(training)
        return losses_on(signal, training, *options)

    monkeypatch.setattr(it, "losses_on", counted)
    it.train_step(images(2))
    it.test_step(images(2))
    assert seen == [True, False]


class Decoder(keras.layers.Layer):
    """A decoder that is no Functional model and declares nothing."""

    def __init__(self):
        super().__init__()
        self.up = keras.layers.Conv2DTranspose(3, 4, 4, padding="same")

    def call(self, latents):
        return self.up(latents)


def test_a_decoder_without_a_last_kernel_is_refused_when_built_unless_nothing_is_balanced():
    def build(adaptive):
        it = vqzoo.ImageTokenizer(tokenizer().encoder, vqzoo.VectorQuantizer(4), Decoder())
        it = vqzoo.AdversarialTrainer(
            it, patch_discriminator(filters=8, depth=1), {"l1": l1_loss}, ALL_WEIGHTS, adaptive=adaptive
        )
        it.build((None, 12, 12, 3))
        return it

    with pytest.raises(ValueError, match="Give it a property `last_kernel`, or train with `adaptive=False`"):
        build(True)
    it = build(False)
    it.compile(keras.optimizers.SGD(0.05), keras.optimizers.SGD(0.05))
    assert it.fit(images(), batch_size=4, verbose=0).history["adaptive_weight"] == [1.0]
