import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.metrics import codebook_statistics
from vqzoo.metrics import evaluate_audio
from vqzoo.metrics import level_difference
from vqzoo.metrics import log_mel_distance
from vqzoo.metrics import mel_distance
from vqzoo.metrics import si_sdr
from vqzoo.metrics import stft_distance
from vqzoo.ops import crop
from vqzoo.quantizers import FiniteScalarQuantizer
from vqzoo.quantizers import ResidualQuantizer
from vqzoo.quantizers import VectorQuantizer
from vqzoo.tokenizers import Tokenizer

STRIDE = 4


class Codec(Tokenizer):
    """A tokenizer of waveforms: blocks of 4 samples are latents, and latents blocks."""

    sample_rate = 8000

    def decode(self, tokens, length=None, batch_size=None):
        decoded = super().decode(tokens, batch_size=batch_size)
        return decoded if length is None else crop(decoded, (length,))


def codec(quantizer):
    signal = keras.Input((None, 1))
    blocks = keras.layers.Conv1D(STRIDE, STRIDE, STRIDE, padding="same", use_bias=False, name="blocks")
    latents = keras.Input((None, STRIDE))
    samples = keras.layers.Reshape((-1, 1))
    tokenizer = Codec(keras.Model(signal, blocks(signal)), quantizer, keras.Model(latents, samples(latents)))
    tokenizer.build((None, None, 1))
    blocks.set_weights([np.eye(STRIDE)[:, None]])
    return tokenizer


class Constant:
    """Decodes to the same values whatever comes."""

    codebook_sizes, sample_rate = (2,), 16000

    def __init__(self, value):
        self.value = value

    def encode(self, signal):
        return np.zeros((len(signal), 1, 1), "int32")

    def decode(self, tokens, length):
        return tf.fill((len(tokens), length, 1), tf.constant(self.value, tf.float32))


def clips(seed, shape):
    return np.random.default_rng(seed).uniform(-0.9, 0.9, shape).astype("float32")


def test_the_report_is_the_mean_over_all_clips():
    batches = [clips(0, (3, 1600, 1)), clips(1, (1, 803, 1))]  # the last batch weighs less, and has a broken block
    tokenizer = codec(FiniteScalarQuantizer([7, 7, 7, 7]))
    report = evaluate_audio(tokenizer, batches)
    tokens = [tokenizer.encode(x) for x in batches]
    saved = [np.clip(tokenizer.decode(t, length=x.shape[1]), -1, 1) for t, x in zip(tokens, batches, strict=True)]
    assert tokens[1].shape == (1, 201, 1)
    statistics = codebook_statistics(np.bincount(np.concatenate([t.numpy().ravel() for t in tokens]), minlength=7**4))
    assert report.pop("times_real_time") > 0
    assert report.pop("dead_codes") == statistics["dead_codes"] > 0
    assert report.pop("clips") == 4

    def mean(distance):
        return np.concatenate([distance(*pair) for pair in zip(batches, saved, strict=True)]).mean()

    assert report == pytest.approx(
        {
            "mel_distance": mean(lambda x, y: mel_distance(x, y, 8000)),
            "log_mel_distance": mean(lambda x, y: log_mel_distance(x, y, 8000)),
            "stft_distance": mean(stft_distance),
            "si_sdr": mean(si_sdr),
            "level_difference": mean(level_difference),
            "l1": mean(lambda x, y: np.abs(x - y).mean(axis=(1, 2))),
            "kilobits_per_second": (3 * 400 + 201) / (3 * 0.2 + 803 / 8000) * 4 * np.log2(7) / 1000,
            "usage": statistics["usage"],
            "perplexity": statistics["perplexity"],
            "seconds": 3 * 0.2 + 803 / 8000,
        },
        rel=1e-5,
    )
    assert 10 < report["si_sdr"] < 20  # seven levels: it does come back


