import keras
import numpy as np
import pytest
import tensorflow as tf

import vqzoo
from vqzoo.data import Pieces
from vqzoo.networks import text
from vqzoo.tokenizers.text import checks as text_checks

SENTENCES = [
    "the cat sat on the mat",
    "",
    "a dog and a cat, and then another dog and another cat",
    "naïve 🐈 עברית",
    "the end",
    "\x00\ufffd ",
]
SMALL = {"filters": 16, "blocks": 2, "embedding_dim": 8}


@pytest.fixture(scope="module")
def pieces():
    return Pieces.train(SENTENCES + ["the cat and the dog", "a mat"], size=320, exact=False)


def residual():
    codes = [vqzoo.EMAVectorQuantizer(32, keras.initializers.RandomNormal(stddev=0.5, seed=seed)) for seed in (0, 1)]
    return vqzoo.quantizers.ResidualQuantizer(codes)


def make(pieces, stride=4, attention=0, autoregressive=False, quantizer=None):
    keras.utils.set_random_seed(0)
    decoder = None
    if autoregressive:
        options = {"stride": stride, "filters": 16, "depth": 1, "heads": 2, "embedding_dim": 8, "max_length": 64}
        decoder = text.AutoregressiveTextDecoder(pieces.size, end=pieces.end, **options)
    tokenizer = vqzoo.text_vqvae(
        pieces, stride, attention=attention, latent_dim=6, quantizer=quantizer or residual(), decoder=decoder, **SMALL
    )
    if autoregressive:
        # Untrained, every piece would be as likely as the others.
        decoder.embedding.embeddings.assign(np.random.default_rng(0).normal(size=(pieces.size, 8)))
    return tokenizer


KINDS = [(1, 0, False), (4, 1, False), (8, 0, True)]
each = pytest.mark.parametrize(("stride", "attention", "autoregressive"), KINDS)
pytestmark = pytest.mark.filterwarnings("ignore:(?s).*You are using a softmax:UserWarning")


