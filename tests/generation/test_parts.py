"""Parts of a prior's space: labels, texts, images and audio, as what is made and as conditions."""

import types

import numpy as np
import pytest

import vqzoo
from vqzoo.data import save_audio
from vqzoo.data import save_image
from vqzoo.generation import Generator
from vqzoo.generation import LabelPart
from vqzoo.generation import Labels
from vqzoo.generation import SignalPart
from vqzoo.generation import TextPart
from vqzoo.priors.generation import most_positions


@pytest.fixture(scope="module")
def stories(make_prior, pieces):
    """A prior of text alone, of at most 20 pieces."""
    part = TextPart("story", pieces)
    prior = make_prior({"story": pieces.size}, "story", owners={"story": part.owner}, learnt_positions=21)
    return Generator(prior, part)


@pytest.fixture(scope="module")
def translations(make_prior, pieces):
    """From one text to another, which looks at the first by cross-attention."""
    parts = {"en": pieces.size, "es": pieces.size}
    prior = make_prior(parts, "es", context=True, learnt_positions=13)
    return Generator(prior, TextPart("es", pieces), TextPart("en", pieces, examples=["a cat"]))


@pytest.fixture(scope="module")
def clips(make_prior, audio_preset):
    part = SignalPart.from_preset("audio", audio_preset)
    prior = make_prior({"audio": 8}, "audio", owners={"audio": part.owner}, learnt_positions=7)
    return Generator(prior, part)


@pytest.fixture(scope="module")
def styled(make_generator):
    """Images by a label and by tokens of another crop."""
    plain = make_generator(labels=("cat", "dog"), parts={"label": 2, "style": 8}, size=(7, 11))
    conditions = [LabelPart("label", ["cat", "dog"]), SignalPart("style", plain.tokenizer, size=(8, 12))]
    return Generator(plain.prior, SignalPart("image", plain.tokenizer, (7, 11)), conditions)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).uniform(-1, 1, (8, 12, 3)).astype("float32")


# === Text ===
def test_texts_are_made_up_to_their_end(stories):
    tokens = stories.tokens(6, seed=3)
    assert tokens.shape == (6, 20, 1) and stories.length == 20
    texts = vqzoo.generate(stories, 6, seed=3)
    assert texts == stories.target.pieces.decode([np.where(row < 0, 0, row)[:, 0] for row in tokens])
    assert len(set(texts)) > 1 and vqzoo.generate(stories, 6, seed=3, to="story") == texts
    assert stories.tokens(2, length=5).shape == (2, 5, 1)
    assert stories.target.values([[[5], [-1], [6]]]) == stories.target.pieces.decode([[5, 0]])


def test_a_search_and_a_draw_replace_each_others_settings(stories):
    drawing = Generator(stories.prior, stories.target, sampling={"temperature": 0.9, "top_p": 0.9, "no_repeat": 3})
    searching = Generator(stories.prior, stories.target, sampling={"beams": 3, "length_penalty": 1.0})
    searched = searching.generate(2)
    assert (
        searched[0]
        == searched[1]
        == Generator(stories.prior, stories.target).generate(1, beams=3, length_penalty=1.0)[0]
    )
    assert drawing.generate(1, beams=2) == Generator(stories.prior, stories.target).generate(1, beams=2, no_repeat=3)
    assert searching.generate(3, temperature=1.0, seed=2) == stories.generate(3, temperature=1.0, seed=2)


def test_likelihoods_are_those_of_the_tokens(stories, pieces):
    texts = ["the old house", "a cat", "the sea is old"]
    likely = stories.log_likelihoods(texts)
    np.testing.assert_allclose(stories.log_likelihoods(texts, batch_size=2), likely, rtol=1e-4)
    for text, value in zip(texts, likely, strict=True):
        ids = pieces.encode([text])[0]
        logits = np.asarray(stories.prior(ids[None, :, None]))[0, :, 0]
        chances = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        columns = [*(ids + stories.prior.space.first("story")), stories.prior.space.end("story")]
        columns = np.array(columns) - int(stories.prior.first_ids[0])
        assert value == pytest.approx(chances[np.arange(len(columns)), columns].sum(), rel=1e-4)
    assert stories.log_likelihoods([]).shape == (0,)


