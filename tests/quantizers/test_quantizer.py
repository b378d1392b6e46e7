import keras
import numpy as np
import pytest
import tensorflow as tf

import vqzoo
from vqzoo.quantizers import CosineVectorQuantizer
from vqzoo.quantizers import EMAVectorQuantizer
from vqzoo.quantizers import FiniteScalarQuantizer
from vqzoo.quantizers import GaussianQuantizer
from vqzoo.quantizers import GroupedQuantizer
from vqzoo.quantizers import GumbelQuantizer
from vqzoo.quantizers import IndexPropagationQuantizer
from vqzoo.quantizers import MultiScaleResidualQuantizer
from vqzoo.quantizers import ProjectedQuantizer
from vqzoo.quantizers import Quantizer
from vqzoo.quantizers import ResidualQuantizer
from vqzoo.quantizers import SimVectorQuantizer
from vqzoo.quantizers import VectorQuantizer


class TwoCodebooks(Quantizer):
    """Only what `check_tokens` needs."""

    codebook_sizes = (4, 2)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "mixed_float16", "mixed_bfloat16", "float64"])
def test_another_dtype_is_refused(dtype):
    with pytest.raises(ValueError, match=f"computes in float32.*Received: dtype='{dtype}'.*Leave `dtype` out"):
        VectorQuantizer(4, dtype=dtype)


def test_stays_in_float32_under_a_mixed_policy():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        # Both codes are 0 in float16.
        quantizer = VectorQuantizer(2, initializer=lambda shape, dtype: tf.constant([[0.0], [2e-8]], dtype))
        quantized = quantizer(tf.constant([[[1.5e-8], [0.5e-8]]]))
        of_half = quantizer(tf.constant([[[1.0]]], "float16"))
    finally:
        keras.config.set_dtype_policy(before)
    assert quantizer.codebook.dtype == "float32"
    assert quantized.tokens.numpy().tolist() == [[[1], [0]]]
    for result in (quantized, of_half):
        assert result.latents.dtype == "float32"
        assert {loss.dtype for loss in result.losses.values()} == {tf.float32}
    assert float(of_half.losses["commitment"]) == 1.0


@pytest.mark.parametrize("name", ["codebook_sizes", "num_codebooks", "loss_names"])
def test_a_subclass_writes_the_properties(name):
    with pytest.raises(NotImplementedError):
        getattr(Quantizer(), name)


@pytest.mark.parametrize("name", ["encode", "decode", "portable_encode", "portable_decode"])
def test_a_subclass_writes_the_methods(name):
    with pytest.raises(NotImplementedError):
        getattr(Quantizer(), name)(np.zeros((1, 2, 3)))


def test_num_codebooks_counts_the_sizes():
    assert TwoCodebooks().num_codebooks == 2


@pytest.mark.parametrize(
    "make", [list, np.array, tf.constant, lambda x: np.array(x, "uint8"), lambda x: np.array(x)[:0]]
)
def test_good_tokens_pass(make):
    TwoCodebooks().check_tokens(make([[[0, 0], [3, 1]]]))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bool"])
def test_tokens_of_another_dtype_are_refused(dtype):
    message = f"Tokens must be integers. Received: dtype={dtype}. Pass the output of `encode`"
    for tokens in (np.zeros((1, 2), dtype), tf.zeros((1, 2), dtype), keras.Input((2,), dtype=dtype)):
        with pytest.raises(ValueError, match=message):
            TwoCodebooks().check_tokens(tokens)


def test_a_list_of_floats_is_refused():
    with pytest.raises(ValueError, match="Tokens must be integers. Received: dtype=float64"):
        TwoCodebooks().check_tokens([[0.0, 1.0]])


@pytest.mark.parametrize("shape", [(), (2,), (3, 1), (2, 4, 3)])
def test_another_last_axis_is_refused(shape):
    message = (
        r"\(batch, \*grid, num_codebooks\) with num_codebooks=2. Received: shape=\(.*`tokens\[..., None\]` adds it"
    )
    with pytest.raises(ValueError, match=message):
        TwoCodebooks().check_tokens(np.zeros(shape, "int32"))


def test_another_last_axis_is_refused_while_symbolic():
    with pytest.raises(ValueError, match="num_codebooks=2"):
        TwoCodebooks().check_tokens(keras.Input((7, 3), dtype="int32"))


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([[0, 0], [-1, 1]], r"Tokens of codebook 0 must be in \[0, 4\). Received: values from -1 to 0"),
        ([[4, 0], [1, 1]], r"Tokens of codebook 0 must be in \[0, 4\). Received: values from 1 to 4"),
        ([[3, 2], [0, 0]], r"Tokens of codebook 1 must be in \[0, 2\). Received: values from 0 to 2"),
    ],
)
@pytest.mark.parametrize("make", [list, np.array, tf.constant])
def test_tokens_out_of_range_are_refused(tokens, message, make):
    with pytest.raises(ValueError, match=f"{message}.*made by another tokenizer"):
        TwoCodebooks().check_tokens(make(tokens))