@each
def test_a_sentence_alone_has_the_tokens_and_the_text_that_it_has_in_a_batch(pieces, stride, attention, autoregressive):
    tokenizer = make(pieces, stride, attention, autoregressive)
    tokens = tokenizer.encode(SENTENCES).numpy()
    ids = tokenizer.decode_ids(tokens).numpy()
    texts = tokenizer.decode(tokens)
    counts = tokenizer.chunks(SENTENCES)
    assert counts == [-(-len(row) // stride) for row in pieces.encode(SENTENCES)]
    assert tokens.shape == (6, max(counts), 2) and tokens.dtype == np.int32
    for i, (sentence, count) in enumerate(zip(SENTENCES, counts, strict=True)):
        alone = tokenizer.encode([sentence]).numpy()
        np.testing.assert_array_equal(alone[0], tokens[i, :count])
        assert not tokens[i, count:].any()
        made = tokenizer.decode_ids(alone).numpy()[0]
        assert made.shape == (count * stride,)
        np.testing.assert_array_equal(made, ids[i, : len(made)])
        if pieces.end in made:
            assert tokenizer.decode(alone) == [texts[i]]
    assert len(np.unique(tokens)) > 5 and len(np.unique(ids)) > 5
    np.testing.assert_array_equal(tokenizer.encode(SENTENCES, batch_size=2), tokens)
    np.testing.assert_array_equal(tokenizer.decode_ids(tokens, batch_size=4), ids)


@each
def test_what_stands_behind_the_end_piece_changes_nothing(pieces, stride, attention, autoregressive):
    tokenizer = make(pieces, stride, attention, autoregressive)
    ids = pieces.pad(pieces.encode(SENTENCES), 1)
    other = np.where(vqzoo.ops.mask_until(ids, pieces.end), ids, 7)
    assert (other != ids).any()
    tokens = tokenizer.encode(SENTENCES)
    for values in (ids, other, ids.astype("int64"), tf.constant(other)):
        np.testing.assert_array_equal(tokenizer.encode(values), tokens)
    np.testing.assert_array_equal(tokenizer.encode_ids(other, batch_size=1), tokens)
    one, two = tokenizer(ids), tokenizer(other)
    np.testing.assert_array_equal(one.tokens, tokens)
    np.testing.assert_array_equal(two.tokens, tokens)
    for name, loss in one.losses.items():
        assert float(loss) == float(two.losses[name]) > 0
    real = np.asarray(vqzoo.ops.mask_until(ids, pieces.end))
    np.testing.assert_array_equal(one.signal.numpy()[real], two.signal.numpy()[real])
    assert one.signal.shape == (*ids.shape, pieces.size) and one.signal.dtype == "float32"


def test_logits_say_what_tokens_decode_to(pieces):
    tokenizer = make(pieces)
    ids = pieces.pad(pieces.encode(SENTENCES), 1)
    result = tokenizer(ids)
    made = tokenizer.decode_ids(result.tokens).numpy()
    best = result.signal.numpy().argmax(-1)
    for row, found in zip(made[:, : ids.shape[1]], best, strict=True):
        length = list(found).index(pieces.end) + 1 if pieces.end in found else len(found)
        np.testing.assert_array_equal(row[:length], found[:length])
        assert (row[length:] == pieces.end).all()
    assert tokenizer.decode(result.tokens) == pieces.decode(list(made))


def test_an_autoregressive_decoder_is_taught_and_then_says_the_same(pieces):
    tokenizer = make(pieces, autoregressive=True)
    tokens = tokenizer.encode(SENTENCES)
    ids = tokenizer.decode_ids(tokens)
    logits = tokenizer.decoder(tokenizer.quantizer.decode(tokens), ids)
    np.testing.assert_array_equal(tokenizer.ids_of(logits), ids)
    assert tokenizer.is_autoregressive and not make(pieces).is_autoregressive


def test_it_learns_through_the_codes(pieces):
    tokenizer = make(pieces, stride=2)
    ids = tf.constant(pieces.pad(pieces.encode(SENTENCES), 2))
    with tf.GradientTape() as tape:
        result = tokenizer(ids, training=True)
        loss = tf.reduce_mean(vqzoo.losses.PieceCrossEntropy(pieces.end)(ids, result.signal))
    gradients = tape.gradient(loss, [v.value for v in tokenizer.encoder.trainable_variables])
    assert all(np.abs(tf.convert_to_tensor(g)).max() > 0 for g in gradients)


def test_inside_a_pipeline(pieces):
    tokenizer = make(pieces)
    ids = pieces.pad(pieces.encode(SENTENCES), 4)
    dataset = tf.data.Dataset.from_tensor_slices(ids).batch(6)
    both = dataset.map(lambda x: (tokens := tokenizer.encode(x), tokenizer.decode_ids(tokens)))
    tokens, again = next(iter(both))
    np.testing.assert_array_equal(tokens, tokenizer.encode(SENTENCES))
    np.testing.assert_array_equal(again, tokenizer.decode_ids(tokens))
    with pytest.raises(ValueError, match="Strings can be decoded only in eager calls.*Use `decode_ids` there"):
        tf.data.Dataset.from_tensors(tokens).map(tokenizer.decode)
    with pytest.raises(ValueError, match="can be split into pieces only in eager calls.*Make a data set of ids"):
        tf.data.Dataset.from_tensors(["the cat"]).map(tokenizer.encode)


def test_nothing_and_arrays_of_text(pieces):
    tokenizer = make(pieces)
    assert tokenizer.encode([]).shape == (0, 1, 2) and tokenizer.decode(tokenizer.encode([])) == []
    assert tokenizer.chunks([""]) == [1]
    np.testing.assert_array_equal(tokenizer.encode(np.array(SENTENCES)), tokenizer.encode(SENTENCES))
    np.testing.assert_array_equal(tokenizer.encode(tuple(SENTENCES)), tokenizer.encode(SENTENCES))
    assert tokenizer.encode(np.zeros((0, 5), "int32")).shape == (0, 2, 2)


def test_similar_lengths_share_a_batch(pieces, monkeypatch):
    tokenizer = make(pieces)
    shapes = []
    whole = tokenizer._compiled_encode
    monkeypatch.setattr(tokenizer, "_compiled_encode", lambda ids: shapes.append(tuple(ids.shape)) or whole(ids))
    texts = ["the cat"] * 3 + ["a dog and a cat and a dog and a mat"] + ["the cat"] * 3
    tokens = tokenizer.encode(texts, batch_size=3).numpy()
    long, short = (-(-len(row) // 4) * 4 for row in (pieces.encode(texts[3:4])[0], pieces.encode(texts[:1])[0]))
    assert shapes == [(3, long), (3, short), (1, short)]
    np.testing.assert_array_equal(tokens[3:4], tokenizer.encode(texts[3:4]))
    np.testing.assert_array_equal(tokens[[0, 1, 2, 4, 5, 6]], np.repeat(tokens[:1], 6, axis=0))


@pytest.mark.parametrize("batch_size", [None, 3])
def test_one_long_text_widens_no_batch_of_others(pieces, monkeypatch, batch_size):
    tokenizer = make(pieces)
    texts = ["the cat"] * 6 + ["a dog and a cat and a dog and a mat " * 2] + ["", "the end"]
    tokens, again = tokenizer.encode(texts).numpy(), tokenizer.decode(tokenizer.encode(texts))
    most = tokenizer.stride * tokens.shape[1]  # the long one alone
    monkeypatch.setattr(text_checks, "PIECES_AT_ONCE", most)
    seen = []
    for name, stride in (("_compiled_encode", 1), ("_compiled_decode", tokenizer.stride)):
        whole = getattr(tokenizer, name)

        def count(x, whole=whole, stride=stride):
            seen.append(x.shape[0] * x.shape[1] * stride)
            return whole(x)

        monkeypatch.setattr(tokenizer, name, count)
    np.testing.assert_array_equal(tokenizer.encode(texts, batch_size), tokens)
    ids = pieces.pad(pieces.encode(texts), 1)
    np.testing.assert_array_equal(tokenizer.encode_ids(ids, batch_size), tokens)
    assert tokenizer.decode(tokens, batch_size) == again
    assert max(seen) <= most and len(seen) > len(texts)


def test_more_tokens_than_one_array_holds(pieces, monkeypatch):
    monkeypatch.setattr(text_checks, "MOST_TOKENS", 50)
    with pytest.raises(
        ValueError,
        match="at most 50. Received: 12 texts, the longest of 4 chunks with 2 tokens.*separately from short",
    ):
        make(pieces).encode(["a"] * 11 + ["a dog and a cat and a dog and a mat"])


@pytest.mark.parametrize("autoregressive", [False, True])
def test_its_pieces_come_with_its_file(pieces, autoregressive, tmp_path):
    tokenizer = make(pieces, autoregressive=autoregressive)
    tokenizer.save(tmp_path / "it.keras")
    tokenizer.save_to_preset(tmp_path / "preset")
    expected = tokenizer.encode(SENTENCES).numpy()
    for again in (
        keras.models.load_model(tmp_path / "it.keras"),
        vqzoo.TextTokenizer.from_preset(tmp_path / "preset"),
        vqzoo.Tokenizer.from_preset(tmp_path / "preset"),
    ):
        assert again.pieces == pieces and again.stride == 4
        np.testing.assert_array_equal(again.encode(SENTENCES), expected)
        assert again.decode(expected) == tokenizer.decode(expected)
    told = vqzoo.presets.read_metadata(tmp_path / "preset")
    assert (told["modality"], told["pieces"], told["stride"]) == ("text", pieces.size, 4)


def test_its_pieces_come_with_a_trainers_file(pieces, tmp_path):
    losses = {"pieces": vqzoo.losses.PieceCrossEntropy(pieces.end)}
    trainer = vqzoo.ReconstructionTrainer(make(pieces), losses, {"pieces": 1.0, "commitment": 0.25})
    trainer.build((None, 8))
    trainer.compile(keras.optimizers.SGD(0.1))
    trainer.save(tmp_path / "it.keras")
    again = keras.models.load_model(tmp_path / "it.keras")
    np.testing.assert_array_equal(again.tokenizer.encode(SENTENCES), trainer.tokenizer.encode(SENTENCES))


def test_made_of_its_config_alone_it_waits_for_its_pieces(pieces, tmp_path):
    tokenizer = make(pieces)
    copy = vqzoo.TextTokenizer.from_config(tokenizer.get_config())
    copy.build((None, None))
    with pytest.raises(ValueError, match="A tokenizer made from its config has no pieces yet.*or call `load_assets`"):
        copy.encode(["the cat"])
    tokenizer.save_assets(tmp_path)
    copy.load_assets(tmp_path)
    assert copy.chunks(["the cat"]) == tokenizer.chunks(["the cat"])


@pytest.mark.parametrize("precision", ["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.slow)])
def test_in_half_precision_and_back(pieces, precision, tmp_path):
    tokenizer = make(pieces, attention=1)
    tokenizer.save_to_preset(tmp_path)
    half = vqzoo.TextTokenizer.from_preset(tmp_path, precision=precision)
    assert half.encoder.get_layer("conv_in").dtype_policy.name == precision
    assert half.decoder.get_layer("logits").compute_dtype == "float32"
    tokens = tokenizer.encode(SENTENCES).numpy()
    assert np.mean(half.encode(SENTENCES) == tokens) > 0.7
    whole = half.in_float32()
    assert whole is not half and whole.pieces == pieces
    np.testing.assert_array_equal(whole.encode(SENTENCES), tokens)


def test_what_a_discriminator_sees(pieces):
    tokenizer = make(pieces)
    table = np.random.default_rng(0).normal(size=(pieces.size, 8)).astype("float32")
    text.embedding_of(tokenizer.encoder).embeddings.assign(table)
    ids = pieces.pad(pieces.encode(SENTENCES[:3]), 1)
    logits = tf.Variable(np.random.default_rng(1).normal(size=(*ids.shape, pieces.size)).astype("float32"))
    with tf.GradientTape() as tape:
        real, made = tokenizer.judged(ids, logits)
        total = tf.reduce_sum(tf.sin(made))
    scaled = table / np.sqrt(np.mean(table**2))
    mask = np.asarray(vqzoo.ops.mask_until(ids, pieces.end))[..., None]
    np.testing.assert_allclose(real, scaled[ids] * mask, rtol=1e-5)
    weights = np.exp(logits.numpy())
    weights /= weights.sum(-1, keepdims=True)
    np.testing.assert_allclose(made, weights @ scaled * mask, atol=1e-5)
    gradient = tape.gradient(total, logits).numpy()
    assert (np.abs(gradient).max(-1) > 0)[mask[..., 0]].all() and not gradient[~mask[..., 0]].any()
    # Sure logits of the pieces themselves cannot be told from them.
    np.testing.assert_allclose(tokenizer.judged(ids, 100.0 * np.eye(pieces.size)[ids])[1], real, atol=1e-5)


def test_texts_and_ids_that_are_none(pieces):
    tokenizer = make(pieces)
    for wrong, told in (
        ("the cat", "one str"),
        (b"the cat", "one bytes"),
        ([b"the cat"], "of type bytes"),
        (["the cat", 3], "of type int"),
    ):
        with pytest.raises(ValueError, match=told):
            tokenizer.encode(wrong)
    for wrong, told in (
        (["the cat"], "Networks and training take ids of pieces.*Received: text, ..the cat"),
        (np.zeros((1, 4)), "Ids of pieces must be integers. Received: dtype=float64"),
        ([[True, False]], "Ids of pieces must be integers. Received: dtype=bool"),
        ([1, 2], r"have the shape \(batch, length\). Received: shape=\(2,\). Pass `np.asarray\(x\).None.`"),
        (
            np.zeros((1, 0), "int32"),
            r"an end-of-sequence token also for an empty text. Received: shape=\(1, 0\). Pass `.*len",
        ),
        (
            [[1, 2], [3]],
            r"one array \(batch, length\). Received: a list of 2 list. Their lengths differ. Pass .*pad",
        ),
        ([[-1, 2]], r"must be in \[0, \d+\). Received: values from -1 to 2. Were they made by other pieces"),
        ([[1, pieces.size]], r"must be in \[0, \d+\). Received: values from 1 to"),
        (np.zeros((1, 2**15 + 1), "int32"), "at most 32768 pieces.*Received: 32769 pieces. Encode its sentences"),
    ):
        with pytest.raises(ValueError, match=told):
            tokenizer.checked_signal(wrong)
    with pytest.raises(ValueError, match="at most 32768 pieces.*Received: 10000[12] pieces. Encode its sentences"):
        tokenizer.encode(["\x01" * 100_000])
    with pytest.raises(ValueError, match="`batch_size` is a positive integer"):
        tokenizer.encode(["the cat"], batch_size=0)
    with pytest.raises(ValueError, match=r"Tokens of codebook 0 must be in \[0, 32\)"):
        tokenizer.decode(np.full((1, 2, 2), 99))


NONE_OF_TEXT = {
    "None": (None, "Give a list of str. Received: None of type NoneType"),
    "a list of None": ([None], "Each text must be a str. Received: None of type NoneType. Pass `"),
    "None among texts": (["a", None], "Received: None of type NoneType"),
    "None in an array": (np.array(["a", None], object), "Received: None of type NoneType"),
    "NaN in an array": (np.array(["a", float("nan")], object), "Received: nan of type float"),
    "a number among texts": (["a", 1], "Received: 1 of type int"),
    "a number in an array": (np.array([1, "a"], object), "Received: 1 of type int"),
    "bytes among texts": (["a", b"a"], "Received: b'a' of type bytes. Pass `.*decode"),
    "an array of bytes": (np.array([b"a"]), "of type bytes_"),
    "nested": ([["a"]], r"Received: \['a'\] of type list. Pass `.one for row in x for one in row.`"),
    "nested of several lengths": ([["a", "b"], ["c"]], r"Received: \['a', 'b'\] of type list"),
    "nested deep": ([[["a"]]], r"Received: \[\['a'\]\] of type list"),
    "nested None": ([[None]], r"Received: \[None\] of type list"),
    "an array of two axes": (np.array([["a"], ["b"]]), "of type ndarray"),
    "an array of two axes with None": (np.array([["a"], [None]], object), "of type ndarray"),
    "an array of no axes": (np.array("a"), "Give a list of str. Received: array"),
    "None in an array of no axes": (np.array(None, object), "Give a list of str. Received: array"),
    "a set": ({"a"}, "Give a list of str. Received: {'a'} of type set"),
    "a dict": ({"a": 1}, "Give a list of str. Received: {'a': 1} of type dict"),
    "an object": (object(), "Give a list of str. Received: <object"),
    "a tensor": (tf.constant(["a"]), "of type EagerTensor"),
    "masked": (np.ma.array(["a", "b"], mask=[0, 1]), "Received: masked of type MaskedConstant"),
    "numbers": ([1.5, 2.0], "Ids of pieces must be integers. Received: dtype=float64"),
    "a number": (3, r"Received: (3 of type int|text, 3)\. Pass `\[str\(x\)\]`"),
    "dates": (np.array(["2020-01-01"], "datetime64[D]"), "Ids of pieces must be integers. Received: dtype=datetime64"),
}


@pytest.mark.parametrize("name", NONE_OF_TEXT)
def test_what_is_no_list_of_texts_is_refused_in_one_line(name, pieces):
    wrong, told = NONE_OF_TEXT[name]
    tokenizer = make(pieces)
    calls = [tokenizer.encode, tokenizer.checked_signal]
    if "Ids" not in told:
        calls += [tokenizer.chunks, pieces.encode]
    for call in calls:
        with pytest.raises(ValueError, match="take ids|Ids of" if call == tokenizer.checked_signal else told) as error:
            call(wrong)
        assert "\n" not in str(error.value) and len(str(error.value)) < 300


@pytest.mark.parametrize("texts", [("a", "b"), np.array(["a", "b"]), np.array(["a", "b"], object), iter(["a", "b"])])
def test_texts_in_any_sequence_are_encoded(texts, pieces):
    assert make(pieces).encode(texts).shape[0] == 2


def test_a_text_that_is_too_long_ends_before_the_others_are_encoded(pieces, monkeypatch):
    tokenizer, encode, seen = make(pieces), Pieces.encode, []

    def counted(self, texts):
        seen.append(len(texts))
        return encode(self, texts)

    monkeypatch.setattr(Pieces, "encode", counted)
    with pytest.raises(ValueError, match="A text has at most 2097152 characters. Received: one of 100000000"):
        tokenizer.encode(["a" * 10**8] * 3)
    with pytest.raises(ValueError, match="at most 32768 pieces.*Received: 60000[1-9] pieces. Encode its sentences"):
        tokenizer.encode(["a", "\x01" * 600_000, "\x01" * 600_000, *["\x01" * 600_000] * 50])
    assert seen == [1, 3]
    del seen[:]
    assert tokenizer.encode(["the cat"] * 5).shape[0] == 5 and seen == [5]


def test_text_is_known_when_seen():
    assert all(map(text_checks.is_text, ("a", b"a", ["a"], ("a",), np.array(["a"]), np.array(["a"], object), [])))
    assert not any(map(text_checks.is_text, ([[1]], np.zeros((1, 2), int), [np.zeros(3)])))


def test_networks_of_other_pieces(pieces):
    tokenizer = make(pieces)
    size, end = pieces.size, pieces.end
    encoder, decoder = tokenizer.encoder, tokenizer.decoder
    for parts in (
        (text.text_encoder(size + 1, 6, end=end, **SMALL), decoder),
        (text.text_encoder(size, 6, end=end + 1, **SMALL), decoder),
        (encoder, text.text_decoder(size - 1, 6, **SMALL)),
        (encoder, text.AutoregressiveTextDecoder(size + 1, end=end)),
        (encoder, text.AutoregressiveTextDecoder(size, end=end + 1)),
    ):
        with pytest.raises(ValueError, match=f"{size} pieces, and the end-of-sequence token is {end}. Received"):
            vqzoo.TextTokenizer(pieces, parts[0], residual(), parts[1])
    with pytest.raises(ValueError, match="`pieces` must be a vqzoo.data.Pieces. Received: b'model'"):
        vqzoo.TextTokenizer(b"model", encoder, residual(), decoder)


def test_networks_of_different_strides(pieces):
    encoder = text.text_encoder(pieces.size, 6, end=pieces.end, stride=4, **SMALL)
    for decoder in (
        text.text_decoder(pieces.size, 6, stride=2, **SMALL),
        text.AutoregressiveTextDecoder(pieces.size, end=pieces.end, stride=2),
    ):
        tokenizer = vqzoo.TextTokenizer(pieces, encoder, residual(), decoder)
        with pytest.raises(ValueError, match="decode to 2520 pieces. Set both strides equal"):
            tokenizer.build((None, None))
    with pytest.raises(ValueError, match="stride is known only after.*`tokenizer.build"):
        vqzoo.TextTokenizer(pieces, encoder, residual(), decoder).stride  # noqa: B018
    with pytest.raises(ValueError, match=r"must have the shape \(batch, length\). Received: \(None, 3, 1\)"):
        tokenizer.build((None, 3, 1))


@pytest.mark.parametrize(("autoregressive", "most"), [(True, 64), (False, 2**15)])
def test_more_than_a_decoder_makes(pieces, autoregressive, most):
    tokenizer = make(pieces, autoregressive=autoregressive)
    chunks = most // 4 + 1
    with pytest.raises(ValueError, match=f"makes at most {most} pieces.*Received: {chunks} chunks of 4"):
        tokenizer.decode(np.zeros((1, chunks, 2), "int32"))
