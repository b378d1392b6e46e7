import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqzoo
from vqzoo import export
from vqzoo.networks.text import AutoregressiveTextDecoder

SENTENCES = ["the cat sat on the mat", "a dog and a cat", "", "naïve 🐈"]
SMALL = {"stride": 2, "filters": 8, "blocks": 2, "embedding_dim": 8, "latent_dim": 4}


@pytest.fixture(scope="module")
def pieces():
    return vqzoo.data.Pieces.train(SENTENCES, size=300, exact=False)


def made(pieces, decoder=None):
    keras.utils.set_random_seed(0)
    quantizer = vqzoo.EMAVectorQuantizer(16, keras.initializers.RandomNormal(stddev=0.5, seed=1), name="quantizer")
    return vqzoo.text_vqvae(pieces, **SMALL, attention=int(decoder is None), quantizer=quantizer, decoder=decoder)


FORMS = ("saved_model", "litert", "litert_int8", "portable")


@pytest.fixture(scope="module")
def exported(pieces, tmp_path_factory):
    tokenizer = made(pieces)
    folder = tmp_path_factory.mktemp("exported") / "preset"
    tokenizer.save_to_preset(folder)
    ids = pieces.pad(pieces.encode(SENTENCES), 1)
    return tokenizer, folder, export.export_preset(tokenizer, folder, ids, forms=FORMS)


def test_every_form_agrees_and_tells_what_comes_back(exported, pieces):
    tokenizer, folder, agreements = exported
    by_form = {a.form: a for a in agreements}
    assert list(by_form) == ["saved_model", "litert", "litert_int8", "portable", "tokenizer"]
    ids = pieces.pad(pieces.encode(SENTENCES), 1)
    again = tokenizer.decode_ids(tokenizer.encode(ids)).numpy()[:, : ids.shape[1]]
    right = np.mean((again == ids)[np.asarray(vqzoo.ops.mask_until(ids, pieces.end))])
    written = vqzoo.presets.read_metadata(folder)["exports"]
    for form in ("saved_model", "litert", "portable", "tokenizer"):
        agreement = by_form[form]
        assert (agreement.tokens, agreement.signal) == (1.0, 0.0) and np.isnan(agreement.psnr)
        assert agreement.accuracy == written[form]["accuracy"] == pytest.approx(right)
        assert (
            "psnr" not in written[form] and agreement.quality == f"{right:.2%} of pieces right on {len(ids)} examples"
        )
    assert np.isfinite(by_form["litert_int8"].accuracy) and by_form["litert_int8"].tokens > 0.5
    listed = vqzoo.presets.verify_preset(folder)["files"]
    assert "pieces.model" in listed and (folder / "pieces.model").read_bytes() == pieces.model


PLAIN = """
import json, sys
import numpy as np, sentencepiece
from ai_edge_litert.interpreter import Interpreter

folder, texts = sys.argv[1], json.loads(sys.argv[2])
pieces = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/pieces.model")
run = Interpreter(f"{folder}/tokenizer.tflite").get_signature_runner
rows = [[*ids, pieces.eos_id()] for ids in pieces.encode(texts)]
longest = max(map(len, rows))
ids = np.array([row + [pieces.eos_id()] * (longest - len(row)) for row in rows], "int32")
tokens = run("encode")(signal=ids)["tokens"]
again = run("decode")(tokens=tokens)["signal"]
again = [pieces.decode(row[: row.index(pieces.eos_id())] if pieces.eos_id() in row else row) for row in again.tolist()]
assert "tensorflow" not in sys.modules and "vqzoo" not in sys.modules
print(json.dumps([tokens.tolist(), again]))
"""


def test_plain_python_with_sentencepiece_and_litert(exported):
    tokenizer, folder, _ = exported
    arguments = [str(folder), json.dumps(SENTENCES)]
    child = subprocess.run([sys.executable, "-P", "-c", PLAIN, *arguments], capture_output=True, text=True)
    assert child.returncode == 0, child.stderr[-2000:]
    tokens, again = json.loads(child.stdout.splitlines()[-1])
    np.testing.assert_array_equal(tokens, tokenizer.encode(SENTENCES))
    assert again == tokenizer.decode(tokens)


def test_signatures_take_any_batch_and_length(exported):
    tokenizer, folder, _ = exported
    from ai_edge_litert.interpreter import Interpreter

    signatures = tf.saved_model.load(str(folder / "saved_model")).signatures
    interpreter = Interpreter(str(folder / "tokenizer.tflite"))
    assert set(signatures) == set(interpreter.get_signature_list()) == {"encode", "decode"}
    names = {d["op_name"] for d in interpreter._get_ops_details()}
    assert not [name for name in names if name.startswith(("Flex", "CUSTOM"))]
    for shape in ((1, 1), (3, 7), (2, 16)):
        ids = np.random.default_rng(0).integers(0, tokenizer.pieces.size, shape).astype("int32")
        tokens = tokenizer.encode(ids).numpy()
        again = tokenizer.decode_ids(tokens)
        for found in (
            signatures["encode"](signal=tf.constant(ids))["tokens"],
            interpreter.get_signature_runner("encode")(signal=ids)["tokens"],
        ):
            np.testing.assert_array_equal(found, tokens)
        for found in (
            signatures["decode"](tokens=tf.constant(tokens))["signal"],
            interpreter.get_signature_runner("decode")(tokens=tokens)["signal"],
        ):
            np.testing.assert_array_equal(found, again)


def test_an_autoregressive_decoder_has_no_portable_form(pieces, tmp_path):
    size = {"stride": 2, "filters": 8, "depth": 1, "heads": 2, "embedding_dim": 6, "max_length": 32}
    tokenizer = made(pieces, AutoregressiveTextDecoder(pieces.size, end=pieces.end, **size))
    with pytest.raises(
        ValueError, match="The portable form needs Functional models. Received: AutoregressiveTextDecoder"
    ):
        export.export_portable(tokenizer, tmp_path)


def test_decoded_pieces_that_differ_are_refused(exported, monkeypatch):
    tokenizer, folder, _ = exported
    ids = tokenizer.pieces.pad(tokenizer.pieces.encode(SENTENCES), 1)
    truth = export.verify._run(folder, ["portable"], ids, np.asarray(tokenizer.encode(ids)), "")
    monkeypatch.setattr(export.verify, "FORMS", {"portable": "encoder.keras"})
    other = truth["portable/signal"].copy()
    other[0, 0] += 1
    monkeypatch.setattr(export.verify, "_run", lambda *_: {**truth, "portable/signal": other})
    with pytest.raises(ValueError, match="must decode the same signals as its source.*Received: a difference of 0.0"):
        export.verify_exports(tokenizer, folder, ids)