def test_unsigned_tokens_out_of_range_are_refused():
    with pytest.raises(ValueError, match="values from 0 to 4294967295"):
        TwoCodebooks().check_tokens(np.array([[0, 0], [2**32 - 1, 0]], "uint32"))


def test_symbolic_tokens_pass_unseen():
    quantizer = TwoCodebooks()
    quantizer.check_tokens(keras.Input((7, 2), dtype="int32"))
    quantizer.check_tokens(keras.Input((7, None), dtype="int32"))
    passed = []

    @tf.function
    def trace(tokens):
        quantizer.check_tokens(tokens)
        passed.append(True)
        return tokens

    trace(tf.constant([[99, -5]]))
    assert passed


LATENTS = np.arange(24, dtype="float32").reshape(2, 3, 4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_good_latents_come_back_in_float32(dtype):
    for make in (lambda x: x, lambda x: x.numpy()):
        checked = Quantizer().check_latents(make(tf.cast(LATENTS, dtype)), 4)
        assert checked.dtype == "float32"
        np.testing.assert_array_equal(checked, LATENTS)
    assert Quantizer().check_latents(LATENTS.tolist()).dtype == "float32"
    assert Quantizer().check_latents(tf.Variable(LATENTS), 4).shape == (2, 3, 4)
    assert Quantizer().check_latents(LATENTS[:0], 4).shape == (0, 3, 4)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
def test_latents_of_another_dtype_are_refused(dtype):
    message = f"Latents must be floating point. Received: dtype={dtype}. Pass tokens to `decode`, not to `encode`"
    for latents in (np.zeros((1, 2), dtype), tf.zeros((1, 2), dtype), keras.Input((2,), dtype=dtype)):
        with pytest.raises(ValueError, match=message):
            Quantizer().check_latents(latents)


@pytest.mark.parametrize("shape", [(1, 2, 3), (5,), (3, 4, 5)])
def test_latents_of_another_width_or_rank_are_refused(shape):
    message = r"Latents must have the shape \(batch, \*grid, latent_dim\) with latent_dim=4. Received: shape=\("
    with pytest.raises(ValueError, match=message + ", ".join(map(str, shape)) + r".*encoder's last layer that many"):
        Quantizer().check_latents(np.zeros(shape, "float32"), 4)
    with pytest.raises(ValueError, match=message):
        Quantizer().check_latents(keras.Input(shape), 4)


@pytest.mark.parametrize("shape", [(), (4,)])
def test_latents_without_a_batch_axis_are_refused(shape):
    with pytest.raises(ValueError, match=r"with latent_dim. Received: shape=\("):
        Quantizer().check_latents(np.zeros(shape, "float32"))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named_with_their_position(value):
    latents = LATENTS.copy()
    latents[1, 0, 2] = latents[1, 2, 3] = value
    message = (
        rf"Latents must be finite. Received: 2 of 24 values that are not, the first, {value}, at \(1, 0, 2\). Look"
    )
    for dtype in ("float32", "float16", "bfloat16", "float64"):
        with pytest.raises(ValueError, match=message):
            Quantizer().check_latents(tf.cast(latents, dtype))
    with pytest.raises(ValueError, match=message):
        VectorQuantizer(4)(latents)


def test_values_too_large_for_float32_are_refused():
    with pytest.raises(ValueError, match=r"1 of 1 values that are not, the first, inf, at \(0, 0\)"):
        Quantizer().check_latents(np.array([[1e300]]))


def test_padded_positions_become_0_whatever_stands_there():
    latents, mask = LATENTS + 1, np.array([[True, True, False], [False, True, True]])
    latents[~mask] = np.nan
    checked = Quantizer().check_latents(latents, 4, mask).numpy()
    assert not checked[~mask].any()
    np.testing.assert_array_equal(checked[mask], LATENTS[mask] + 1)
    latents[0, 1, 0] = np.inf
    with pytest.raises(ValueError, match=r"1 of 24 values that are not, the first, inf, at \(0, 1, 0\)"):
        Quantizer().check_latents(latents, 4, mask)


@pytest.mark.parametrize("shape", [(2,), (2, 3, 4), (2, 4), (1, 3)])
def test_a_mask_of_another_shape_is_refused(shape):
    message = r"A mask must have the shape \(batch, \*grid\), here \(2, 3\). Received: shape=\(.*It is True where"
    with pytest.raises(ValueError, match=message):
        Quantizer().check_latents(LATENTS, 4, np.ones(shape, bool))


def test_symbolic_latents_and_masks_pass_unseen():
    passed = []

    @tf.function(input_signature=[tf.TensorSpec((None, None, 4)), tf.TensorSpec((None, None), tf.bool)])
    def trace(latents, mask):
        passed.append(Quantizer().check_latents(latents, 4, mask).shape)
        return latents

    trace(np.full((1, 2, 4), np.nan, "float32"), np.ones((1, 2), bool))
    assert passed == [(None, None, 4)]
    assert Quantizer().check_latents(keras.Input((None, 4)), 4).shape == (None, None, 4)


def vector():
    return VectorQuantizer(4, name="inner")


UNBUILT = {
    "gaussian": lambda **options: GaussianQuantizer(vector(), 3, **options),
    "grouped": lambda **options: GroupedQuantizer([vector(), vector()], **options),
    "gumbel": lambda **options: GumbelQuantizer(
        4, 3, temperature=keras.optimizers.schedules.CosineDecay(1.0, 9), **options
    ),
    "multi_scale": lambda **options: MultiScaleResidualQuantizer(vector(), [1, 2], **options),
    "projected": lambda **options: ProjectedQuantizer(vector(), 3, **options),
    "residual": lambda **options: ResidualQuantizer([vector(), vector()], **options),
    "vector": lambda **options: VectorQuantizer(4, **options),
}
each_kind = pytest.mark.parametrize("kind", UNBUILT)


@each_kind
def test_before_build_nothing_is_encoded_or_decoded(kind):
    layer = UNBUILT[kind](name="outer")
    message = r"has no codebook yet, because it is built .* Call it, .*`build\(\(None, \*grid, latent_dim\)\)`"
    with pytest.raises(ValueError, match="The quantizer 'outer' " + message):
        layer.encode(np.zeros((1, 2, 2, 4), "float32"))
    tokens = np.zeros((1, 5, 1) if kind == "multi_scale" else (1, 2, 2, layer.num_codebooks), "int32")
    # A list of quantizers has nothing of its own to decode with.
    with pytest.raises(ValueError, match="The quantizer '(outer|inner)' " + message):
        layer.decode(tokens)


@pytest.mark.parametrize("kind", ["projected", "multi_scale"])
def test_before_build_nothing_is_decoded_by_built_codes_alone(kind):
    layer = UNBUILT[kind](name="outer")
    layer.quantizer.build((None, None, 4))
    with pytest.raises(ValueError, match="The quantizer 'outer' has no codebook yet"):
        layer.decode(np.zeros((1, 5, 1), "int32"))


@pytest.mark.parametrize(
    "make",
    [
        lambda: EMAVectorQuantizer(4, name="codes"),
        lambda: GumbelQuantizer(4, 3, name="codes"),
        lambda: IndexPropagationQuantizer(4, name="codes"),
        lambda: SimVectorQuantizer(4, name="codes"),
        lambda: VectorQuantizer(4, name="codes"),
    ],
)
def test_before_build_there_is_no_codebook(make):
    layer = make()
    for ask in (lambda: layer.codebook, lambda: layer.assign_codebook(np.zeros((4, 3)))):
        with pytest.raises(ValueError, match="The quantizer 'codes' has no codebook yet"):
            ask()
    assert not hasattr(layer, "codebook")
    layer.build((None, 3))
    layer.assign_codebook(np.eye(4, 3))
    np.testing.assert_array_equal(layer.codebook, np.eye(4, 3))


@each_kind
@pytest.mark.parametrize("by", ["constructor", "attribute", "file"])
def test_what_was_frozen_before_build_stays_frozen_in_a_model(kind, by, tmp_path):
    layer = UNBUILT[kind](trainable=by == "attribute")
    if by == "attribute":
        layer.trainable = False
    inputs = keras.Input((2, 2, 4))
    model = keras.Model(inputs, layer(inputs).latents)
    if by == "file":
        model.save(tmp_path / "it.keras")
        model = keras.models.load_model(tmp_path / "it.keras")
    assert len(model.variables) > 0
    assert model.trainable_variables == []


@each_kind
def test_a_frozen_part_is_no_reason_to_freeze_or_thaw_the_rest(kind):
    layer = UNBUILT[kind]()
    inner = layer.inner_quantizers()[:1]
    for part in inner:
        part.trainable = False
    inputs = keras.Input((2, 2, 4))
    model = keras.Model(inputs, layer(inputs).latents)
    frozen = {id(variable) for part in inner for variable in part.variables}
    every = {id(v) for v in model.variables if v.name not in ("steps", "seed_generator_state")}
    assert {id(variable) for variable in model.trainable_variables} == every - frozen


def test_which_quantizers_map_the_latents():
    for kind, make in UNBUILT.items():
        assert make().maps_latents == (kind in ("gaussian", "gumbel", "projected")), kind
    for layer in (CosineVectorQuantizer(4), FiniteScalarQuantizer((3,)), SimVectorQuantizer(4)):
        assert not layer.maps_latents
    assert GroupedQuantizer([vector(), ResidualQuantizer([vector(), UNBUILT["projected"]()])]).maps_latents


def test_every_public_quantizer_can_be_loaded():
    registered = set(keras.saving.get_custom_objects().values())
    public = [getattr(vqzoo.quantizers, name) for name in vqzoo.quantizers.__all__]
    layers = {thing for thing in public if isinstance(thing, type) and issubclass(thing, keras.layers.Layer)}
    assert layers - registered == {Quantizer}
