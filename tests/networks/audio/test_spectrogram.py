import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.networks.audio import network_reach
from vqzoo.networks.audio import spectrogram_decoder
from vqzoo.networks.audio import spectrogram_encoder
from vqzoo.networks.image import convolutional_encoder

SMALL = {"frame_length": 64, "hop_length": 16, "filters": 12, "blocks": 3}


def pair(time_stride=1, channels=1, attention=0):
    network = {**SMALL, "time_stride": time_stride, "attention": attention}
    return spectrogram_encoder(5, 8000, channels, bands=8, **network), spectrogram_decoder(5, channels, **network)


def noise(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


@pytest.mark.parametrize("attention", [0, 1])
@pytest.mark.parametrize(("time_stride", "channels"), [(1, 1), (2, 2), (3, 1)])
def test_a_padded_batch_has_what_each_item_has_alone(time_stride, channels, attention):
    encoder, decoder = pair(time_stride, channels, attention)
    lengths = np.array([500, 333, 48, 1])
    x = noise(4, 500, channels)
    mask = np.arange(500) < lengths[:, None]
    latents = encoder(np.where(mask[..., None], x, 1.2).astype("float32"), mask=mask).numpy()
    frames = -(-lengths // (16 * time_stride))
    waves = decoder(latents, mask=np.arange(latents.shape[1]) < frames[:, None]).numpy()
    for i, (length, count) in enumerate(zip(lengths, frames, strict=True)):
        alone = encoder(x[i : i + 1, :length])
        assert alone.shape == (1, count, 5)
        np.testing.assert_allclose(latents[i, :count], alone[0], atol=1e-5)
        wave = decoder(alone)
        assert wave.shape == (1, count * 16 * time_stride, channels)
        np.testing.assert_allclose(waves[i, :length], wave[0, :length], atol=1e-5)
    assert np.std(latents) > 0.1 and np.std(waves) > 0.01


@pytest.mark.parametrize("time_stride", [1, 2])
def test_nothing_beyond_the_reach_is_seen(time_stride):
    encoder, decoder = pair(time_stride)
    stride, reach = 16 * time_stride, network_reach(encoder)
    x = noise(1, 64 * stride, 1)
    frame = 32
    outside = x.copy()
    outside[:, : frame * stride - reach] = outside[:, (frame + 1) * stride + reach :] = 0.0
    np.testing.assert_allclose(encoder(outside)[:, frame], encoder(x)[:, frame], atol=1e-6)
    nearer = x.copy()
    nearer[:, : frame * stride - reach // 2] = 0.0
    assert np.abs(encoder(nearer)[:, frame] - encoder(x)[:, frame]).max() > 1e-5
    reach, latents = network_reach(decoder), noise(1, 64, 5)
    outside = latents.copy()
    outside[:, : frame - reach] = outside[:, frame + 1 + reach :] = 0.0
    kept = slice(frame * stride, (frame + 1) * stride)
    np.testing.assert_allclose(decoder(outside)[:, kept], decoder(latents)[:, kept], atol=1e-6)
    latents[:, frame - 3] = 0.0
    assert np.abs(decoder(outside)[:, kept] - decoder(latents)[:, kept]).max() > 1e-4


def test_reach_by_hand():
    encoder, decoder = pair(time_stride=2)
    # The spectrum, 1 + 1 blocks and the first convolution at 16 samples, the strided one of 4, 2 blocks at 32.
    assert network_reach(encoder) == 24 + 16 * (3 + 3 + 1) + 32 * (3 + 3)
    # The first convolution and a block at whole latents, 3 for upsampling; 2 blocks and 2 frames at half of them.
    assert network_reach(decoder) == 3 + 3 + 1 + (3 + 3 + 2) // 2
    assert network_reach(keras.layers.Dense(3)) == 0


def test_networks_that_see_everything_or_do_not_tell_have_no_reach():
    with pytest.raises(ValueError, match="'attention_0' of the network 'encoder', a SelfAttentionBlock1D, uses all"):
        network_reach(pair(attention=1)[0])
    with pytest.raises(ValueError, match="a Conv2D, uses all positions or does not declare it.*Give `overlap`"):
        network_reach(convolutional_encoder(4, filters=4))


def test_parameters_of_the_defaults():
    block = 7 * 256 + 256 + 2 * 256 + (256 + 1) * 768 + (768 + 1) * 256 + 256
    assert spectrogram_encoder(64, 16000).count_params() == (
        (7 * 80 + 1) * 256 + 2 * 256 + 4 * block + 2 * 256 + (256 + 1) * 64
    )
    assert spectrogram_decoder(64).count_params() == (
        (7 * 64 + 1) * 256 + 2 * 256 + 4 * block + 2 * 256 + (256 + 1) * 1026
    )


def test_without_mask_there_are_no_products_with_one():
    encoder, _ = pair()
    graph = tf.function(encoder).get_concrete_function(noise(1, 64, 1)).graph
    assert not {operation.type for operation in graph.get_operations()} & {"Select", "SelectV2"}