def test_a_prompt_of_text_is_kept(stories, pieces):
    texts = vqzoo.generate(stories, 3, prompt="The old", seed=1)
    assert all(text.startswith("The old") for text in texts) and len(set(texts)) > 1
    kept = pieces.encode(["The old"])[0][:-1]
    tokens = stories.tokens(3, prompt="The old", seed=1)
    assert (tokens[:, : len(kept), 0] == kept).all() and (tokens[:, len(kept)] >= -1).all()
    both = vqzoo.generate(stories, prompt=["a cat", "the sea"])
    assert len(both) == 2 and both[0].startswith("a cat") and both[1].startswith("the sea")
    assert vqzoo.generate(stories, prompt="", seed=4) == vqzoo.generate(stories, seed=4)
    with pytest.raises(ValueError, match="A prompt is shorter than what is made, 3 positions. Received: one of"):
        stories.generate(prompt="the old house by the sea", length=3)
    with pytest.raises(ValueError, match="`prompt` and `known` both say what is kept"):
        stories.generate(1, prompt="a", known=np.zeros((1, 1, 1), int))
    with pytest.raises(ValueError, match="This prior takes a text. Received: 3. Give a str"):
        stories.generate(prompt=3)


def test_a_masked_prior_makes_texts_too(make_prior, pieces):
    prior = make_prior({"text": pieces.size}, "text", kind=vqzoo.MaskedPrior, learnt_positions=9)
    generator = Generator(prior, TextPart("text", pieces))
    (text,) = generator.generate(prompt="a cat", steps=3)
    assert text.startswith("a cat") and generator.tokens(2, steps=2).shape == (2, 9, 1)


def test_texts_follow_a_text_that_the_transformer_looks_at(translations):
    en, prior = translations.parts["en"], translations.prior
    made = vqzoo.generate(translations, condition=["Open the file.", "a dog"], seed=2)
    context = prior.space.prefix(en=en.tokens(["Open the file.", "a dog"]))
    tokens = np.asarray(prior.generate(context=context, seed=2, length=12))
    assert made == translations.decode(tokens) and len(made) == 2
    assert vqzoo.generate(translations, condition={"en": "Open the file."}, seed=2) == made[:1]
    np.testing.assert_array_equal(translations.tokens(1, seed=2), translations.tokens(1, "a cat", seed=2))
    # Nothing asked for is a context of padding.
    known = np.full((1, 12, 1), -1)
    nothing = translations.complete(known, seed=2)
    np.testing.assert_array_equal(nothing, prior.generate(context=np.zeros((1, 1), int), seed=2, length=12))
    np.testing.assert_array_equal(nothing, translations.tokens(1, "", seed=2))


def test_a_text_tokenizer_makes_and_continues_texts(make_prior, text_tokenizer):
    part = SignalPart("text", text_tokenizer)
    generator = Generator(make_prior({"text": 32}, "text", learnt_positions=8), part)
    tokens = generator.tokens(5, seed=1)
    expected = [
        text_tokenizer.decode(row[None][:, : int((row >= 0).sum())])[0] if row[0] >= 0 else "" for row in tokens
    ]
    assert generator.generate(5, seed=1) == expected
    stride = text_tokenizer.stride
    prompt = "the old house"
    chunks = (len(text_tokenizer.pieces.encode([prompt])[0]) - 1) // stride
    kept = generator.tokens(2, prompt=prompt)[:, :chunks]
    assert chunks and (kept == np.asarray(text_tokenizer.encode([prompt]))[:, :chunks]).all()
    if stride > 1:
        with pytest.raises(ValueError, match=f"has at least one chunk of {stride} pieces"):
            generator.generate(prompt="a")
    rows = part.tokens(["a cat and a dog", "", None])
    assert (rows[1:] == -1).all() and (rows[0] >= 0).all() and rows[0].shape == (len(rows[0]), 1)
    with pytest.raises(ValueError, match="`size` is that of images. Received: size=.1, 2. for text"):
        SignalPart("text", text_tokenizer, (1, 2))


