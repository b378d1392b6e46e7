"""Changes the precision of a network in its config."""

import inspect

import keras

MIXED = ("mixed_bfloat16", "mixed_float16")


def with_policy(config, olds, new):
    """Replaces dtype policies in a serialised config.

    Args:
        config: what `keras.saving.serialize_keras_object` or a `get_config` returned.
        olds: tuple of str, the policies to replace.
        new: str, the policy in their place.

    Returns:
        The same config with the new policy.

    Example:
    >>> layer = keras.layers.Dense(2, dtype="mixed_bfloat16")
    >>> config = with_policy(layer.get_config(), MIXED, "float32")
    >>> keras.layers.Dense.from_config(config).compute_dtype
    'float32'
    """
    if isinstance(config, list | tuple):
        return type(config)(with_policy(value, olds, new) for value in config)
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy" and config["config"]["name"] in olds:
        return {**config, "config": {"name": new}}
    return {key: with_policy(value, olds, new) for key, value in config.items()}


def in_float32(model, copy):
    """A model with all layers in float32, as in presets and exports.

    A model that was built under a mixed-precision policy has float32 weights and half-precision layers, which LiteRT
    and processors without bfloat16 cannot run.

    Args:
        model: `keras.Model` with weights and a complete config.
        copy: callable, config -> the model of that config with the same weights.

    Returns:
        The model itself if its layers are in float32 already; otherwise a copy.
    """
    config = model.get_config()
    changed = with_policy(config, MIXED, "float32")
    return model if changed == config else copy(changed)


def with_config(model, config, *shapes, weights=None):
    """A model of a different config with the same or the given weights; `shapes` are the arguments of its `build`."""
    copy = type(model).from_config(config)
    copy.build(*shapes)
    copy.set_weights(model.get_weights() if weights is None else weights)
    copy.preset_name = getattr(model, "preset_name", None)
    return copy


def in_half_precision(network, policy):
    """Serialises a network with a different policy, except for layers that need float32.

    These are the inputs, layers that are float32 by default, such as spectra, and the last layer with weights and all
    following layers. The 8 significant bits of bfloat16 are too few for a signal.

    Args:
        network: `keras.Model` or layer in float32.
        policy: str, such as "mixed_bfloat16".

    Returns:
        Dict, as of `keras.saving.serialize_keras_object`.

    Example:
    >>> network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3), keras.layers.Dense(4)])
    >>> copy = keras.saving.deserialize_keras_object(in_half_precision(network, "mixed_bfloat16"))
    >>> [layer.compute_dtype for layer in copy.layers]
    ['bfloat16', 'float32']
    """
    config = keras.saving.serialize_keras_object(network)
    if not isinstance(network, keras.Model) or "layers" not in config["config"]:
        return with_policy(config, ("float32",), policy)
    layers = network.layers
    last = max((i for i, layer in enumerate(layers) if layer.weights), default=len(layers))
    kept = {layer.name for i, layer in enumerate(layers) if i >= last or _is_exact(layer)}
    parts = [
        x if x["config"]["name"] in kept else with_policy(x, ("float32",), policy) for x in config["config"]["layers"]
    ]
    return {**config, "config": {**config["config"], "layers": parts}}


def _is_exact(layer):
    """Whether a layer is in float32 by default."""
    parameter = inspect.signature(type(layer)).parameters.get("dtype")
    return isinstance(layer, keras.layers.InputLayer) or (parameter is not None and parameter.default == "float32")
