"""Trains every quantizer of the table on two replicas and on one device, which must end with the same state.

Prints "good" and a digest of all weights, which is the same in all processes.

python tests/conformance/replicas.py mirrored                             # two logical devices
TF_CONFIG=... python tests/conformance/replicas.py workers                # one of two processes
"""

import hashlib
import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import zoo  # noqa: E402

STEPS = 6
# What they draw differs from replica to replica, and from one device's draw.
RANDOM = {"GumbelQuantizer", "GaussianQuantizer", "StartupQuantizer"}


def strategy_of(kind):
    if kind == "workers":
        return tf.distribute.MultiWorkerMirroredStrategy()
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, 2 * [tf.config.LogicalDeviceConfiguration()])
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def made(entry, restarts):
    """A quantizer of the table; without k-means and restarts, which take their vectors from both replicas in turn."""
    keras.utils.set_random_seed(0)
    quantizer = entry.make()
    for layer in [quantizer, *quantizer._flatten_layers(include_self=False)]:
        if hasattr(layer, "kmeans_steps"):
            layer.kmeans_steps, layer.restart_below = (2, 0.5) if restarts else (0, 0.0)
            layer.decay = 0.8
        if getattr(layer, "dropout", 0.0) and not restarts:
            layer.dropout = 0.0
    quantizer.build(entry.dynamic)
    return quantizer


def trained(entry, halves, strategy, restarts=False):
    """The tokens of every step, and all copies of all weights that this process holds."""
    replicas = strategy.num_replicas_in_sync
    with strategy.scope():
        quantizer = made(entry, restarts)
        optimizer = keras.optimizers.SGD(0.5)
        optimizer.build(quantizer.trainable_variables)

    def step(latents):
        with tf.GradientTape() as tape:
            quantized = quantizer(latents, training=True)
            total = tf.reduce_mean(tf.sin(quantized.latents)) + sum(quantized.losses.values(), tf.zeros(()))
            # An optimizer adds the gradients of the replicas up.
            total /= replicas
        variables = quantizer.trainable_variables
        if variables:
            optimizer.apply(tape.gradient(total, [v.value for v in variables]), variables)
        return quantized.tokens

    run = tf.function(lambda latents: strategy.run(step, args=(latents,)))
    tokens, per_replica = [], halves.shape[1] // replicas
    for batch in halves:

        def of_replica(context, batch=batch):
            first = context.replica_id_in_sync_group * per_replica
            return tf.constant(batch[first : first + per_replica])

        found = run(strategy.experimental_distribute_values_from_function(of_replica))
        tokens.append([t.numpy() for t in strategy.experimental_local_results(found)])
    weights = {}
    for variable in quantizer.weights:
        weights[variable.path] = [v.numpy() for v in strategy.experimental_local_results(variable.value)]
    return tokens, weights


def main(kind):
    strategy = strategy_of(kind)
    one_device = tf.distribute.OneDeviceStrategy("CPU:0")
    assert strategy.num_replicas_in_sync == 2
    rng = np.random.default_rng(0)
    digest = hashlib.sha256()
    for entry in zoo.QUANTIZERS:
        # The replicas see different halves of the space.
        halves = rng.normal(size=(STEPS, 2, 4, *entry.shape[1:])).astype("float32")
        halves = np.concatenate([np.abs(halves[:, 0]), -np.abs(halves[:, 1])], axis=1)
        for restarts in (False, True):
            tokens, weights = trained(entry, halves, strategy, restarts)
            for path, copies in weights.items():
                digest.update(copies[0].tobytes())
                for copy in copies:
                    assert np.isfinite(copy).all(), (entry.name, path)
                    np.testing.assert_array_equal(copy, copies[0], err_msg=f"{entry.name} {path}")
        if entry.name in RANDOM:
            continue
        tokens, weights = trained(entry, halves, strategy)
        tokens_of_one, weights_of_one = trained(entry, halves, one_device)
        if kind == "mirrored":
            together = np.array([np.concatenate(parts) for parts in tokens])
            np.testing.assert_array_equal(together, np.array(tokens_of_one)[:, 0], err_msg=entry.name)
        start = made(entry, False).get_weights()
        moved = 0
        for (path, copies), (_, (expected,)), before in zip(
            weights.items(), weights_of_one.items(), start, strict=True
        ):
            np.testing.assert_allclose(copies[0], expected, rtol=1e-6, atol=1e-6, err_msg=f"{entry.name} {path}")
            moved += bool((copies[0] != before).any())
        assert moved or not start, entry.name
    print("good", digest.hexdigest())


if __name__ == "__main__":
    main(sys.argv[1])