# === Audio ===
def test_audio_ends_when_the_prior_says(clips):
    stride = clips.tokenizer.stride
    tokens = clips.tokens(12, seed=1)
    frames = (tokens[..., 0] >= 0).sum(axis=1)
    audio = clips.generate(12, seed=1)
    assert len(set(frames)) > 1 and [len(clip) for clip in audio] == list(frames * stride)
    for clip, row, count in zip(audio, tokens, frames, strict=True):
        if count:
            alone = np.clip(clips.tokenizer.decode(row[None, :count]), -1, 1)[0]
            np.testing.assert_allclose(clip, alone, atol=1e-4)
    same = clips.decode(np.zeros((2, 3, 1), int))
    assert isinstance(same, np.ndarray) and same.shape == (2, 3 * stride, 1)
    assert clips.decode(np.full((2, 3, 1), -1)).shape == (2, 0, 1)


def test_a_prompt_of_audio_is_kept_in_whole_strides(clips, tmp_path):
    stride = clips.tokenizer.stride
    audio = (0.5 * np.sin(np.arange(2 * stride + 7) / 9)).astype("float32")[:, None]
    kept = np.asarray(clips.tokenizer.encode(audio[None, : 2 * stride]))[0]
    np.testing.assert_array_equal(clips.tokens(3, prompt=audio)[:, :2], np.tile(kept, (3, 1, 1)))
    save_audio(tmp_path / "it.wav", audio, 8000)
    assert clips.generate(prompt=[tmp_path / "it.wav", audio])[0].shape[-1] == 1
    with pytest.raises(ValueError, match=f"A prompt of audio has at least one stride, {stride} samples. Received: 3"):
        clips.generate(prompt=audio[:3])


def test_audio_of_a_grid_has_one_length(make_prior, clips):
    prior = make_prior({"audio": 8}, "audio", grid=(5,))
    generator = Generator(prior, clips.tokenizer)
    stride = clips.tokenizer.stride
    assert generator.generate(2).shape == (2, 5 * stride, 1) and generator.length is None
    audio = np.zeros((3 * stride, 1), "float32")
    made = generator.tokens(2, prompt=audio)
    np.testing.assert_array_equal(made[:, :3], np.tile(clips.tokenizer.encode(audio[None]), (2, 1, 1)))
    with pytest.raises(ValueError, match="A prompt is shorter than what is made, 5 positions. Received: one of 5 posi"):
        generator.generate(prompt=np.zeros((5 * stride, 1), "float32"))


# === Several conditions ===
def test_images_have_a_label_and_a_style(styled, image):
    made = vqzoo.generate(styled, 3, {"label": ["dog", "cat"], "style": image}, seed=4)
    style = np.asarray(styled.tokenizer.encode(image[None]))
    prefix = styled.prior.space.prefix(label=[1, 0, 1], style=np.tile(style, (3, 1, 1, 1)))
    tokens = styled.prior.generate(prefix=prefix, seed=4)
    np.testing.assert_array_equal(made, np.clip(styled.tokenizer.decode(tokens, size=(7, 11)), -1, 1))
    assert made.shape == (3, 7, 11, 3)
    assert styled.generate(condition={"style": [image, -image]}).shape[0] == 2
    assert styled.conditions_of(None, 3) == {"label": ["cat", "dog", "cat"]}
    with pytest.raises(ValueError, match="several conditions: label, style. Received: a condition without the name"):
        styled.generate(condition="dog")
    with pytest.raises(ValueError, match="This prior is conditioned on label, style. Received: condition of"):
        styled.generate(condition={"x": 1})


