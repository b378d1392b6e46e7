"""Fits both trainers on two devices and on one, which must end with the same state; prints how far they are apart.

python tests/trainers/strategies.py mirrored                              # two logical devices
python tests/trainers/strategies.py mirrored adversarial                  # one of the trainers, without a resume
TF_CONFIG=... python tests/trainers/strategies.py multiworker             # one of two processes

After the name of a trainer may come a folder, for checkpoints: then a run that is resumed from one is compared too.

Plain gradient descent with momentum: Adam divides a gradient by its size, so that where a gradient is nothing but
rounding, the rounding becomes a whole step. Clipping is on and always bites, because it has to be of the whole batch.
"""

import hashlib
import pathlib
import sys

import keras
import numpy as np
import rich.console
import rich.table
import tensorflow as tf

import vqzoo
from vqzoo.networks.discriminators import patch_discriminator
from vqzoo.trainers import Checkpoints
from vqzoo.trainers import distributed_dataset
from vqzoo.trainers import is_chief
from vqzoo.trainers import strategy_named
from vqzoo.trainers.callbacks import checkpoints as checkpoints_module

SIZE, BATCH, STEPS, EPOCHS = 16, 4, 3, 2
CROPS = vqzoo.data.ImageCrops(vqzoo.data.sample_images(), SIZE, BATCH, scale=(0.1, 0.2))
TOLERANCE = 1e-6  # of the largest number in each variable


def make(kind, strategy):
    """A trainer, its discriminator already on; k-means and restarts see a batch in another order on two devices."""
    keras.utils.set_random_seed(0)
    with strategy.scope():
        layers = keras.layers
        norm = layers.GroupNormalization(2)
        encoder = [keras.Input((None, None, 3)), layers.Conv2D(8, 4, 2, "same"), norm, layers.Conv2D(4, 1)]
        decoder = [keras.Input((None, None, 4)), layers.Conv2DTranspose(3, 4, 2, "same")]
        start = keras.initializers.RandomNormal(stddev=0.3, seed=1)
        quantizer = vqzoo.EMAVectorQuantizer(16, start, decay=0.8, kmeans_steps=0, restart_below=0.0)
        tokenizer = vqzoo.ImageTokenizer(keras.Sequential(encoder), quantizer, keras.Sequential(decoder))
        losses, weights = {"l2": vqzoo.losses.l2_loss}, {"l2": 1.0, "commitment": 0.25}
        optimizers = [keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=0.1)]
        if kind == "adversarial":
            weights |= {"feature_matching": 0.4, "adversarial": 0.5, "discriminator": 1.0}
            opponent = patch_discriminator(filters=8, depth=1)
            trainer = vqzoo.AdversarialTrainer(tokenizer, opponent, losses, weights, discriminator_warmup=2)
            optimizers.append(keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=0.1))
        else:
            trainer = vqzoo.ReconstructionTrainer(tokenizer, losses, weights)
        trainer.build((None, SIZE, SIZE, 3))
        trainer.compile(*optimizers)
    return trainer


def fit(trainer, strategy, first_epoch, epochs, folder=None):
    def training(worker, workers):
        return CROPS.dataset(first_epoch * STEPS, None, worker, workers)

    def validation(worker, workers):
        return CROPS.dataset(100, 2, worker, workers)

    return trainer.fit(
        distributed_dataset(strategy, training),
        validation_data=distributed_dataset(strategy, validation),
        initial_epoch=first_epoch,
        epochs=epochs,
        steps_per_epoch=STEPS,
        callbacks=[Checkpoints(folder)] if folder else [],
        verbose=0,
        shuffle=False,
    ).history


def state(trainer, strategy):
    """Group -> for each variable the copies that this process has of it."""
    groups = {
        "weights": trainer.tokenizer.trainable_variables,
        "averages": trainer.averages,
        "codebook, counts": trainer.tokenizer.quantizer.variables,
        "optimizers": [v for optimizer in trainer.optimizers.values() for v in optimizer.variables],
        "discriminator": trainer.discriminator.variables if hasattr(trainer, "discriminator") else [],
    }
    local = strategy.experimental_local_results
    return {group: [[c.numpy() for c in local(v.value)] for v in variables] for group, variables in groups.items()}


