"""Mistakes of people who use the tokenizers from Python: each error gives code, and the code is run.

In a row `x` is what is passed. The code of the message stands in backticks behind "Pass", "Call" or "by". What it
says to pass is passed in place of `x`, what it says to call is called. One round has to be enough.
"""

import io
import json
import os
import pathlib
import re
import shutil
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import vqzoo

CODE = re.compile(r"\b([Pp]ass|[Cc]all|by|what) `([^`]+)`")
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (24, 20, 3), "uint8")
PICTURE = (PIXELS / 127.5 - 1).astype("float32")
GREY = PICTURE[..., :1]
WAVE = np.sin(np.arange(3000) / 9).astype("float32") * 0.9
WAVE_16 = np.rint(WAVE * 32768).astype("int16")
MONO = WAVE[:, None]
STEREO = np.stack([WAVE, WAVE[::-1]], axis=-1)
TEXTS = ["the cat sat on the mat", "a dog and a cat"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name in "ab":
        vqzoo.data.save_image(folder / f"{name}.png", PICTURE)
        vqzoo.data.save_audio(folder / f"{name}.wav", STEREO, 16000)
        (folder / f"{name}.txt").write_text("\n".join(TEXTS))
    (folder / "more").mkdir()
    for suffix in ("png", "wav", "txt"):
        shutil.copy(folder / f"a.{suffix}", folder / "more")
    for name, tokens in T.items():
        about = {"format": 1, "size": [1], "codebook_sizes": [16] * tokens.shape[-1], "modality": "image"}
        about = json.dumps({**about, "preset": "mine", "sha256": "0"})
        np.savez(folder / f"{name}.npz", tokens=tokens[0], about=np.array(about))
    return folder


@pytest.fixture(autouse=True)
def untraced():
    """Hundreds of calls of other shapes take their time in tracing."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def tokenizers():
    keras.utils.set_random_seed(0)

    def quantizer():
        return vqzoo.VectorQuantizer(16, keras.initializers.RandomNormal(stddev=0.3, seed=1), name="quantizer")

    def residual():
        return vqzoo.quantizers.ResidualQuantizer([quantizer(), quantizer()])

    pieces = vqzoo.data.Pieces.train(TEXTS, size=300, exact=False)
    image = {"filters": 8, "blocks": 1, "latent_dim": 4}
    audio = {"bands": 16, "filters": 8, "blocks": 1, "latent_dim": 4}
    small = {"shape": (8, 8, 1), "positions": 4, "hidden": (8,), "latent_dim": 2}
    return {
        "image": vqzoo.image_vqvae(quantizer=quantizer(), **image),
        "grey": vqzoo.image_vqvae(channels=1, quantizer=quantizer(), **image),
        "rgba": vqzoo.image_vqvae(channels=4, quantizer=quantizer(), **image),
        "small": vqzoo.tokenizers.image_vqvae_dense(quantizer=quantizer(), **small),
        "audio": vqzoo.spectrogram_vqvae(quantizer=residual(), **audio),
        "stereo": vqzoo.spectrogram_vqvae(channels=2, quantizer=residual(), **audio),
        "text": vqzoo.text_vqvae(pieces, stride=2, filters=8, blocks=1, latent_dim=4, quantizer=residual()),
    }


RIGHT = {
    "image": PICTURE[None],
    "grey": GREY[None],
    "rgba": np.concatenate([PICTURE, GREY], axis=-1)[None],
    "small": GREY[None, :8, :8],
    "audio": MONO[None],
    "stereo": STEREO[None],
    "text": TEXTS,
}
X, W = RIGHT["image"], RIGHT["audio"]
LOW = np.asarray(vqzoo.ops.resample_signal(W, 8000, 16000))


class Elsewhere:
    """As a tensor of PyTorch on a GPU, which NumPy cannot read."""

    def __init__(self, values):
        self._values = values
        self.shape, self.dtype = values.shape, f"torch.{values.dtype}"

    def __array__(self, *arguments, **options):
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy it first.")

    def detach(self):
        return self

    def cpu(self):
        return self._values


class Sparse:
    """As a sparse matrix of SciPy."""

    def __init__(self, values):
        self.shape, self.dtype, self.toarray = values.shape, values.dtype, lambda: values


# (tokenizer, mistake, x, what the fixed x has to be: an array, or None where only the call has to succeed)
SIGNALS = [
    # === Images: kinds of things ===
    ("image", "a path as str", lambda folder: str(folder / "a.png"), X),
    ("image", "a path", lambda folder: folder / "a.png", X),
    ("image", "a list of paths", lambda folder: [folder / "a.png", folder / "b.png"], None),
    ("image", "a list of one path", lambda folder: [str(folder / "a.png")], None),
    ("image", "an array of paths", lambda folder: np.array([str(folder / "a.png")] * 2), None),
    ("image", "None", None, X),
    ("image", "a number", 3, X),
    ("image", "bytes of a file", lambda folder: (folder / "a.png").read_bytes(), X),
    ("image", "a PIL image", Image.fromarray(PIXELS), X),
    ("image", "a grey PIL image", Image.fromarray(PIXELS[..., 0]), np.repeat(GREY[None], 3, -1)),
    ("image", "a PIL image with opacity", Image.fromarray(PIXELS).convert("RGBA"), X),
    ("image", "a PIL image of a palette", Image.fromarray(PIXELS).convert("P"), None),
    ("image", "a PIL image of two colours", Image.fromarray(PIXELS).convert("1"), None),
    ("image", "a PIL image for print", Image.fromarray(PIXELS).convert("CMYK"), None),
    ("image", "a PIL image of 16 bits", Image.fromarray(PIXELS[..., 0].astype("uint16") * 257), None),
    ("image", "a list of PIL images", [Image.fromarray(PIXELS)] * 2, None),
    ("image", "PIL images of two sizes", [Image.fromarray(PIXELS), Image.fromarray(PIXELS[:9])], None),
    ("image", "an empty list", [], None),
    ("image", "an empty tuple", (), None),
    ("image", "images of two sizes", [PICTURE, PICTURE[:9]], None),
    ("image", "8-bit images of two sizes", [PIXELS, PIXELS[:9]], None),
    ("image", "batches of two sizes", [X, X[:, :9]], None),
    ("image", "a grey image among others", [PICTURE, GREY[..., 0]], None),
    ("image", "an object array of images", lambda folder: objects(PICTURE, PICTURE), None),
    ("image", "an object array of two sizes", lambda folder: objects(PICTURE, PICTURE[:9]), None),
    ("image", "an image and its label", (PICTURE, 3), X),
    ("image", "images and labels", (X, np.array([3])), X),
    ("image", "a batch of a data set", {"image": PIXELS[None], "label": np.array([3])}, X),
    ("image", "a data set", lambda folder: tf.data.Dataset.from_tensors(X), None),
    ("image", "a generator", lambda folder: (image for image in [PICTURE]), X),
    ("image", "a reconstruction", lambda folder: vqzoo.tokenizers.tokenizer.Reconstruction(X, None, {}), X),
    ("image", "a folder", lambda folder: folder / "more", None),
    ("image", "a folder as str", lambda folder: str(folder / "more"), None),
    ("image", "a folder among files", lambda folder: [folder / "more", folder / "a.png"], None),
    ("image", "an open file", lambda folder: open(folder / "a.png", "rb"), X),
    ("image", "content in memory", lambda folder: io.BytesIO((folder / "a.png").read_bytes()), X),
    ("image", "floats and 8 bits", [PICTURE, PIXELS], None),
    ("image", "8 bits and tensors", [PIXELS, tf.constant(PICTURE)], None),
    ("image", "many floats and 8 bits", [PIXELS, *[PICTURE] * 5, PIXELS], None),
    ("image", "floats in [-1, 1] and in [0, 255]", [PICTURE, PIXELS * 1.0], None),
    ("image", "masked", np.ma.array(X, mask=X > 0.9), np.where(X > 0.9, 0, X)),
    ("image", "masked, 8 bits", np.ma.array(PIXELS, mask=PIXELS > 250), None),
    ("image", "a matrix", lambda folder: GREY[..., 0].view(np.matrix), np.repeat(GREY[None], 3, -1)),
    ("image", "a list of rows", [{"image": PICTURE, "label": 1}] * 2, None),
    ("image", "rows in a row", {"photo": {"image": PIXELS}, "label": 1}, X),
    ("image", "a list of pairs", [(PICTURE, 1), (PICTURE, 2)], None),
    ("audio", "a generator", lambda folder: (wave for wave in [WAVE, WAVE]), np.stack([MONO, MONO])),
    ("audio", "a generator of clips", lambda folder: (wave for wave in [MONO]), W),
    ("audio", "zip", lambda folder: zip([WAVE], [1], strict=True), W),
    ("audio", "enumerate", lambda folder: enumerate([WAVE.tolist()]), W),
    ("stereo", "a generator", lambda folder: (wave for wave in [STEREO]), RIGHT["stereo"]),
    ("grey", "a generator", lambda folder: (image for image in [GREY[..., 0]]), GREY[None]),
    ("grey", "zip", lambda folder: zip([GREY[..., 0]], "a", strict=True), GREY[None]),
    ("image", "zip", lambda folder: zip([PICTURE], [1], strict=True), X),
    ("image", "enumerate", lambda folder: enumerate([PICTURE]), X),
    ("image", "of a GPU", lambda folder: Elsewhere(X), X),
    ("image", "of a GPU, 8 bits", lambda folder: Elsewhere(PIXELS), X),
    # === Images: dtypes and ranges ===
    ("image", "8 bits", PIXELS[None], X),
    ("image", "one image of 8 bits", PIXELS, X),
    ("image", "a tensor of 8 bits", lambda folder: tf.constant(PIXELS[None]), X),
    ("image", "a list of 8-bit images", [PIXELS, PIXELS], np.concatenate([X, X])),
    ("image", "8 bits as int64", PIXELS[None].astype("int64"), X),
    ("image", "16 bits", PIXELS[None].astype("uint16") * 257, X),
    ("image", "16 bits as int32", PIXELS[None].astype("int32") * 257, X),
    ("image", "8 bits with a sign", (PIXELS[None].astype("int16") - 128).astype("int8"), X),
    ("image", "a mask of bools", PIXELS[None] > 99, np.where(PIXELS[None] > 99, 1.0, -1.0)),
    ("image", "a mask of ints", (PIXELS[None] > 99).astype("int64"), np.where(PIXELS[None] > 99, 1.0, -1.0)),
    ("image", "0 to 255 as floats", PIXELS[None].astype("float32"), X),
    ("image", "0 to 255 as a nested list", PIXELS[None].tolist(), X),
    ("image", "0 to 65535 as floats", PIXELS[None] * 257.0, X),
    ("image", "standardised", X * 2.2, None),
    ("image", "any range", X * 1e6, None),
    ("image", "a number beyond", X * 1.6, None),
    ("image", "NaN", np.where(X > 0.9, np.nan, X), None),
    ("image", "infinity", np.where(X > 0.9, np.inf, X), None),
    ("image", "NaN in 0 to 255", np.where(X > 0.9, np.nan, PIXELS[None]), None),
    ("image", "objects", X.astype(object), X),
    # === Images: shapes ===
    ("image", "no batch axis", PICTURE, X),
    ("image", "channels first", np.moveaxis(X, -1, 1), X),
    ("image", "channels first, no batch axis", np.moveaxis(PICTURE, -1, 0), X),
    ("image", "channels first, 8 bits", np.moveaxis(PIXELS, -1, 0), X),
    ("image", "channels first in [0, 1]", np.moveaxis(PIXELS, -1, 0) / 255, X),
    ("image", "channels first, RGBA", np.moveaxis(RIGHT["rgba"], -1, 1), X),
    ("image", "one grey image", GREY[..., 0], np.repeat(GREY[None], 3, -1)),
    ("image", "grey images", np.stack([GREY[..., 0]] * 5), None),
    ("image", "grey images with their axis", GREY[None], np.repeat(GREY[None], 3, -1)),
    ("image", "one grey image with its axis", GREY, np.repeat(GREY[None], 3, -1)),
    ("image", "grey with opacity", np.concatenate([GREY, GREY], -1), np.repeat(GREY[None], 3, -1)),
    ("image", "RGBA", RIGHT["rgba"], X),
    ("image", "RGBA of 8 bits", np.dstack([PIXELS, PIXELS[..., 0]]), X),
    ("image", "seven bands", np.zeros((1, 24, 20, 7), "float32"), np.zeros((1, 24, 20, 3))),
    ("image", "a video", X[None], X),
    ("image", "a flat image", np.zeros(300, "float32"), np.zeros((1, 10, 10, 3))),
    ("image", "tokens", np.zeros((1, 2, 2, 1), "int32"), None),
    ("image", "an empty batch of 8 bits", PIXELS[None][:0], X[:0]),
    # === Images for other tokenizers ===
    ("grey", "RGB", X, X @ [[0.299], [0.587], [0.114]]),
    ("grey", "RGB of 8 bits", PIXELS, X @ [[0.299], [0.587], [0.114]]),
    ("grey", "RGB channels first", np.moveaxis(X, -1, 1), X @ [[0.299], [0.587], [0.114]]),
    ("grey", "RGBA", RIGHT["rgba"], X @ [[0.299], [0.587], [0.114]]),
    ("grey", "no channel axis", GREY[..., 0], GREY[None]),
    ("grey", "a batch without a channel axis", np.stack([GREY[..., 0]] * 5), np.stack([GREY] * 5)),
    ("grey", "8 bits without a channel axis", PIXELS[..., 0], GREY[None]),
    ("grey", "a PIL image", Image.fromarray(PIXELS), None),
    ("grey", "a path", lambda folder: folder / "a.png", None),
    ("rgba", "RGB", X, np.concatenate([X, np.ones_like(X[..., :1])], -1)),
    ("rgba", "RGB of 8 bits", PIXELS, np.concatenate([X, np.ones_like(X[..., :1])], -1)),
    ("rgba", "grey", GREY, None),
    ("rgba", "a PIL image", Image.fromarray(PIXELS), np.concatenate([X, np.ones_like(X[..., :1])], -1)),
    ("small", "another size", GREY[None], None),
    ("small", "another size, RGB, 8 bits", PIXELS, None),
    ("small", "a smaller size", GREY[None, :5, :5], None),
    ("small", "flat images", GREY[None, :8, :8].reshape(1, 64), GREY[None, :8, :8]),
    ("small", "a flat image", GREY[:8, :8].reshape(64), GREY[None, :8, :8]),
    ("small", "flat images of 8 bits", PIXELS[:8, :8, 0].reshape(1, 64), GREY[None, :8, :8]),
    # === Audio: kinds of things ===
    ("audio", "a path as str", lambda folder: str(folder / "a.wav"), None),
    ("audio", "a path", lambda folder: folder / "a.wav", None),
    ("audio", "a list of paths", lambda folder: [folder / "a.wav", folder / "b.wav"], None),
    ("audio", "None", None, None),
    ("audio", "bytes of a file", lambda folder: (folder / "a.wav").read_bytes(), None),
    ("audio", "an empty list", [], None),
    ("audio", "waveforms of two lengths", [MONO, MONO[:999]], None),
    ("audio", "1-D waveforms of two lengths", [WAVE, WAVE[:999]], None),
    ("audio", "int16 of two lengths", [WAVE_16, WAVE_16[:999]], None),
    ("audio", "what soundfile.read returns", (WAVE, 16000), W),
    ("audio", "what soundfile.read returns of stereo", (STEREO, 16000), None),
    ("audio", "what scipy.io.wavfile.read returns", (16000, WAVE_16), W),
    ("audio", "what Hugging Face returns", {"array": WAVE, "sampling_rate": 16000, "path": "a.wav"}, W),
    ("audio", "a folder", lambda folder: folder / "more", None),
    ("audio", "an open file", lambda folder: open(folder / "a.wav", "rb"), None),
    ("audio", "Hugging Face at 8 kHz", {"array": WAVE, "sampling_rate": 8000, "path": "a.wav"}, LOW),
    ("audio", "a row of Hugging Face", {"label": 1, "audio": {"array": WAVE, "sampling_rate": 8000}}, LOW),
    ("audio", "rows of Hugging Face", [{"array": WAVE, "sampling_rate": 8000}] * 2, None),
    ("audio", "rows of three rates", [{"array": WAVE, "sampling_rate": rate} for rate in (8000, 16000, 44100)], None),
    ("audio", "rows of two rates", [(WAVE, rate) for rate in (8000, 8000, 16000, 8000, 8000)], None),
    ("audio", "soundfile at 8 kHz", (WAVE, 8000), LOW),
    ("audio", "soundfile at a rate of floats", (WAVE, 8000.0), LOW),
    ("audio", "scipy at 8 kHz", (8000, WAVE_16), LOW),
    ("audio", "torchaudio at 8 kHz", (WAVE[None], 8000), LOW),
    ("audio", "torchaudio, stereo", (np.stack([WAVE, WAVE]), 16000), W),
    ("audio", "rates with little in common", (WAVE, 44101), None),
    ("audio", "with a label", (WAVE, 3), W),
    ("audio", "floats and int16", [MONO, WAVE_16[:, None]], None),
    ("audio", "1-D floats and int16", [WAVE, WAVE_16], None),
    ("audio", "masked", np.ma.array(WAVE, mask=WAVE > 0.5), np.where(W > 0.5, 0, W)),
    ("audio", "sparse", lambda folder: Sparse(np.stack([WAVE] * 9)), np.stack([MONO] * 9)),
    # === Audio: dtypes and ranges ===
    ("audio", "int16", WAVE_16[None, :, None], W),
    ("audio", "int16, 1-D", WAVE_16, W),
    ("audio", "int16 as a tensor", lambda folder: tf.constant(WAVE_16), W),
    ("audio", "int16 as a list", WAVE_16.tolist(), W),
    ("audio", "int16 stereo", np.stack([WAVE_16, WAVE_16], -1), W),
    ("audio", "int32", (WAVE.astype("float64") * 2**31).astype("int32")[None, :, None], W),
    ("audio", "24 bits in int32", (WAVE.astype("float64") * 2**23).astype("int32")[None, :, None], W),
    ("audio", "16 bits in int64", WAVE_16.astype("int64")[None, :, None], W),
    ("audio", "uint8", (WAVE_16 // 256 + 128).astype("uint8")[None, :, None], None),
    ("audio", "uint16", (WAVE_16.astype("int32") + 32768).astype("uint16")[None, :, None], W),
    ("audio", "int8", (WAVE_16 // 256).astype("int8")[None, :, None], None),
    ("audio", "16 bits as floats", WAVE_16.astype("float32")[None, :, None], W),
    ("audio", "16 bits as floats, 1-D", WAVE_16.astype("float32"), W),
    ("audio", "beyond full scale", W * 3, None),
    ("audio", "NaN", np.where(W > 0.8, np.nan, W), None),
    # === Audio: shapes ===
    ("audio", "1-D", WAVE, W),
    ("audio", "1-D as a list", WAVE.tolist(), W),
    ("audio", "(samples, channels)", MONO, W),
    ("audio", "(samples, 2)", STEREO, STEREO.mean(-1)[None, :, None]),
    ("audio", "(batch, samples)", np.stack([WAVE] * 4), np.stack([MONO] * 4)),
    ("audio", "(1, samples)", WAVE[None], W),
    ("audio", "(batch, 1, samples)", WAVE[None, None], W),
    ("audio", "(batch, 2, samples)", STEREO.T[None], STEREO.mean(-1)[None, :, None]),
    ("audio", "stereo", STEREO[None], STEREO.mean(-1)[None, :, None]),
    ("audio", "two batch axes", W[None], W),
    ("audio", "tokens", np.zeros((1, 9, 2), "int32"), None),
    ("stereo", "mono", W, np.repeat(W, 2, -1)),
    ("stereo", "1-D", WAVE, np.repeat(W, 2, -1)),
    ("stereo", "int16, 1-D", WAVE_16, np.repeat(W, 2, -1)),
    ("stereo", "(samples, 2)", STEREO, STEREO[None]),
    ("stereo", "(2, samples)", STEREO.T, STEREO[None]),
    ("stereo", "(batch, 2, samples)", STEREO.T[None], STEREO[None]),
    ("stereo", "(batch, samples)", np.stack([WAVE] * 4), np.stack([np.repeat(MONO, 2, -1)] * 4)),
    ("stereo", "six channels", np.repeat(W, 6, -1), np.repeat(W, 2, -1)),
    ("stereo", "a path", lambda folder: folder / "a.wav", None),
    # === Text ===
    ("text", "one str", TEXTS[0], TEXTS[:1]),
    ("text", "bytes", TEXTS[0].encode(), TEXTS[:1]),
    ("text", "a list of bytes", [text.encode() for text in TEXTS], TEXTS),
    ("text", "an array of bytes", np.array([text.encode() for text in TEXTS]), TEXTS),
    ("text", "a column of an array", np.array(TEXTS)[:, None], TEXTS),
    ("text", "a column of objects", np.array(TEXTS, object)[:, None], TEXTS),
    ("text", "nested lists", [[text] for text in TEXTS], TEXTS),
    ("text", "a tensor of strings", lambda folder: tf.constant(TEXTS), TEXTS),
    ("text", "a tensor of one string", lambda folder: tf.constant(TEXTS[0]), TEXTS[:1]),
    ("text", "a data set", lambda folder: tf.data.Dataset.from_tensor_slices(TEXTS), TEXTS),
    ("text", "a path", lambda folder: folder / "a.txt", TEXTS),
    ("text", "a list of paths", lambda folder: [folder / "a.txt"], TEXTS),
    ("text", "None", None, None),
    ("text", "None among texts", [*TEXTS, None], TEXTS),
    ("text", "NaN among texts", np.array([*TEXTS, np.nan], object), TEXTS),
    ("text", "numbers among texts", [*TEXTS, 3], [*TEXTS, "3"]),
    ("text", "a number", 3, ["3"]),
    ("text", "texts and labels", (TEXTS, [0, 1]), TEXTS),
    ("text", "a batch of a data set", {"text": TEXTS, "label": [0, 1]}, TEXTS),
    ("text", "ids as floats", np.array([[3.0, 4.0, 0.0]]), np.array([[3, 4, 0]])),
    ("text", "ids of one text", np.array([3, 4, 0]), np.array([[3, 4, 0]])),
    ("text", "ids of one text as a list", [3, 4, 0], np.array([[3, 4, 0]])),
    ("text", "ids of several lengths", [[3, 0], [3, 4, 0]], np.array([[3, 0, 0], [3, 4, 0]])),
    ("text", "ids with an axis more", np.array([[[3], [4], [0]]]), np.array([[3, 4, 0]])),
    ("text", "ids of bools", np.array([[True, False]]), None),
    ("text", "ids out of range", np.array([[99999, 0]]), None),
    ("text", "no ids", np.zeros((2, 0), "int32"), ["", ""]),
    ("text", "tokens", np.zeros((1, 4, 2), "int32"), None),
    ("text", "NaN alone", [np.nan], None),
    ("text", "infinity", np.array([[np.inf]]), None),
    ("text", "a float beyond int32", np.array([[2.0**31]]), None),
    ("text", "an image", X, None),
    ("text", "an image of 8 bits", PIXELS // 2, None),
    ("text", "a list of rows", [{"text": text, "label": 1} for text in TEXTS], TEXTS),
    ("text", "a list of rows without text", [{"label": 1}], None),
    ("text", "ragged", lambda folder: tf.ragged.constant([TEXTS[:1], TEXTS[1:]]), TEXTS),
    ("text", "ragged ids", lambda folder: tf.ragged.constant([[3, 0], [3, 4, 0]]), None),
    ("text", "sparse ids", lambda folder: tf.sparse.from_dense([[3, 4, 0]]), None),
    ("text", "a sparse matrix of ids", lambda folder: Sparse(np.array([[3, 4, 0]])), np.array([[3, 4, 0]])),
    ("text", "masked ids", np.ma.array([[3, 4, 0]], mask=[[0, 1, 0]]), np.array([[3, 0, 0]])),
    ("text", "a matrix of ids", lambda folder: np.array([[3, 4, 0]]).view(np.matrix), np.array([[3, 4, 0]])),
    ("text", "ids of a GPU", lambda folder: Elsewhere(np.array([[3, 4, 0]])), np.array([[3, 4, 0]])),
    ("text", "a data set of batches", lambda folder: tf.data.Dataset.from_tensors(TEXTS), TEXTS),
    ("text", "a data set of pairs", lambda folder: tf.data.Dataset.from_tensors((TEXTS, [0, 1])), TEXTS),
    ("text", "a data set of rows", lambda folder: tf.data.Dataset.from_tensors({"a": 1, "b": TEXTS}), TEXTS),
    ("text", "a folder", lambda folder: folder / "more", TEXTS),
    ("text", "a folder among files", lambda folder: [folder / "more", folder / "b.txt"], [*TEXTS, *TEXTS]),
]

T = {name: np.zeros(shape, "int32") for name, shape in {
    "image": (1, 6, 5, 1), "small": (1, 4, 1), "audio": (1, 12, 2), "text": (1, 6, 2)}.items()}  # fmt: skip
TOKENS = [
    *((name, "floats", T[name] * 1.0, T[name]) for name in T),
    *((name, "no batch axis", T[name][0], T[name]) for name in T),
    *((name, "floats, no batch axis", T[name][0] * 1.0, T[name]) for name in T),
    *((name, "a list of floats", (T[name] * 1.0).tolist(), T[name]) for name in T),
    *((name, "fractions", T[name] + 0.5, None) for name in T),
    *((name, "bools", T[name] > 0, None) for name in T),
    *((name, "negative", T[name] - 1, None) for name in T),
    *((name, "out of range", T[name] + 16, None) for name in T),
    *((name, "NaN", T[name] * np.nan, None) for name in T),
    *((name, "beyond int32 as floats", T[name] + 2.0**31, None) for name in T),
    *((name, "negative as floats", T[name] - 1.0, None) for name in T),
    *((name, "complex", T[name] * 1j, None) for name in T),
    *((name, "masked", np.ma.array(T[name], mask=True), None) for name in T),
    ("image", "a matrix", lambda folder: T["image"][0, ..., 0].view(np.matrix), T["image"]),
    ("image", "of a GPU", lambda folder: Elsewhere(T["image"]), None),
    *((name, "None", None, None) for name in T),
    *((name, "an empty list", [], None) for name in T),
    *((name, "a path", lambda folder, name=name: str(folder / f"{name}.npz"), T[name]) for name in T),
    *((name, "paths", lambda folder, name=name: [folder / f"{name}.npz"] * 2, None) for name in T),
    *((name, "a token file", lambda folder, name=name: load(folder, name), T[name]) for name in T),
    *((name, "what np.load returns", lambda folder, name=name: np.load(folder / f"{name}.npz"), None) for name in T),
    *((name, "several sizes", [T[name][0], T[name][0, :2]], None) for name in ("image", "audio", "text")),
    *((name, "too many codebooks", np.repeat(T[name], 3, -1), None) for name in T),
    *((name, "an axis more", T[name][None, None], None) for name in T),
    *((name, "no positions", T[name][:, :0], None) for name in T),
    ("image", "no last axis", T["image"][..., 0], T["image"]),
    ("image", "rows and columns alone", T["image"][0, ..., 0], T["image"]),
    ("small", "no last axis", T["small"][..., 0], T["small"]),
    ("audio", "codebooks first", np.moveaxis(T["audio"], -1, 1), T["audio"]),
    ("audio", "codebooks first, no batch axis", T["audio"][0].T, T["audio"]),
    ("image", "images", X, None),
    ("image", "images of 8 bits", PIXELS[None], None),
    ("audio", "waveforms", W, None),
    ("text", "texts", TEXTS, None),
    ("text", "one text", TEXTS[0], None),
    ("text", "ids of pieces", np.array([[3, 4, 5, 0]]), None),
    ("image", "tokens of text", T["text"] + 9, None),
    ("audio", "tokens of images", T["image"], None),
    ("text", "tokens of images", T["image"], None),
]  # fmt: skip


def objects(*things):
    array = np.empty(len(things), object)
    for i, thing in enumerate(things):
        array[i] = thing
    return array


def load(folder, name):
    return vqzoo.presets.load_tokens(folder / f"{name}.npz")


def names_of(tokenizers, name, folder):
    suffix = {"audio": "wav", "stereo": "wav", "text": "txt"}.get(name, "png")
    signal = RIGHT[name]
    names = {"tokenizer": tokenizers[name], "path": folder / f"a.{suffix}", "signal": signal}
    return {**names, "np": np, "tf": tf, "keras": keras, "vqzoo": vqzoo}


def fixed(function, x, names, expected=None):
    """Calls with x, which is refused, and again by what the message says; the two of them."""
    with pytest.raises(ValueError) as caught:
        function(x)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 600, message
    found = CODE.search(message)
    assert found, f"The message gives no code: {message}"
    result = eval(found[2], {**names, "x": x})
    if found[1].lower() == "call":
        return message, result
    if expected is not None and isinstance(expected, np.ndarray):
        np.testing.assert_allclose(np.asarray(result), expected, atol=2e-2, err_msg=message)
    elif expected is not None:
        assert result == expected, message
    try:
        with warnings.catch_warnings(action="ignore"):
            return message, function(result)
    except ValueError as error:
        raise AssertionError(f"{message}\n  and then\n{error}") from error


def ids(rows):
    return [f"{row[0]}-{row[1]}".replace(" ", "_") for row in rows]


def passed(x, folder):
    return x(folder) if callable(x) and not hasattr(x, "dtype") else x


@pytest.mark.parametrize(("name", "mistake", "x", "expected"), SIGNALS, ids=ids(SIGNALS))
def test_encode_says_how(name, mistake, x, expected, tokenizers, folder):
    tokenizer = tokenizers[name]
    if mistake.startswith("a data set"):
        tf.config.run_functions_eagerly(False)
    x = passed(x, folder)
    fixed(tokenizer.encode, x, names_of(tokenizers, name, folder), expected)
    if hasattr(x, "close"):
        x.close()


@pytest.mark.parametrize(("name", "mistake", "x", "expected"), TOKENS, ids=ids(TOKENS))
def test_decode_says_how(name, mistake, x, expected, tokenizers, folder):
    x = passed(x, folder)
    fixed(tokenizers[name].decode, x, names_of(tokenizers, name, folder), expected)
    if hasattr(x, "close"):
        x.close()


# Nobody knows a way out of these: (tokenizer, verb, mistake, x, what the message says)
UNKNOWN = [
    ("image", "encode", "a missing path", "nothing/a.png", "There is no file 'nothing/a.png'"),
    ("image", "encode", "missing paths", ["nothing.png"] * 2, "There is no file 'nothing.png'"),
    ("audio", "encode", "a missing path", "nothing.wav", "There is no file 'nothing.wav'"),
    ("text", "encode", "a missing path", pathlib.Path("nothing.txt"), "There is no file 'nothing.txt'"),
    ("image", "decode", "a missing path", "nothing.npz", "There is no file 'nothing.npz'"),
    ("image", "encode", "a specification", tf.TensorSpec((1, 24, 20, 3)), "values cannot be read here"),
    ("text", "encode", "a specification", tf.TensorSpec((1, 9), "int32"), "values cannot be read here"),
    ("image", "encode", "a Keras input", keras.Input((24, 20, 3)), "Only the call"),
    ("audio", "encode", "a Keras input", keras.Input((9, 1)), "Only the call"),
    ("text", "encode", "a Keras input", keras.Input((9,), dtype="int32"), "Only the call"),
    ("image", "decode", "a Keras input", keras.Input((6, 5, 1), dtype="int32"), "Only the call"),
    ("audio", "decode", "a Keras input", keras.Input((9, 2), dtype="int32"), "Only the call"),
    ("text", "decode", "a Keras input", keras.Input((9, 2), dtype="int32"), "Only the call"),
    ("image", "encode", "an empty image", PICTURE[:0], "It is empty: leave it out"),
    ("audio", "encode", "an empty clip", WAVE[:0], "It is empty: leave it out"),
    ("audio", "encode", "an empty clip in a batch", W[:, :0], "It is empty: leave it out"),
    ("audio", "encode", "an empty clip among others", [WAVE, WAVE[:0]], "Leave out the empty ones, such as x[1]"),
    ("image", "encode", "three kinds", [PICTURE, PIXELS, GREY] * 3, "They are of 3 kinds"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "verb", "mistake", "x", "told"), UNKNOWN, ids=ids(UNKNOWN))
def test_where_no_way_out_is_known_none_is_given(name, verb, mistake, x, told, tokenizers):
    with pytest.raises(ValueError, match=re.escape(told)) as caught:
        getattr(tokenizers[name], verb)(x)
    assert "\n" not in str(caught.value)
    assert not CODE.search(str(caught.value))


# Files whose ending says what they are: (tokenizer, endings, what the message says)
OF_OTHERS = [
    ("image", ("wav", "FLAC", "m4a"), "is an audio file by its ending. It needs a tokenizer of audio"),
    ("image", ("txt",), "is a text file by its ending. It needs a tokenizer of text"),
    ("audio", ("png", "Jpg"), "is an image file by its ending. It needs a tokenizer of image"),
    ("text", ("png", "wav"), "by its ending. It needs a tokenizer of"),
    ("image", ("npz",), "is a file of tokens by its ending. Tokens go to `decode`"),
    ("audio", ("npz",), "is a file of tokens by its ending. Tokens go to `decode`"),
]


@pytest.mark.parametrize(("name", "endings", "told"), OF_OTHERS)
def test_files_of_another_tokenizer(name, endings, told, tokenizers, tmp_path):
    for ending in endings:
        path = tmp_path / f"a.{ending}"
        path.touch()
        for x in (path, [path], [path, path]):
            with pytest.raises(ValueError, match=re.escape(told)) as caught:
                tokenizers[name].encode(x)
            assert not CODE.search(str(caught.value))


CALLS = (
    "8 bits",
    "channels first",
    "no batch axis",
    "RGBA",
    "NaN",
    "int16, 1-D",
    "1-D",
    "(batch, 2, samples)",
    "ids of one text",
)
CALLS = [row for row in SIGNALS if row[0] in ("image", "audio", "text") and row[1] in CALLS]


@pytest.mark.parametrize(("name", "mistake", "x", "expected"), CALLS, ids=ids(CALLS))
def test_a_call_says_how(name, mistake, x, expected, tokenizers, folder):
    fixed(tokenizers[name], x, names_of(tokenizers, name, folder), expected)


@pytest.mark.parametrize("options", [{"tile_size": 8}, {"batch_size": 1}])
def test_the_ways_through_encode_say_the_same(options, tokenizers, folder):
    names = names_of(tokenizers, "image", folder)
    for x in (PIXELS, [folder / "a.png"], None, Image.fromarray(PIXELS)):
        message, _ = fixed(lambda x: tokenizers["image"].encode(x, **options), x, names)
        with pytest.raises(ValueError, match=re.escape(message)):
            tokenizers["image"].encode(x)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "bool", "float32"])
def test_graphs_say_how(dtype, tokenizers):
    tf.config.run_functions_eagerly(False)
    tokenizer, x = tokenizers["image"], PIXELS.astype(dtype)
    names = {"keras": keras, "np": np}
    with pytest.raises(ValueError, match="Pass `") as caught:
        tf.function(lambda x: tokenizer.encode(x))(x)
    code = CODE.search(str(caught.value))[2]
    assert tf.function(lambda x: tokenizer.encode(eval(code, {**names, "x": x})))(x).shape == (1, 6, 5, 1)


def test_a_tensor_of_unknown_rank_is_refused_in_one_line(tokenizers):
    tf.config.run_functions_eagerly(False)

    @tf.function(input_signature=[tf.TensorSpec(None, "float32")])
    def encode(x):
        return tokenizers["image"].encode(x)

    with pytest.raises(ValueError, match="The rank of a signal must be known, also in graphs"):
        encode(X)


# === Files: (function, mistake, x, whether the fixed call has to return what the right one does) ===

FILES = [
    ("load_image", "a list", lambda folder: [folder / "a.png", folder / "b.png"]),
    ("load_image", "a folder", lambda folder: folder),
    ("load_image", "a folder as str", lambda folder: str(folder)),
    ("load_image", "a mistyped name", lambda folder: folder / "a.pgn"),
    ("load_image", "an open file", lambda folder: open(folder / "a.png", "rb")),
    ("load_image", "bytes", lambda folder: str(folder / "a.png").encode()),
    ("load_image", "a PIL image", lambda folder: Image.open(folder / "a.png")),
    ("load_audio", "a list", lambda folder: [str(folder / "a.wav")]),
    ("load_audio", "a folder", lambda folder: folder),
    ("load_audio", "a mistyped name", lambda folder: str(folder / "aa.wav")),
    ("load_long_audio", "a folder", lambda folder: folder),
    ("audio_info", "a folder", lambda folder: folder),
    ("audio_info", "a list", lambda folder: [folder / "a.wav"]),
    ("find_images", "a list", lambda folder: [folder, folder]),
    ("find_audio", "a list", lambda folder: [folder]),
    ("find_text", "a list", lambda folder: (folder,)),
    ("find_images", "a mistyped name", lambda folder: f"{folder}x"),
    ("find_audio", "a mistyped name", lambda folder: f"{folder}x"),
    ("find_text", "a mistyped name", lambda folder: folder / "aa.txt"),
]


@pytest.mark.parametrize(("function", "mistake", "x"), FILES, ids=ids(FILES))
def test_reading_says_how(function, mistake, x, folder):
    x = x(folder)
    fixed(getattr(vqzoo.data, function), x, {"vqzoo": vqzoo, "os": os})
    if hasattr(x, "close"):
        x.close()


@pytest.mark.parametrize("function", ["load_image", "load_audio", "audio_info", "load_vectors"])
@pytest.mark.parametrize(
    "x",
    [None, 3, [], {}, PICTURE, b"\x89PNG", Image.fromarray(PIXELS)],
    ids=["None", "3", "list", "dict", "array", "bytes", "pillow"],
)
def test_what_is_no_path_is_refused_in_one_line(function, x):
    with pytest.raises(ValueError, match="^A path is a str or a pathlib.Path. Received: ") as caught:
        getattr(vqzoo.data, function)(x)
    assert "\n" not in str(caught.value) and "again" not in str(caught.value)


@pytest.mark.parametrize("function", ["find_images", "find_audio", "find_text"])
@pytest.mark.parametrize("x", [None, 3, [], PICTURE], ids=["None", "3", "list", "array"])
def test_what_is_no_folder_is_refused_in_one_line(function, x, folder, monkeypatch):
    monkeypatch.chdir(folder)
    fixed(getattr(vqzoo.data, function), x, {"vqzoo": vqzoo})


@pytest.mark.parametrize("function", ["load_image", "load_audio", "audio_info", "load_vectors"])
def test_nobody_is_told_to_get_a_file_again_that_is_not_there(function, folder):
    for path in (folder / "nothing like it.xyz", folder / "no folder" / "a.png", folder):
        with pytest.raises(ValueError, match="No such file|Is a directory") as caught:
            getattr(vqzoo.data, function)(path)
        assert "again" not in str(caught.value)


IMAGES = [
    ("a batch", X, PICTURE),
    ("a batch of several", np.concatenate([X, X]), PICTURE),
    ("channels first", np.moveaxis(PICTURE, -1, 0), PICTURE),
    ("channels first in a batch", np.moveaxis(X, -1, 1), PICTURE),
    ("no channel axis", GREY[..., 0], GREY),
    ("8 bits", PIXELS, PICTURE),
    ("a batch of 8 bits", PIXELS[None], PICTURE),
    ("8 bits as floats", PIXELS * 1.0, PICTURE),
    ("16 bits", PIXELS.astype("uint16") * 257, PICTURE),
    ("bools", PIXELS > 99, np.where(PIXELS > 99, 1.0, -1.0)),
    ("channels first in [0, 1]", np.moveaxis(PIXELS, -1, 0) / 255, PICTURE),
    ("NaN", np.where(PICTURE > 0.9, np.nan, PICTURE), None),
    ("grey with opacity", np.concatenate([GREY, GREY], -1), GREY),
    ("seven bands", np.zeros((8, 8, 7)), np.zeros((8, 8, 3))),
    ("a PIL image", Image.fromarray(PIXELS), PICTURE),
    ("a list of one", [PIXELS], PICTURE),
    ("a nested list of 8 bits", PIXELS.tolist(), PICTURE),
    ("a tensor of 8 bits", tf.constant(PIXELS), PICTURE),
]
SOUNDS = [
    ("a batch", W, MONO),
    ("1-D", WAVE, MONO),
    ("1-D as a list", WAVE.tolist(), MONO),
    ("channels first", STEREO.T, STEREO),
    ("channels first in a batch", STEREO.T[None], STEREO),
    ("int16", WAVE_16[:, None], MONO),
    ("int16, 1-D", WAVE_16, MONO),
    ("int16 in a batch", WAVE_16[None, :, None], MONO),
    ("int32", (MONO.astype("float64") * 2**31).astype("int32"), MONO),
    ("uint8", ((MONO * 128) + 128).astype("uint8"), MONO),
    ("16 bits as floats", WAVE_16[:, None] * 1.0, MONO),
    ("NaN", np.where(MONO > 0.8, np.nan, MONO), None),
    ("with its sample rate", (WAVE, 16000), MONO),
]


@pytest.mark.parametrize(("mistake", "x", "expected"), IMAGES, ids=[row[0] for row in IMAGES])
def test_save_image_says_how(mistake, x, expected, tmp_path):
    path = tmp_path / "a.png"
    fixed(lambda x: vqzoo.data.save_image(path, x), x, {"np": np, "vqzoo": vqzoo}, expected)
    assert path.is_file()


@pytest.mark.parametrize(("mistake", "x", "expected"), SOUNDS, ids=[row[0] for row in SOUNDS])
def test_save_audio_says_how(mistake, x, expected, tmp_path):
    path = tmp_path / "a.wav"
    fixed(lambda x: vqzoo.data.save_audio(path, x, 16000), x, {"np": np, "vqzoo": vqzoo}, expected)
    assert path.is_file()


def test_saving_says_how_to_call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for x in ("a.bmp", "a", tmp_path, None, 3, tmp_path / "b.tiff"):
        fixed(lambda x: vqzoo.data.save_image(x, PICTURE), x, {})
        fixed(lambda x: vqzoo.data.save_audio(x, MONO, 16000), x, {})
    swapped = {"vqzoo": vqzoo, "path": PICTURE, "image": "swapped.png"}
    fixed(lambda x: vqzoo.data.save_image(x, "swapped.png"), PICTURE, swapped)
    swapped = {"vqzoo": vqzoo, "path": MONO, "signal": "swapped.wav", "sample_rate": 16000}
    fixed(lambda x: vqzoo.data.save_audio(x, "swapped.wav", 16000), MONO, swapped)
    assert (tmp_path / "swapped.png").is_file() and (tmp_path / "swapped.wav").is_file()
    fixed(lambda x: vqzoo.data.save_audio("a.wav", MONO, x), 16000.0, {})
    fixed(lambda x: vqzoo.data.save_image("a.jpg", x), RIGHT["rgba"][0], {})


# === Images in [0, 1], which are no error but the commonest mistake ===

UNIT = (PIXELS / 255)[None].astype("float32")
BRIGHT = (np.clip(PIXELS, 128, None) / 127.5 - 1)[None].astype("float32")


DARK = ((0, 0), (3, 0), (3, 0), (0, 0))
BRIGHT_16 = RNG.integers(32768, 65536, (1, 9, 9, 3), "uint16")


def warned(function, *arguments):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*arguments)
    return [str(one.message) for one in caught if "The images are in" in str(one.message)]


@pytest.fixture
def fresh():
    tokenizer = vqzoo.image_vqvae(filters=8, blocks=1, latent_dim=4, quantizer=vqzoo.VectorQuantizer(16))
    tokenizer.encode(X)
    return tokenizer


@pytest.mark.parametrize("options", [{}, {"tile_size": 8}, {"batch_size": 1}], ids=["whole", "in_tiles", "in_batches"])
def test_images_in_0_to_1_are_warned_of_once(options, fresh):
    (message,) = warned(lambda x: fresh.encode(x, **options), UNIT)
    found = CODE.search(message)
    np.testing.assert_allclose(eval(found[2], {"x": UNIT}), X, atol=1e-5)
    assert not warned(fresh.encode, UNIT) and not warned(fresh.encode, X)
    silencing = re.search("with `(warnings[^`]+)`", message)[1]
    with warnings.catch_warnings(action="error"):
        eval(silencing, {"warnings": warnings})
        fresh._warned = False
        fresh.encode(UNIT)


RANGES = {
    "photos in [0, 1]": (UNIT, True),
    "as float64": (UNIT.astype("float64"), True),
    "as a list": (UNIT.tolist(), True),
    "as a tensor": (tf.constant(UNIT), True),
    "resized": (np.random.default_rng(0).uniform(0, 1, (1, 9, 9, 3)), True),
    "drawings in black and white": ((UNIT > 0.5).astype("float32"), True),
    "16 bits": (PIXELS[None] * 257.0 / 65535, True),
    "float16": (UNIT.astype("float16"), True),
    "bfloat16": (tf.cast(UNIT, "bfloat16"), True),
    "dark in a corner, enlarged": (keras.ops.image.resize(np.pad(UNIT, DARK), (50, 50)), True),
    "bright photos in float16": (BRIGHT.astype("float16"), False),
    "bright photos in bfloat16": (tf.cast(BRIGHT, "bfloat16"), False),
    "bright photos in float64": (np.clip(PIXELS, 128, None)[None] / 127.5 - 1, False),
    "bright photos, enlarged": (keras.ops.image.resize(BRIGHT, (50, 50)), False),
    "bright photos of float16, enlarged": (keras.ops.image.resize(BRIGHT.astype("float16"), (50, 50)), False),
    "bright photos of 16 bits": (BRIGHT_16 / 32767.5 - 1, False),
    "bright photos of 16 bits in float32": ((BRIGHT_16 / 32767.5 - 1).astype("float32"), False),
    "photos": (X, False),
    "bright photos": (BRIGHT, False),
    "a white picture": (np.ones((1, 9, 9, 3)), False),
    "a grey picture": (np.zeros((1, 9, 9, 3)), False),
    "one bright photo among others": (np.concatenate([BRIGHT, X]), False),
    "an empty batch": (X[:0], False),
}


@pytest.mark.parametrize("name", RANGES)
def test_which_ranges_are_warned_of(name, fresh):
    x, expected = RANGES[name]
    assert bool(warned(fresh.encode, x)) is expected


def test_a_call_and_one_example_warn_as_encode_does(fresh):
    for function in (fresh, fresh.checked_example, lambda x: vqzoo.restyle(fresh, PICTURE, x)):
        x = UNIT if function is fresh else UNIT[0]
        fresh._warned = False
        assert len(warned(function, x)) == 1 and not warned(function, x)
        fresh._warned = False
        assert not warned(function, x * 2 - 1)
    fresh._warned = False
    assert not warned(lambda x: fresh(x, training=True), UNIT)


def test_a_white_picture_from_a_file_is_not_warned_of(fresh, tmp_path):
    for name, pixels in {"white": 255, "bright": BRIGHT[0] * 127.5 + 127.5}.items():
        Image.fromarray(np.broadcast_to(pixels, PIXELS.shape).astype("uint8")).save(tmp_path / f"{name}.png")
        assert not warned(fresh.encode, vqzoo.data.load_image(tmp_path / f"{name}.png")[None])


def test_training_graphs_and_decoding_never_warn(fresh):
    tf.config.run_functions_eagerly(False)
    tokens = fresh.encode(X)
    weights = {"l2": 1.0, **dict.fromkeys(fresh.quantizer.loss_names, 0.25)}
    trainer = vqzoo.ReconstructionTrainer(fresh, {"l2": vqzoo.losses.l2_loss}, weights)
    trainer.compile(keras.optimizers.Adam(1e-3))
    batches = tf.data.Dataset.from_tensors(UNIT)
    assert not warned(lambda: trainer.fit(batches, epochs=1, verbose=0))
    assert not warned(lambda: list(batches.map(fresh.encode)))
    assert not warned(tf.function(lambda x: fresh.encode(x)), UNIT)
    assert not warned(fresh.decode, tokens)


# === Other functions that take signals ===

PICTURES = [
    ("a batch", X),
    ("8 bits", PIXELS),
    ("channels first", np.moveaxis(PICTURE, -1, 0)),
    ("grey", GREY),
    ("no channel axis", GREY[..., 0]),
    ("RGBA", RIGHT["rgba"][0]),
    ("0 to 255 as floats", PIXELS * 1.0),
    ("a PIL image", Image.fromarray(PIXELS)),
    ("a path", "a.png"),
]


@pytest.mark.parametrize(("mistake", "x"), PICTURES, ids=[row[0] for row in PICTURES])
@pytest.mark.parametrize("argument", ["content", "style"])
def test_restyle_says_how(argument, mistake, x, tokenizers, folder, monkeypatch):
    monkeypatch.chdir(folder)
    pictures = {"content": PICTURE, "style": PICTURE}
    message, made = fixed(
        lambda x: vqzoo.restyle(tokenizers["image"], **{**pictures, argument: x}), x, {"np": np, "vqzoo": vqzoo}
    )
    assert f"`{argument}` is one picture" in message and made.shape == PICTURE.shape


EVALUATED = [
    ("evaluate_images", "image", "one array", X),
    ("evaluate_images", "image", "a list of images", [PICTURE, PICTURE]),
    ("evaluate_images", "image", "pairs with labels", [(X, np.array([1]))]),
    ("evaluate_images", "image", "dicts", [{"image": X, "label": np.array([1])}]),
    ("evaluate_audio", "audio", "one array", W),
    ("evaluate_audio", "audio", "a list of sounds", [MONO]),
    ("evaluate_audio", "audio", "no channel axis", [WAVE[None]]),
    ("evaluate_images", "grey", "no channel axis", [GREY[None, ..., 0]]),
    ("evaluate_audio", "audio", "pairs with labels", [(W, np.array([1]))]),
]


@pytest.mark.parametrize(("function", "name", "mistake", "x"), EVALUATED, ids=ids(EVALUATED))
def test_evaluation_says_how(function, name, mistake, x, tokenizers):
    fixed(lambda x: getattr(vqzoo.metrics, function)(tokenizers[name], x), x, {})


def test_load_tokens_says_how(folder):
    fixed(vqzoo.presets.load_tokens, [folder / "image.npz"], {"vqzoo": vqzoo})
    for name in ("a.png", "a.wav", "a.txt"):
        with pytest.raises(
            ValueError, match=r"is not a token file by its ending. Token files end in .npz, and `vqzoo e"
        ):
            vqzoo.presets.load_tokens(folder / name)


class Column:
    """A column of a table, as those of pandas are: neither an array nor a list, with a dtype of its own."""

    dtype, shape = "str", (3,)

    def __init__(self, values):
        self.values = values

    def __iter__(self):
        return iter(self.values)

    def __len__(self):
        return len(self.values)

    def to_numpy(self):
        return np.array(self.values, object)


ELSEWHERE = {
    "data set of signals": ("image", lambda: tf.data.Dataset.from_tensors(PICTURE)),
    "data set of batches": ("image", lambda: tf.data.Dataset.from_tensors(PICTURE[None])),
    "data set of pairs": ("image", lambda: tf.data.Dataset.from_tensors((PICTURE, 1))),
    "data set of rows": ("image", lambda: tf.data.Dataset.from_tensors({"label": 1, "image": PICTURE})),
    "data set of waves": ("audio", lambda: tf.data.Dataset.from_tensors((MONO, "a"))),
    "data set of 8 bits": ("image", lambda: tf.data.Dataset.from_tensors(PIXELS)),
    "data set of 8-bit rows": ("image", lambda: tf.data.Dataset.from_tensors({"label": 1, "image": PIXELS})),
    "data set batched twice": ("image", lambda: tf.data.Dataset.from_tensors(PICTURE).batch(1).batch(1)),
    "waves batched twice": ("audio", lambda: tf.data.Dataset.from_tensors(MONO).batch(1).batch(1)),
    "1-D waves": ("audio", lambda: tf.data.Dataset.from_tensors(WAVE)),
    "ragged": ("image", lambda: tf.RaggedTensor.from_tensor(PICTURE[None])),
    "sparse": ("image", lambda: tf.sparse.from_dense(PICTURE[None])),
    "column with gaps": ("text", lambda: Column(["the cat", None, "a dog"])),
}


@pytest.mark.parametrize("case", ELSEWHERE)
def test_what_is_no_array_says_how_it_becomes_one(case, tokenizers):
    modality, make = ELSEWHERE[case]
    tf.config.run_functions_eagerly(False)  # which data sets warn of
    tokenizer = tokenizers[modality]
    names = {"np": np, "tf": tf, "vqzoo": vqzoo, "keras": keras, "tokenizer": tokenizer}
    for function in (tokenizer.encode, *([tokenizer] if modality == "image" else [])):
        _, result = fixed(function, make(), names)
        if isinstance(result, tf.data.Dataset):
            assert next(iter(result)).shape[0] == 1


def test_a_column_of_text_is_encoded(tokenizers):
    tokens = tokenizers["text"].encode(Column(TEXTS))
    np.testing.assert_array_equal(tokens, tokenizers["text"].encode(TEXTS))