def test_a_style_needs_no_part_of_its_own(make_generator, image, tmp_path):
    generator = make_generator(vqzoo.MaskedPrior, labels=(), parts={"style": 8}, size=(8, 12))
    made = vqzoo.generate(generator, condition={"style": image}, steps=2)
    np.testing.assert_array_equal(made, vqzoo.generate(generator, condition=image, steps=2))
    assert made.shape == (1, 8, 12, 3) and not (made == generator.generate(steps=2)).all()
    np.testing.assert_array_equal(generator.tokens(2), generator.prior.generate(2))
    assert vqzoo.restyle(generator, image, image).shape == (8, 12, 3)
    save_image(tmp_path / "wide.png", np.concatenate([-np.ones((16, 30, 3)), np.ones((16, 30, 3))]))
    scaled = generator.parts["style"].checked(tmp_path / "wide.png")
    assert scaled.shape == (8, 12, 3) and scaled[:3].max() < -0.8 and scaled[5:].min() > 0.8
    with pytest.raises(ValueError, match="learnt images of 8x12 pixels here. Received: 4x4. Give the path of a file"):
        generator.generate(condition=image[:4, :4])


# === What does not fit ===
def test_what_cannot_be_asked_is_told(styled, stories, image, make_prior, pieces):
    for to in ("style", ["image", "style"], 3):
        with pytest.raises(
            ValueError, match="This prior makes the part 'image', of label, style, image. Received: to="
        ):
            styled.generate(to=to)
    with pytest.raises(ValueError, match="An image is completed, and has no beginning.*vqzoo.inpaint"):
        styled.generate(prompt=image)
    with pytest.raises(ValueError, match="This prior knows no conditions. Received: condition='x'"):
        stories.generate(condition="x")
    with pytest.raises(ValueError, match="The target 'story' is made without a tokenizer"):
        stories.tokenizer  # noqa: B018
    with pytest.raises(ValueError, match="The target is the part 'story' of the prior.*Received: the part 'x'"):
        Generator(stories.prior, TextPart("x", pieces))
    with pytest.raises(ValueError, match="`conditions` are parts of different names, none of them the target"):
        Generator(stories.prior, TextPart("story", pieces), TextPart("story", pieces))
    rows = make_prior({"text": pieces.size}, "text", grid=(2, 3))
    with pytest.raises(ValueError, match=r"What is continued has one axis. Received: `prompt` for a prior of the grid"):
        Generator(rows, TextPart("text", pieces)).generate(prompt="a")
    with pytest.raises(ValueError, match="The part 'label' has no beginning. Received: `prompt`"):
        LabelPart("label", ["a"]).beginning("a")
    with pytest.raises(ValueError, match="The part 'style' has no examples. Received: condition=None"):
        styled.parts["style"].asked()


def test_the_most_positions_are_those_that_were_learnt(make_prior, pieces):
    delayed = make_prior({"audio": (8, 8)}, "audio", pattern=vqzoo.priors.DelayPattern(), learnt_positions=6)
    assert most_positions(delayed) == 5  # the last step has the second codebook alone
    flat = make_prior({"audio": (8, 8)}, "audio", learnt_positions=6)
    assert most_positions(flat) == 2 and most_positions(make_prior({"audio": 8}, "audio")) is None
    prior = make_prior({"text": pieces.size}, "text")
    assert Generator(prior, TextPart("text", pieces)).length == 256
    assert Generator(prior, TextPart("text", pieces, length=30)).length == 30
    assert Generator(prior, TextPart("text", pieces), sampling={"length": 9}).length == 9


