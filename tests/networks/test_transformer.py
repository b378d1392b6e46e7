import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.networks.transformer import Transformer

RNG = np.random.default_rng(0)


def random(*shape):
    return RNG.normal(size=shape).astype("float32")


def test_a_stack_is_its_blocks_and_a_norm():
    transformer = Transformer(2, 2, causal=True)
    x = random(2, 5, 8)
    y = transformer(x)
    blocks = transformer.blocks[1](transformer.blocks[0](x))
    expected = np.asarray(blocks) / np.sqrt(np.mean(np.square(blocks), -1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(y, expected, atol=1e-5)
    # Width 8, hidden 32 of 8/3 * 8 rounded up: attention 4 * 8 * 8, gate and two layers 3 * 8 * 32, two norms; a norm.
    assert transformer.count_params() == 2 * (4 * 64 + 3 * 256 + 16) + 8


def test_branches_start_small_enough_for_any_depth():
    x = random(1, 50, 64)
    for depth in (1, 12):
        transformer = Transformer(depth, 4)
        transformer.build(x.shape)
        y = x
        for block in transformer.blocks:
            y = block(y)
        assert 1.0 < np.std(y) / np.std(x) < 1.5, depth


@pytest.mark.parametrize("options", [{}, {"cross_attention": True}, {"normalization": "layer", "rotary_base": None}])
@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_step_by_step_equals_the_whole(options, jit):
    transformer = Transformer(2, 2, causal=True, **options)
    x = random(3, 7, 8)
    context = random(3, 4, 8) if transformer.cross_attention else None
    mask = np.ones((3, 9), bool)
    mask[1, :2] = mask[2, 3] = False  # padding at the front, and a gap
    positions = np.maximum(np.cumsum(mask, axis=1) - 1, 0)[..., None]
    context_mask = None if context is None else np.array([[True] * 4, [True] * 2 + [False] * 2, [False] * 4])
    options = {"context_mask": context_mask}
    whole = np.asarray(transformer(x, context, mask=mask[:, :7], positions=positions[:, :7], **options))

    @tf.function(jit_compile=jit)
    def stepped(x):
        cache, prepared, outputs = transformer.empty_cache(3, 9), transformer.prepared(context), []
        for start, stop in ((0, 3), (3, 4), (4, 5), (5, 7)):
            at = positions[:, start:stop]
            y, cache = transformer.step(
                x[:, start:stop], cache, tf.constant(start), prepared, mask=mask, positions=at, **options
            )
            outputs.append(y)
        return tf.concat(outputs, axis=1)

    real = mask[:, :7]
    np.testing.assert_allclose(stepped(x).numpy()[real], whole[real], atol=1e-5)


def test_positions_default_to_the_index():
    transformer = Transformer(1, 2, causal=True)
    x = random(1, 4, 8)
    whole = transformer(x, positions=np.arange(4)[:, None])
    np.testing.assert_allclose(transformer(x), whole, atol=1e-6)
    cache = transformer.empty_cache(1, 4)
    _, cache = transformer.step(x[:, :3], cache, 0)
    np.testing.assert_allclose(transformer.step(x[:, 3:], cache, 3)[0], whole[:, 3:], atol=1e-5)


def test_rows_and_columns():
    transformer = Transformer(1, 1)
    x, grid = random(1, 6, 8), np.stack(np.meshgrid(np.arange(2), np.arange(3), indexing="ij"), -1).reshape(6, 2)
    y = np.asarray(transformer(x, positions=grid))
    np.testing.assert_allclose(transformer(x, positions=grid + [5, 3]), y, atol=1e-5)
    # A grid of the other shape has other neighbours.
    other = np.stack(np.meshgrid(np.arange(3), np.arange(2), indexing="ij"), -1).reshape(6, 2)
    assert np.abs(transformer(x, positions=other) - y).max() > 1e-2


def test_both_ways_and_causal_differ_in_what_comes_later():
    x = random(1, 5, 8)
    changed = x.copy()
    changed[:, 4] = 0.0
    for causal in (True, False):
        transformer = Transformer(2, 2, causal=causal)
        moved = np.abs(np.asarray(transformer(x)) - transformer(changed)).max(axis=-1)[0, :4]
        assert (moved < 1e-6).all() if causal else (moved > 1e-4).all()


def test_dynamic_batch_and_length_convert_to_litert_builtins(tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    transformer = Transformer(2, 2, causal=True, cross_attention=True)
    x, context, mask = random(2, 5, 8), random(2, 3, 8), np.array([[True] * 5, [True] * 3 + [False] * 2])
    expected = transformer(x, context, mask=mask)
    specs = [tf.TensorSpec((None, None, 8)), tf.TensorSpec((None, None, 8)), tf.TensorSpec((None, None), tf.bool)]
    module = tf.Module()
    module.kept = [weight.value for weight in transformer.weights]

    @tf.function(input_signature=specs, autograph=False)
    def run(x, context, mask):
        return {"y": transformer(x, context, mask=mask)}

    tf.saved_model.save(module, str(tmp_path), signatures={"run": run})
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path), signature_keys=["run"])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    runner = Interpreter(model_content=converter.convert()).get_signature_runner("run")
    np.testing.assert_allclose(runner(x=x, context=context, mask=mask)["y"], expected, atol=1e-5)


def test_it_learns_to_copy_what_stands_two_before():
    keras.utils.set_random_seed(1)
    ids = RNG.integers(0, 5, (256, 12))
    inputs = keras.Input((12,), dtype="int32")
    x = keras.layers.Embedding(5, 16)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(5)(Transformer(2, 2, causal=True)(x)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss)
    target = np.concatenate([ids[:, :2], ids[:, :-2]], axis=1)
    history = model.fit(ids, target, batch_size=32, epochs=14, verbose=0).history["loss"]
    assert history[-1] < 0.15 < 1.0 < history[0]


def test_no_block_is_refused():
    with pytest.raises(ValueError, match="at least one block. Received: depth=0"):
        Transformer(0, 2)
