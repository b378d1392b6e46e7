import tensorflow as tf

from vqzoo.ops import replica_gather
from vqzoo.ops import replica_sum


def test_outside_a_strategy_nothing_changes():
    a, b = tf.constant([1.0, 2.0]), tf.constant(3.0)
    summed = replica_sum(a, b)
    assert summed[0] is a and summed[1] is b and len(summed) == 2
    assert replica_gather(a) is a


def test_one_replica_sees_its_own_tensors():
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    sums, rows = strategy.run(lambda: (replica_sum(tf.constant([1.0])), replica_gather(tf.constant([[2.0]]))))
    assert sums[0].numpy().tolist() == [1.0]
    assert rows.numpy().tolist() == [[2.0]]


# Logical devices must be made before TensorFlow starts, so in a process of its own.
TWO_REPLICAS = """
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], 2 * [tf.config.LogicalDeviceConfiguration()]
)
from vqzoo.ops import replica_gather
from vqzoo.ops import replica_sum

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2

def values():
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    counts = tf.gather(tf.constant([[1.0, 2.0], [10.0, 20.0]]), replica)
    total = tf.gather(tf.constant([0.5, 0.25]), replica)
    rows = tf.gather(tf.constant([[[1, 2], [3, 4]], [[5, 6], [7, 8]]]), replica)
    return replica_sum(counts, total), replica_gather(rows)

(counts, total), rows = tf.function(lambda: strategy.run(values))()
for replica in range(2):
    local = [strategy.experimental_local_results(x)[replica] for x in (counts, total, rows)]
    counts_here, total_here, rows_here = local
    assert counts_here.numpy().tolist() == [11.0, 22.0], counts
    assert total_here.numpy() == 0.75, total
    assert rows_here.numpy().tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]], rows
# In the scope, but outside of the replicas, there is nothing to sum.
with strategy.scope():
    assert replica_sum(tf.constant(1.0))[0].numpy() == 1.0
    assert replica_gather(tf.constant([[1.0]])).shape == (1, 1)
"""


def test_two_replicas_receive_the_same_sums_and_rows(fresh_python):
    child = fresh_python("-c", TWO_REPLICAS)
    assert child.returncode == 0, child.stderr[-2000:]