# === Presets ===
def test_parts_are_saved_and_loaded(stories, translations, clips, styled, image, tmp_path):
    for generator, name, files, asked in (
        (stories, "stories", {"pieces.model"}, {"prompt": "a cat"}),
        (translations, "translations", {"pieces.model"}, {"condition": "Open the file."}),
        (clips, "clips", {"tokenizer.keras"}, {}),
        (styled, "styled", {"tokenizer.keras"}, {"condition": {"style": image, "label": "dog"}}),
    ):
        generator.save_to_preset(tmp_path / name, metadata={"description": name})
        listed = vqzoo.presets.verify_preset(tmp_path / name)["files"]
        assert set(listed) == {"prior.keras", "metadata.json", "README.md", *files}
        again = Generator.from_preset(tmp_path / name)
        assert list(again.parts) == list(generator.parts) and again.length == generator.length
        assert vqzoo.presets.read_metadata(tmp_path / name)["modality"] == generator.target.modality
        one, other = generator.generate(2, seed=1, **asked), again.generate(2, seed=1, **asked)
        assert one == other if isinstance(one, list) and isinstance(one[0], str) else all(map(np.allclose, one, other))
    assert again.parts["style"].tokenizer is again.tokenizer and again.parts["style"].size == (8, 12)
    assert isinstance(again.parts["label"], Labels)  # as a run that goes on from it expects
    # Once more, in place of what is there.
    again.save_parts(tmp_path / "styled")
    assert set(vqzoo.presets.verify_preset(tmp_path / "styled")["files"]) == set(listed)


def test_several_tokenizers_and_pieces_have_folders(make_prior, pieces, text_tokenizer, audio_preset, tmp_path):
    others = vqzoo.data.Pieces.train(["una casa vieja", "el mar y la casa"], 290, exact=False)
    speech = SignalPart.from_preset("speech", audio_preset, length=6)
    conditions = [TextPart("en", pieces), TextPart("es", others), SignalPart("code", text_tokenizer)]
    parts = {"en": pieces.size, "es": others.size, "code": 32, "speech": 8}
    generator = Generator(make_prior(parts, "speech", owners={"speech": speech.owner}), speech, conditions)
    generator.save_to_preset(tmp_path / "it")
    files = {f"parts/{name}/pieces.model" for name in ("en", "es")}
    files |= {f"parts/{name}/tokenizer.keras" for name in ("speech", "code")}
    listed = vqzoo.presets.verify_preset(tmp_path / "it")["files"]
    assert {name for name in listed if name.startswith("parts/")} == files and "tokenizer.keras" not in listed
    asked = {"en": "a cat", "es": "el mar", "code": "the sea"}
    again = Generator.from_preset(tmp_path / "it")
    np.testing.assert_array_equal(again.tokens(2, asked), generator.tokens(2, asked))
    assert again.length == 6 and vqzoo.presets.describe_tokens(tmp_path / "it")["sha256"] == speech.owner
    (tmp_path / "it" / "parts" / "es" / "pieces.model").unlink()
    with pytest.raises(ValueError, match="is not whole: parts/es/pieces.model"):
        Generator.from_preset(tmp_path / "it")


def test_what_is_not_a_part_is_refused(clips, stories, tmp_path):
    without = Generator(clips.prior, clips.tokenizer)
    clips.prior.save_to_preset(tmp_path / "it", seal=False)
    with pytest.raises(ValueError, match="a tokenizer that is saved again is another file. Received: the part 'audio'"):
        without.save_parts(tmp_path / "it")
    stories.save_to_preset(tmp_path / "stories")
    for parts, message in (
        ({"story": {"kind": "smell"}}, "The part 'story' in .* is of the kind 'smell', unknown to this vqzoo"),
        (
            {"story": {"kind": "text", "colour": 3}},
            "the part 'story' as .*colour.*, which vqzoo does not write",
        ),
        ({"x": {"kind": "labels", "names": ["a"]}}, "do not describe the part 'story'"),
        ({"story": {"kind": "signal"}}, "has no tokenizer.keras"),
        ({"x": {"kind": "labels", "names": 3}}, "describe the part 'x' as .*names.*: 3"),
    ):
        vqzoo.presets.update_metadata(tmp_path / "stories", parts=parts)
        with pytest.raises(ValueError, match=message):
            Generator.from_preset(tmp_path / "stories")
    with pytest.raises(ValueError, match="A part is saved in a folder of its name.*Received: '../x'"):
        vqzoo.presets.layout.part_file("../x", "pieces.model", False)
    for size in ((8,), (8, 0), ("a", "b")):
        with pytest.raises(ValueError, match=r"`size` is \(height, width\) in pixels, positive integers. Received"):
            SignalPart("image", types.SimpleNamespace(modality="image"), size)


