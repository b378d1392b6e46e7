"""`vqzoo encode --shards`: the tokens of `encode`, in shards that go on after a stop."""

import json

import numpy as np
import pytest

import vqzoo
from vqzoo.cli.main import main
from vqzoo.data import TokenShards
from vqzoo.modalities import ImageModality


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".vqzoo.lock"}


def test_the_tokens_are_those_of_the_tokenizer_in_the_order_of_the_files(tiny_preset, pictures, tmp_path, capsys):
    assert main(["encode", "image-tiny", str(pictures), "--out", str(tmp_path / "out"), "--shards", "3"]) == 0
    assert "encoded into 3 shards: 7 files" in capsys.readouterr().out
    shards = TokenShards(tmp_path / "out")
    names = [path.relative_to(pictures).as_posix() for path in vqzoo.data.find_images(pictures)]
    assert [row.name for row in shards] == names
    assert shards.shapes == {(5, 8, 1): 4, (7, 8, 1): 3}
    tokenizer = vqzoo.Tokenizer.from_preset(tiny_preset)
    for row in shards:
        image = vqzoo.data.load_image(pictures / row.name)
        assert row.size == image.shape[:2]
        np.testing.assert_array_equal(row.tokens, np.asarray(tokenizer.encode(image[None]))[0])
    assert shards.preset == "image-tiny"
    vqzoo.presets.check_tokens_of(shards, tiny_preset, tmp_path / "out")
    assert main(["verify", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"form": "shards", "kind": "tokens", "shards": 3, "rows": 7}


def test_another_model_refuses_them(tiny_preset, pictures, tmp_path):
    main(["encode", "image-tiny", str(pictures), "--out", str(tmp_path / "out"), "--shards"])
    other = tmp_path / "other"
    quantizer = vqzoo.VectorQuantizer(16, name="quantizer")
    vqzoo.image_vqvae(filters=8, blocks=1, latent_dim=4, quantizer=quantizer).save_to_preset(other)
    with pytest.raises(ValueError, match="was encoded by another model .'image-tiny'. than the one in '.*other'"):
        vqzoo.presets.check_tokens_of(TokenShards(tmp_path / "out"), other, tmp_path / "out")
    with pytest.raises(SystemExit):
        main(["encode", str(other), str(pictures), "--out", str(tmp_path / "out"), "--shards"])


def test_a_stopped_run_goes_on_and_ends_with_the_same_bytes(pictures, tmp_path, capsys, monkeypatch):
    (pictures / "bad.png").write_text("no picture")
    command = ["encode", "image-tiny", str(pictures), "--shards", "3", "--out"]
    assert main([*command, str(tmp_path / "once")]) == 1
    told = capsys.readouterr().err
    assert "encoded into 3 shards: 7 files, 1 failed:" in told and "bad.png" in told
    whole, calls = ImageModality.encode, []

    def stops(self, tokenizer, signals):
        calls.append(len(signals))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(self, tokenizer, signals)

    monkeypatch.setattr(ImageModality, "encode", stops)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        main([*command, str(tmp_path / "twice")])
    assert not (tmp_path / "twice" / "manifest.json").exists()
    assert main([*command, str(tmp_path / "twice")]) == 1  # its failure is told again
    assert "encoded into 3 shards: 7 files, 1 failed:" in capsys.readouterr().err
    assert contents(tmp_path / "twice") == contents(tmp_path / "once")
    calls[:] = [0, 0]
    assert main([*command, str(tmp_path / "twice")]) == 1
    assert calls == [0, 0]  # nothing is encoded again
    (pictures / "e.png").unlink()
    with pytest.raises(SystemExit):
        main([*command, str(tmp_path / "twice")])
    assert "holds shards of another command, with other files" in capsys.readouterr().err
    assert main([*command, str(tmp_path / "twice"), "--force"]) == 1
    assert len(TokenShards(tmp_path / "twice")) == 6


def test_shards_are_of_one_file_or_more(pictures, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["encode", "image-tiny", str(pictures), "--out", str(tmp_path / "out"), "--shards", "0"])
    assert "--shards: an integer from 1 to 2147483647. Received: '0'" in capsys.readouterr().err


def test_a_text_has_a_row_of_its_own_chunks_for_each_sentence(tmp_path, capsys):
    sentences = ["the cat sat on the mat", "a dog", "a dog and a cat"]
    pieces = vqzoo.data.Pieces.train(sentences, 300, exact=False)
    tokenizer = vqzoo.text_vqvae(pieces, stride=2, filters=8, blocks=1, quantizer=vqzoo.EMAVectorQuantizer(16))
    tokenizer.save_to_preset(tmp_path / "text")
    for name, lines in (("a.txt", sentences[:2]), ("b.txt", sentences[2:])):
        (tmp_path / name).write_text("\n\n".join(lines))
    files = [str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]
    assert main(["encode", str(tmp_path / "text"), *files, "--out", str(tmp_path / "out"), "--shards"]) == 0
    assert "encoded into 1 shard: 2 files" in capsys.readouterr().out
    shards = TokenShards(tmp_path / "out")
    assert [row.name for row in shards] == ["a.txt:1", "a.txt:3", "b.txt:1"]  # by their lines
    for row, sentence in zip(shards, sentences, strict=True):
        np.testing.assert_array_equal(row.tokens, tokenizer.encode([sentence])[0])
