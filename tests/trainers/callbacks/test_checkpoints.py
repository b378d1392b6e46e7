import os
import signal

import keras
import numpy as np
import pytest

import vqzoo
from vqzoo.trainers import Checkpoints
from vqzoo.trainers import Position
from vqzoo.trainers import RunLog
from vqzoo.trainers import read_log

STEPS = 5  # an epoch


def batches(start=0):
    step = start
    while True:
        yield (np.random.default_rng(step).uniform(-1, 1, (4, 8, 8, 3)).astype("float32"),)
        step += 1


def tokenizer(quantizer):
    return vqzoo.image_vqvae(filters=8, blocks=1, latent_dim=4, quantizer=quantizer, name="tokenizer")


def reconstruction():
    keras.utils.set_random_seed(0)
    quantizer = vqzoo.EMAVectorQuantizer(16, kmeans_steps=3, restart_below=0.5, name="quantizer")
    weights = {"l2": 1.0, "commitment": 0.25}
    trainer = vqzoo.ReconstructionTrainer(tokenizer(quantizer), {"l2": vqzoo.losses.l2_loss}, weights, 0.9)
    trainer.build((None, 8, 8, 3))
    trainer.compile(keras.optimizers.Adam(vqzoo.trainers.warmup_cosine(1e-2, 3 * STEPS)))
    return trainer


def adversarial():
    """With drawn tokens, whose generator is state, and a discriminator that joins in the second epoch."""
    keras.utils.set_random_seed(0)
    quantizer = vqzoo.VectorQuantizer(16, temperature=0.1, seed=1, kmeans_steps=2, name="quantizer")
    opponent = vqzoo.networks.discriminators.patch_discriminator(filters=4, depth=1)
    weights = {"l1": 1.0, "codebook": 1.0, "commitment": 0.25}
    weights |= {"feature_matching": 1.0, "adversarial": 0.5, "discriminator": 1.0}
    trainer = vqzoo.AdversarialTrainer(
        tokenizer(quantizer), opponent, {"l1": vqzoo.losses.l1_loss}, weights, discriminator_start=7
    )
    trainer.build((None, 8, 8, 3))
    trainer.compile(keras.optimizers.Adam(1e-2), keras.optimizers.Adam(1e-3, beta_1=0.5))
    return trainer


class StopAfter(keras.callbacks.Callback):
    """Ends the process' work at a step of the whole run, as a kill would, after the callbacks before it."""

    def __init__(self, step):
        super().__init__()
        self.step = step
        self.seen = 0

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        if self.seen == self.step:
            raise RuntimeError("killed")


def fit(trainer, folder, checkpoints, start=None, stop=None):
    start = start or Position(0, 0)
    trainer.fit(
        batches(start.step),
        epochs=3,
        initial_epoch=start.epoch,
        steps_per_epoch=STEPS,
        validation_data=next(batches(1000)),
        callbacks=[RunLog(folder), checkpoints, *([StopAfter(stop)] if stop else [])],
        verbose=0,
        shuffle=False,
    )


def state(trainer):
    optimizers = [v for optimizer in trainer.optimizers.values() for v in optimizer.variables]
    return [np.asarray(v) for v in [*trainer.variables, *optimizers]]


def rows(folder):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in read_log(folder)]


MAKERS = [pytest.param(reconstruction, marks=pytest.mark.slow, id="reconstruction")]
MAKERS += [pytest.param(adversarial, id="adversarial")]