def test_files_of_parts_are_read_and_checked(clips, stories, text_tokenizer, audio_preset, tmp_path):
    (tmp_path / "it.txt").write_text("the sea\n")
    for part in (stories.target, SignalPart("text", text_tokenizer)):
        assert part.read(str(tmp_path / "it.txt")) == "the sea" and part.read("no/such.txt") == "no/such.txt"
    (tmp_path / "it.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ValueError, match="it.txt' is not text in UTF-8"):
        stories.target.read(str(tmp_path / "it.txt"))
    with open(tmp_path / "it.txt", "wb") as file:
        file.truncate(2**21 + 1)
    with pytest.raises(ValueError, match="A text has at most 2097152 bytes. Received: .*it.txt' of 2097153"):
        stories.target.read(str(tmp_path / "it.txt"))
    with pytest.raises(ValueError, match="`size` is that of images. Received: size=.3,. for audio"):
        SignalPart("audio", clips.tokenizer, (3,))
    with pytest.raises(ValueError, match="A text has any number of positions. Received: length=None"):
        SignalPart("text", text_tokenizer).some_tokens(2)
    assert SignalPart("text", text_tokenizer, length=4).some_tokens(2).shape == (2, 4, 1)
    file = tmp_path / "tokenizer.keras"
    file.write_bytes((audio_preset / "tokenizer.keras").read_bytes())
    part = SignalPart("audio", clips.tokenizer, file=file)
    file.write_bytes(b"another")
    with pytest.raises(ValueError, match="tokenizer.keras' has changed since the tokenizer was loaded. Load it again"):
        part.save(tmp_path)


def test_images_of_one_part_have_one_size(make_generator):
    part = SignalPart("image", make_generator(labels=()).tokenizer)
    with pytest.raises(ValueError, match="Signals of one part have one size. Received: tokens of"):
        part.tokens([np.zeros((8, 8, 3), "float32"), np.zeros((8, 12, 3), "float32")])


def test_a_model_that_is_no_tokenizer_is_no_part(stories, tmp_path):
    stories.save_to_preset(tmp_path / "it")
    (tmp_path / "it" / "tokenizer.keras").write_bytes((tmp_path / "it" / "prior.keras").read_bytes())
    vqzoo.presets.update_metadata(tmp_path / "it", parts={"story": {"kind": "signal"}})
    vqzoo.presets.seal_preset(tmp_path / "it")
    with pytest.raises(ValueError, match="tokenizer.keras' holds a AutoregressivePrior, not a Tokenizer"):
        Generator.from_preset(tmp_path / "it")


def test_labels_can_be_what_is_made(make_prior, pieces):
    prior = make_prior({"text": pieces.size, "label": 2}, "label", grid=(1,))
    generator = Generator(prior, LabelPart("label", ["cat", "dog"]), TextPart("text", pieces, length=20))
    made = generator.generate(8, "a cat and a dog", temperature=5)
    tokens = generator.tokens(8, "a cat and a dog", temperature=5)
    assert set(made) == {"cat", "dog"} and made == [["cat", "dog"][number] for number in tokens.ravel()]


def test_a_tokenizer_of_another_modality_brings_its_own_signal():
    class Smell:
        modality = "smell"

    with pytest.raises(ValueError, match="Received: a tokenizer of 'smell'. Give it a method `signal_codec"):
        SignalPart("nose", Smell())