def test_each_of_several_codebooks_is_told():
    quantizers = [VectorQuantizer(8), VectorQuantizer(4)]
    tokenizer = codec(ResidualQuantizer(quantizers))
    x = clips(0, (2, 800, 1))
    report = evaluate_audio(tokenizer, [x])
    tokens = tokenizer.encode(x).numpy()
    for i, size in enumerate((8, 4)):
        statistics = codebook_statistics(np.bincount(tokens[..., i].ravel(), minlength=size))
        assert report[f"usage_{i}"] == statistics["usage"]
        assert report[f"perplexity_{i}"] == pytest.approx(statistics["perplexity"], rel=1e-6)
    assert report["perplexity"] == pytest.approx((report["perplexity_0"] + report["perplexity_1"]) / 2, rel=1e-5)
    assert report["kilobits_per_second"] == pytest.approx(8000 / STRIDE * (3 + 2) / 1000)
    with pytest.raises(ValueError, match=r"names that the report does not use itself. Received: \['perplexity_1'\]"):
        evaluate_audio(tokenizer, [x], metrics={"perplexity_1": lambda x, y: 0.0})


def test_the_report_is_plain_json():
    report = evaluate_audio(Constant(0.1), [clips(0, (2, 800, 1))])
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert {type(value) for name, value in report.items() if name not in ("dead_codes", "clips")} == {float}


@pytest.mark.parametrize(("value", "saved"), [(5.0, 1.0), (-1.2, -1.0), (0.001, 0.001)])
def test_reconstructions_are_clipped(value, saved):
    assert evaluate_audio(Constant(value), [np.full((1, 800, 1), 0.2)])["l1"] == pytest.approx(abs(saved - 0.2))


def test_si_sdr_has_a_ceiling_and_leaves_silence_out():
    class Same:
        codebook_sizes, sample_rate = (2,), 16000

        def encode(self, signal):
            self.signal = signal
            return np.zeros((len(signal), 1, 1), "int32")

        def decode(self, tokens, length):
            return self.signal

    batch = np.stack([clips(0, (800, 1)), np.zeros((800, 1), "float32"), np.full((800, 1), 0.5, "float32")])
    assert evaluate_audio(Same(), [batch])["si_sdr"] == 100.0
    report = evaluate_audio(Same(), [batch[1:]])
    assert "si_sdr" not in report
    assert report["mel_distance"] == report["stft_distance"] == report["l1"] == 0.0


def test_metrics_of_a_clip_of_a_batch_and_of_all():
    batches = [clips(0, (3, 800, 1)), clips(1, (1, 800, 1)), clips(2, (5, 800, 1))]
    metrics = {
        "largest": lambda x, y: np.abs(x - y).max(axis=(1, 2)),
        "mean_square": lambda x, y: float(np.mean((x - y) ** 2)),
        "mse": keras.metrics.MeanSquaredError(),
    }
    x = np.concatenate(batches[:2])
    for _ in range(2):  # what gathers begins anew
        report = evaluate_audio(Constant(0.25), iter(batches), max_batches=2, metrics=metrics)
        assert report["clips"] == 4
        assert report["largest"] == pytest.approx(np.abs(x - 0.25).max(axis=(1, 2)).mean(), rel=1e-5)
        assert report["mean_square"] == pytest.approx(np.mean((x - 0.25) ** 2), rel=1e-5)
        assert report["mse"] == pytest.approx(np.mean((x - 0.25) ** 2), rel=1e-5)


def test_what_it_refuses():
    with pytest.raises(ValueError, match="nothing to evaluate: `batches` held no clip"):
        evaluate_audio(Constant(0.0), [])
    with pytest.raises(
        ValueError, match=r"only arrays of clips, each \(batch, samples, channels\). Received: .*\(2, 800\)"
    ):
        evaluate_audio(Constant(0.0), [np.zeros((2, 800))])
    with pytest.raises(ValueError, match=r"does not use itself. Received: \['mel_distance', 'seconds'\]"):
        evaluate_audio(Constant(0.0), [], metrics={"seconds": None, "mel_distance": None})
    with pytest.raises(ValueError, match=r"each of its 2 clips. Received: from odd, shapes \[\(3,\)\]"):
        evaluate_audio(Constant(0.0), [clips(0, (2, 800, 1))], metrics={"odd": lambda x, y: np.zeros(3)})
