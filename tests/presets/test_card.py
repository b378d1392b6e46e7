import json

import pytest

from vqzoo.presets import save_preset
from vqzoo.presets import seal_preset
from vqzoo.presets import update_metadata
from vqzoo.presets.card import card_text

METADATA = {
    "modality": "image",
    "description": "A VQGAN for photographs.",
    "metrics": {"psnr": 23.123456789, "images": 100},
    "data": "100 photographs\nof a | b",
    "licence": "apache-2.0",
}


@pytest.fixture
def folder(model, tmp_path):
    return save_preset(
        model, tmp_path / "image-tiny", metadata=METADATA, recipe={"learning_rate": 1e-4, "filters": (32, 64)}
    )


def card(folder):
    return (folder / "README.md").read_text(encoding="utf-8")


def test_the_head_is_that_of_a_hugging_face_card(folder):
    assert card(folder).splitlines()[:6] == [
        "---",
        "library_name: keras",
        'tags: ["vqzoo", "vector-quantization", "image"]',
        'license: "apache-2.0"',
        "---",
        "",
    ]


def test_the_card_tells_what_it_is_and_how_to_load_it(folder):
    text = card(folder)
    assert "\n# image-tiny\n\nA VQGAN for photographs.\n" in text
    assert 'tokenizer = vqzoo.Tokenizer.from_preset("image-tiny")  # or a preset\'s folder\n' in text
    assert "\ntokens = tokenizer.encode(image[None])  # int32 (1, rows, columns, 1)\n" in text
    assert "\n| PSNR dB, higher is better | 23.123 |\n| images | 100 |\n" in text
    assert "\n| data | 100 photographs of a \\| b |\n" in text
    assert "\n| parameters | 21 |\n" in text
    assert "\n| learning_rate | 0.0001 |\n| filters | [32, 64] |\n" in text
    assert "\nMade with python 3." in text and ", keras 3." in text


def test_samples_are_shown_once_they_exist(folder):
    assert "![samples]" not in card(folder)
    (folder / "samples.png").write_bytes(b"png")
    seal_preset(folder)
    assert "![samples](samples.png)" in card(folder)


def test_a_prior_is_loaded_by_its_file(model, tmp_path):
    folder = save_preset(model, tmp_path / "image-prior", metadata={"name": "A prior"}, filename="prior.keras")
    assert "# A prior\n" in card(folder)
    assert 'prior = vqzoo.presets.load_preset("image-prior", "prior.keras")  # or a preset\'s folder\n```' in card(
        folder
    )


def test_an_update_is_on_the_card(folder):
    update_metadata(folder, metrics={"psnr": 30.0})
    assert "| PSNR dB, higher is better | 30 |" in card(folder) and "23.123" not in card(folder)


def test_metrics_of_equal_labels_are_all_on_the_card(folder):
    update_metadata(folder, metrics={"my_score": 1.5, "my score": None})
    assert "| my score | 1.5 |\n| my score | none |" in card(folder)


def test_a_card_of_nothing_has_no_empty_parts(folder):
    (folder / "metadata.json").write_text("{}")
    (folder / "recipe.json").unlink()
    seal_preset(folder)
    assert card(folder) == (
        '---\nlibrary_name: keras\ntags: ["vqzoo", "vector-quantization"]\n---\n\n'
        "# image-tiny\n\nA preset of vqzoo.\n\n"
        "```python\nimport vqzoo\n\n"
        'tokenizer = vqzoo.presets.load_preset("image-tiny")  # or a preset\'s folder\n```\n'
    )


def test_the_head_survives_quotes_in_the_metadata(folder):
    update_metadata(folder, licence='mine: "all" #1', modality="größe")
    lines = card(folder).splitlines()
    assert lines[3] == "license: other"  # the Hub refuses words that are none of its identifiers
    assert json.loads(lines[4].removeprefix("license_name: ")) == 'mine: "all" #1'
    assert json.loads(lines[2].removeprefix("tags: "))[2] == "größe"
    update_metadata(folder, licence="CC-BY-4.0")
    assert card(folder).splitlines()[3] == 'license: "cc-by-4.0"'


def test_another_name_is_in_the_example_alone(folder):
    before = card(folder)
    told = card_text(folder, name="hf://somebody/tiny")
    assert told == before.replace('from_preset("image-tiny")', 'from_preset("hf://somebody/tiny")') != before
    assert card(folder) == before


EXAMPLES = {
    "of_any_size": (
        {"modality": "image", "signal": {"channels": 1}, "codebook_sizes": [8, 8]},
        ["channels=1)  # float32 (height, width, 1) in", "(1, rows, columns, 2)", "size=image.shape[:2]"],
    ),
    "of_one_size": (
        {"modality": "image", "example": {"signal": [28, 30, 1], "tokens": [16, 1]}},
        ["channels=1)  # float32 (28, 30, 1), no other size, in", "int32 (1, 16, 1)"],
    ),
    "sound": (
        {"modality": "audio", "signal": {"channels": 2}, "codebook_sizes": [8] * 4},
        ["sample_rate, channels=2)", "(1, frames, 4)", "length=len(sound)", "save_audio("],
    ),
    "text": ({"modality": "text", "codebook_sizes": [8] * 2}, ["read_sentences([", "(sentences, chunks, 2)"]),
    "another": ({"modality": "video"}, ["vqzoo.presets.load_preset("]),
    "unknown": ({"modality": "image", "example": {}, "signal": {}}, ["channels=3)", "(1, rows, columns, 1)"]),
}


@pytest.mark.parametrize("row", EXAMPLES)
def test_the_example_is_of_the_modality(model, tmp_path, row):
    metadata, texts = EXAMPLES[row]
    folder = save_preset(model, tmp_path / "a", metadata={})
    (folder / "metadata.json").write_text(json.dumps(metadata))
    code = card_text(folder).split("```python\n")[1].split("```")[0]
    compile(code, "card", "exec")
    assert all(text in code for text in texts), code
    assert max(map(len, code.splitlines())) <= 120