def difference(copies, expected):
    """The largest difference, as a share of the largest number of the same variable; scalars are equal."""
    pairs = [(copy, other) for copies, (other,) in zip(copies, expected, strict=True) for copy in copies]
    for copy, other in pairs:
        if not other.shape:
            np.testing.assert_array_equal(copy, other)
    pairs = [(copy, other) for copy, other in pairs if other.shape]
    # Of gradients' running means that are all but zero, rounding is all there is.
    return max(np.abs(copy - other).max() / max(np.abs(other).max(), 1e-3) for copy, other in pairs)


def check_rows(strategy):
    """Each row of each batch is on one device, once."""
    rows = BATCH // strategy.num_replicas_in_sync
    worker = 0 if is_chief(strategy) else 1
    dataset = distributed_dataset(strategy, lambda worker, workers: CROPS.dataset(5, 2, worker, workers))
    if isinstance(dataset, tf.data.Dataset):
        dataset = strategy.experimental_distribute_dataset(dataset)  # as Keras does
    for step, batch in zip((5, 6), dataset, strict=True):
        parts = strategy.experimental_local_results(batch)
        assert [len(part) for part in parts] == [rows] * len(parts)
        expected = CROPS.batch(step)[worker * rows :][: rows * len(parts)]
        np.testing.assert_array_equal(np.concatenate(parts), expected)


def forbid_writing(path):
    raise AssertionError(f"Only the chief writes, and this worker wanted to write {path}")


def compare(kind, strategy, folder):
    """Trains on one device, on all, and on all with a resume after the first epoch; group -> difference."""
    one_device = tf.distribute.get_strategy()
    trainers, histories = [], []
    for each in (one_device, strategy):
        trainers.append(make(kind, each))
        histories.append(fit(trainers[-1], each, 0, EPOCHS))
    alone, together = trainers
    for name, values in histories[0].items():
        np.testing.assert_allclose(histories[1][name], values, rtol=1e-5, atol=1e-7, err_msg=name)
    assert histories[0]["val_usage"][-1] > 0.2 and together.seconds_waiting > 0.0
    expected, found = state(alone, one_device), state(together, strategy)
    before = state(make(kind, one_device), one_device)
    for group, variables in found.items():
        for copies in variables:
            for copy in copies:
                np.testing.assert_array_equal(copy, copies[0], err_msg=group)
        moved = [(a[0] != b[0]).any() for a, b in zip(expected[group], before[group], strict=True)]
        assert not moved or np.mean(moved) > 0.5, (group, moved)
    if folder:
        check_resume(kind, strategy, folder, together, histories[1])
    return {group: difference(found[group], expected[group]) for group in found if found[group]}, found


def check_resume(kind, strategy, folder, whole, history):
    fit(make(kind, strategy), strategy, 0, 1, folder)
    resumed = make(kind, strategy)
    assert Checkpoints(folder).restore(resumed) == (STEPS, 1)
    again = fit(resumed, strategy, 1, EPOCHS)
    assert {name: values[-1] for name, values in history.items()} == {n: values[0] for n, values in again.items()}
    for group, variables in state(whole, strategy).items():
        for copies, others in zip(variables, state(resumed, strategy)[group], strict=True):
            np.testing.assert_array_equal(copies[0], others[0], err_msg=group)


def main(name, kinds="reconstruction,adversarial", folder=None):
    if name == "mirrored":
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, 2 * [tf.config.LogicalDeviceConfiguration()])
    strategy = strategy_named(name)
    assert strategy.num_replicas_in_sync == 2
    check_rows(strategy)
    if not is_chief(strategy):
        checkpoints_module.atomic_path = forbid_writing
    table = rich.table.Table(title=f"{name}, 2 devices, against one: largest difference / largest number")
    table.add_column("trainer")
    digest = hashlib.sha256()
    for group in ("weights", "averages", "codebook, counts", "optimizers", "discriminator"):
        table.add_column(group)
    for kind in kinds.split(","):
        differences, found = compare(kind, strategy, folder and pathlib.Path(folder) / kind)
        table.add_row(kind, *(f"{value:.1e}" for value in differences.values()))
        assert max(differences.values()) < TOLERANCE, (kind, differences)
        for variables in found.values():
            for copies in variables:
                digest.update(copies[0].tobytes())
    rich.console.Console(width=120).print(table)
    print("good", digest.hexdigest())


if __name__ == "__main__":
    main(*sys.argv[1:])
