import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.metrics import CodebookUsage
from vqzoo.metrics import codebook_statistics

SIZES = (8, 5, 1)


def random_tokens(seed, shape=(4, 3, 3), sizes=SIZES):
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, size, shape) for size in sizes], axis=-1).astype("int32")


def numpy_counts(*batches):
    tokens = np.concatenate([batch.reshape(-1, len(SIZES)) for batch in batches])
    return [np.bincount(tokens[:, i], minlength=size) for i, size in enumerate(SIZES)]


def assert_counts(metric, expected):
    for got, want in zip(metric.counts_per_codebook(), expected, strict=True):
        np.testing.assert_array_equal(got, want)


def plain(result):
    return {name: float(value) for name, value in result.items()}


def test_typed_out_answers_for_two_codebooks():
    metric = CodebookUsage((4, 2))
    metric.update_state(np.array([[[0, 1], [0, 1]], [[1, 1], [1, 1]]], "int32"))
    # The first uses 2 of 4 codes equally, the second 1 of 2.
    assert plain(metric.result()) == pytest.approx({"usage": 0.5, "perplexity": (2 + 1) / 2, "dead_codes": 3})
    metric.update_state(np.array([[[2, 0]], [[3, 0]]], "int32"))
    # Counts 2 2 1 1 and 4 2: exp(H) = 6 / 2^(2/3) and 6 / (4^(2/3) 2^(1/3)).
    perplexity = (6 / 2 ** (2 / 3) + 6 / (4 ** (2 / 3) * 2 ** (1 / 3))) / 2
    assert plain(metric.result()) == pytest.approx({"usage": 1.0, "perplexity": perplexity, "dead_codes": 0})


@pytest.mark.parametrize("shape", [(6,), (2, 7), (4, 3, 3), (0, 3)])
def test_counts_are_those_of_numpy_for_every_grid(shape):
    metric = CodebookUsage(SIZES)
    batches = random_tokens(0, shape), random_tokens(1, shape)
    for tokens in batches:
        metric.update_state(tokens)
    expected = numpy_counts(*batches)
    assert_counts(metric, expected)
    statistics = [codebook_statistics(counts) for counts in expected]
    if all(counts.sum() for counts in expected):
        assert plain(metric.result()) == pytest.approx(
            {
                "usage": np.mean([s["usage"] for s in statistics]),
                "perplexity": np.mean([s["perplexity"] for s in statistics]),
                "dead_codes": sum(s["dead_codes"] for s in statistics),
            },
            rel=1e-6,
        )


def test_before_the_first_token_and_after_a_reset():
    metric = CodebookUsage(SIZES)
    nothing = {"usage": 0.0, "perplexity": 1.0, "dead_codes": 14.0}
    assert plain(metric.result()) == nothing
    metric.update_state(random_tokens(0))
    assert plain(metric.result()) != nothing
    metric.reset_state()
    assert plain(metric.result()) == nothing


def test_counts_go_on_past_what_float32_and_int32_can_count():
    metric = CodebookUsage((2,))
    for start in (2**24, 2**31, 2**40):
        metric.counts.assign([start, 0])
        metric.update_state(np.zeros((3, 1, 1), "int32"))
        assert_counts(metric, [[start + 3, 0]])
    assert plain(metric.result()) == {"usage": 0.5, "perplexity": 1.0, "dead_codes": 1.0}


def test_large_codebooks_need_no_large_memory():
    metric = CodebookUsage((2**18,))
    metric.update_state(np.arange(2**18, dtype="int32").reshape(1, -1, 1))  # one-hot: 256 GB
    expected = {"usage": 1.0, "perplexity": 2**18, "dead_codes": 0}
    assert plain(metric.result()) == pytest.approx(expected, rel=1e-4)


def test_a_token_outside_its_codebook_counts_for_none():
    metric = CodebookUsage((2, 2))
    metric.update_state(np.array([[[-1, 1], [2, -5], [0, 99], [1, 0]]], "int32"))
    assert_counts(metric, [[1, 1], [1, 1]])


@pytest.mark.parametrize("graph", [False, True])
def test_padding_counts_for_no_code(graph):
    metric = CodebookUsage((4, 4))
    tokens = np.array([[[1, 2], [3, 2], [0, 0]], [[1, 3], [0, 0], [0, 0]]], "int32")
    mask = np.array([[True, True, False], [True, False, False]])
    update = tf.function(metric.update_state) if graph else metric.update_state
    update(tokens, mask)
    assert [counts.tolist() for counts in metric.counts_per_codebook()] == [[0, 2, 0, 1], [0, 0, 2, 1]]