@pytest.fixture(scope="module", params=MAKERS)
def whole(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    trainer = request.param()
    fit(trainer, folder, Checkpoints(folder / "checkpoints"))
    return request.param, state(trainer), rows(folder)


SLOW_STOPS = [pytest.param(stop, marks=pytest.mark.slow) for stop in (1, 7, 10, 13)]


@pytest.mark.parametrize("stop", [8, *SLOW_STOPS])
def test_a_run_that_goes_on_ends_bit_equal(whole, stop, tmp_path):
    make, expected, expected_rows = whole
    folder = tmp_path / "checkpoints"
    with pytest.raises(RuntimeError, match="killed"):
        fit(make(), tmp_path, Checkpoints(folder, every_steps=1), stop=stop)
    trainer, checkpoints = make(), Checkpoints(folder, every_steps=1)
    start = checkpoints.restore(trainer)
    # A kill right after the tenth step comes before its epoch is logged: the step is there, the epoch has not ended.
    assert start == (stop, (stop - 1) // STEPS if stop % STEPS == 0 else stop // STEPS)
    fit(trainer, tmp_path, checkpoints, start)
    assert len(expected_rows) == 3 and rows(tmp_path) == expected_rows
    for one, other in zip(state(trainer), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_run_that_ended_its_epochs_takes_no_step_more(whole, tmp_path):
    make, expected, _ = whole
    checkpoints = Checkpoints(tmp_path)
    fit(make(), tmp_path, checkpoints)
    trainer = make()
    start = checkpoints.restore(trainer)
    assert start == (15, 3)
    fit(trainer, tmp_path, checkpoints, start)
    for one, other in zip(state(trainer), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_latest_and_the_best_are_kept(tmp_path):
    trainer = reconstruction()
    values = iter([3.0, 1.0, 2.0])

    class Judge(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["score"] = next(values)

    checkpoints = Checkpoints(tmp_path, every_steps=2, keep=3, monitor="score")
    trainer.fit(batches(), epochs=3, steps_per_epoch=STEPS, callbacks=[Judge(), checkpoints], verbose=0, shuffle=False)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["best_0000000010.npz", *(f"step_{step:010d}.npz" for step in (12, 14, 15))]


def test_the_clock_decides_inside_an_epoch(tmp_path, monkeypatch):
    clock = iter(range(0, 10_000, 4))
    monkeypatch.setattr(vqzoo.trainers.callbacks.checkpoints.time, "monotonic", lambda: float(next(clock)))
    checkpoints = Checkpoints(tmp_path, every_seconds=10.0, keep=9)
    reconstruction().fit(batches(), epochs=1, steps_per_epoch=STEPS, callbacks=[checkpoints], verbose=0, shuffle=False)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step_0000000003.npz", "step_0000000005.npz"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_after_the_step_and_exits(number, status, tmp_path):
    handlers = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]

    class Send(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 2:
                os.kill(os.getpid(), number)

    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(SystemExit) as caught:
        reconstruction().fit(
            batches(), steps_per_epoch=STEPS, callbacks=[Send(), checkpoints], verbose=0, shuffle=False
        )
    assert caught.value.code == status
    assert checkpoints.latest().name == "step_0000000003.npz"
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == handlers


def test_a_second_signal_ends_at_once(tmp_path):
    class Send(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # test workers ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            callbacks = [Send(), Checkpoints(tmp_path)]
            reconstruction().fit(batches(), steps_per_epoch=STEPS, callbacks=callbacks, verbose=0, shuffle=False)
    finally:
        signal.signal(signal.SIGINT, handler)


def test_a_checkpoint_that_cannot_be_written_is_told_and_the_earlier_stay(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path, every_steps=2)
    savez = np.savez

    def full(path, **arrays):
        if "0004" in path.name:
            raise OSError(28, "No space left on device")
        savez(path, **arrays)

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="step_0000000004.npz' could not be written: .*No space left.*Free disk space"):
        reconstruction().fit(batches(), steps_per_epoch=STEPS, callbacks=[checkpoints], verbose=0, shuffle=False)
    assert [path.name for path in tmp_path.iterdir()] == ["step_0000000002.npz"]


def test_what_cannot_be_restored_is_told(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(ValueError, match="There is no checkpoint in '.*': nothing can be resumed from there"):
        checkpoints.restore(reconstruction())
    reconstruction().fit(batches(), steps_per_epoch=1, callbacks=[checkpoints], verbose=0, shuffle=False)
    with pytest.raises(ValueError, match="step_0000000001.npz' is from a trainer with other settings: metrics/"):
        checkpoints.restore(adversarial())
    whole = checkpoints.latest().read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:900] + b"damaged" + whole[907:]):
        checkpoints.latest().write_bytes(damaged)
        with pytest.raises(ValueError, match="step_0000000001.npz' is damaged: .*Delete it to use the one before"):
            checkpoints.restore(reconstruction())
    for position in ("[]", "{}", '{"step": "1", "epoch": 0, "step_in_epoch": 1}', '{"step": NaN}', "[" * 10**5):
        np.savez(checkpoints.folder / "step_0000000001.npz", position=np.array(position))
        with pytest.raises(ValueError, match="step_0000000001.npz' is damaged: .*(position|NaN|nested).* Delete it to"):
            checkpoints.restore(reconstruction())


@pytest.mark.parametrize("arguments", [{"keep": 0}, {"every_seconds": 0.0}, {"every_steps": 0}])
def test_arguments_out_of_range(arguments, tmp_path):
    with pytest.raises(ValueError, match="`keep` and `every_steps` must be at least 1, `every_seconds` above 0"):
        Checkpoints(tmp_path, **arguments)


def test_checkpoints_of_another_run_are_not_mixed_with_ours(tmp_path):
    (tmp_path / "step_0000000012.npz").write_bytes(b"of another run")
    with pytest.raises(ValueError, match="holds checkpoints of another run, the latest step_0000000012.npz. `restore`"):
        fit(reconstruction(), tmp_path, Checkpoints(tmp_path, every_steps=1))
    assert [path.name for path in tmp_path.glob("*.npz")] == ["step_0000000012.npz"]