@pytest.mark.parametrize("jit_compile", [False, True])
def test_in_a_graph_of_unknown_shape(jit_compile):
    metric = CodebookUsage(SIZES)
    signature = [tf.TensorSpec((None, None, None, len(SIZES)), tf.int32)]

    @tf.function(input_signature=signature, jit_compile=jit_compile)
    def step(tokens):
        metric.update_state(tokens)
        return metric.result()

    batches = random_tokens(0, (4, 3, 3)), random_tokens(1, (2, 5, 1))
    results = [step(tokens) for tokens in batches]
    assert_counts(metric, numpy_counts(*batches))
    assert plain(results[1]) == pytest.approx(plain(metric.result()))


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint16"])
def test_other_integers_are_counted_alike(dtype):
    metric = CodebookUsage(SIZES)
    metric.update_state(random_tokens(0).astype(dtype))
    assert_counts(metric, numpy_counts(random_tokens(0)))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_precision_policies_do_not_touch_the_numbers(policy):
    reference = CodebookUsage(SIZES)
    reference.update_state(random_tokens(0))
    floatx = keras.config.floatx()
    keras.config.set_dtype_policy(policy)
    keras.config.set_floatx("float16" if policy == "float16" else floatx)
    try:
        metric = CodebookUsage(SIZES)
        metric.counts.assign([5000] + 13 * [0])  # float16 counts to 2048
        metric.update_state(random_tokens(0))
        expected = numpy_counts(random_tokens(0))
        expected[0][0] += 5000
        assert_counts(metric, expected)
        metric.counts.assign_sub([5000] + 13 * [0])
        assert plain(metric.result()) == plain(reference.result())
        assert {keras.backend.standardize_dtype(v.dtype) for v in metric.result().values()} == {"float32"}
    finally:
        keras.config.set_dtype_policy("float32")
        keras.config.set_floatx(floatx)


def test_config_round_trip():
    metric = CodebookUsage((4, 2), name="codes")
    assert metric.get_config() == {"codebook_sizes": (4, 2), "name": "codes"}
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert isinstance(copy, CodebookUsage)
    assert copy.get_config() == metric.get_config()


class Tokens(keras.Model):
    """Counts its input in `train_step` and `test_step`, as a trainer does."""

    def __init__(self):
        super().__init__()
        self.usage = CodebookUsage(SIZES)
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, x):
        return x

    def test_step(self, data):
        self.usage.update_state(data)
        return self.usage.result()


def test_fit_resets_it_and_reports_its_three_numbers():
    model = Tokens()
    model.compile()
    data = tf.data.Dataset.from_tensor_slices(random_tokens(0, (8, 3))).batch(4)
    first = model.evaluate(data, return_dict=True, verbose=0)
    assert model.evaluate(data, return_dict=True, verbose=0) == first
    assert_counts(model.usage, numpy_counts(random_tokens(0, (8, 3))))
    assert set(first) == {"usage", "perplexity", "dead_codes"}


# Logical devices must be made before TensorFlow starts, so in a process of its own.
TWO_REPLICAS = """
import numpy as np
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], 2 * [tf.config.LogicalDeviceConfiguration()]
)
from vqzoo.metrics import CodebookUsage

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
with strategy.scope():
    metric = CodebookUsage((4,))

@tf.function
def step(tokens):
    strategy.run(metric.update_state, args=(tokens,))

def per_replica(context):
    return tf.constant([[[0], [1], [1]], [[3], [3], [3]]][context.replica_id_in_sync_group], tf.int32)[None]

for _ in range(5):
    step(strategy.experimental_distribute_values_from_function(per_replica))
assert [c.tolist() for c in metric.counts_per_codebook()] == [[5, 10, 0, 15]], metric.counts_per_codebook()
result = {name: float(value) for name, value in metric.result().items()}
assert result["usage"] == 0.75 and result["dead_codes"] == 1, result
p = np.array([5, 10, 15]) / 30
assert abs(result["perplexity"] - np.exp(-(p * np.log(p)).sum())) < 1e-5, result
metric.reset_state()
assert metric.counts_per_codebook()[0].sum() == 0
step(strategy.experimental_distribute_values_from_function(per_replica))
assert metric.counts_per_codebook()[0].tolist() == [1, 2, 0, 3]
"""


def test_the_counts_of_two_replicas_are_summed(fresh_python):
    child = fresh_python("-c", TWO_REPLICAS)
    assert child.returncode == 0, child.stderr[-2000:]


def test_statistics_of_counts():
    assert codebook_statistics(np.array([3, 0, 1])) == pytest.approx(
        {"usage": 2 / 3, "perplexity": 4 / 27**0.25, "dead_codes": 1}  # p = 3/4, 1/4
    )
    assert codebook_statistics([0, 0]) == {"usage": 0.0, "perplexity": 1.0, "dead_codes": 2}
    assert codebook_statistics([7] * 512) == pytest.approx({"usage": 1.0, "perplexity": 512, "dead_codes": 0})
    assert type(codebook_statistics(np.array([1]))["dead_codes"]) is int


@pytest.mark.parametrize("sizes", [(), (4, 0), (-1,)])
def test_sizes_must_be_positive(sizes):
    with pytest.raises(ValueError, match="must hold one positive int per codebook.*Received"):
        CodebookUsage(sizes)


def test_tokens_must_be_integers():
    with pytest.raises(ValueError, match="Tokens must be integers.*Received: dtype=float32"):
        CodebookUsage((4,)).update_state(np.zeros((1, 2, 1), "float32"))


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 2), ()])
def test_the_last_axis_must_be_the_codebooks(shape):
    with pytest.raises(ValueError, match=r"last axis of the tokens must be .* codebooks, 1 .*Received"):
        CodebookUsage((4,)).update_state(np.zeros(shape, "int32"))


@pytest.mark.parametrize("counts", [[[1, 2]], [], [-1, 2]])
def test_counts_must_be_one_codebook(counts):
    with pytest.raises(ValueError, match="`counts` must be one codebook's counts"):
        codebook_statistics(counts)
