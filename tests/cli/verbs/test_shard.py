"""`vqzoo shard`: a folder of pictures in shards, and what is left out of them."""

import json

import pytest

from vqzoo.cli.main import main
from vqzoo.data import ShardedImages


def test_pictures_are_packed_and_the_bad_ones_named(pictures, tmp_path, capsys):
    (pictures / "bad.png").write_text("no picture")
    command = ["shard", str(pictures), str(tmp_path / "absent.png"), "--out", str(tmp_path / "out")]
    assert main([*command, "--shard_size", "0.01"]) == 1
    told = capsys.readouterr().err
    assert "shards: 7 files, 2 failed:" in told and "bad.png" in told and "absent.png" in told
    images = ShardedImages(tmp_path / "out")
    names = [name.split("/", 1)[1] for name in images]
    assert names == ["a.png", "b.png", "c.jpg", "d.png", "deep/a.png", "deep/b.png", "e.png"]
    assert images.content(4) == (pictures / "deep" / "a.png").read_bytes()
    assert main(["verify", str(tmp_path / "out")]) == 0
    assert "7 images in 2 shards are whole" in capsys.readouterr().out
    report = ["evaluate", "image-tiny", str(tmp_path / "out"), "--size", "16", "--crops", "8", "--json"]
    assert main(report) == 0
    assert json.loads(capsys.readouterr().out)["crops"] == 8


def test_nothing_is_overwritten_without_force(pictures, tmp_path, capsys):
    command = ["shard", "--out", str(tmp_path / "out")]
    assert main([*command, str(pictures), "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert len(about["files"]) == about["done"] == 7 and about["failed"] == {} and about["shards"] == 1
    with pytest.raises(SystemExit):
        main([*command, str(pictures / "deep")])
    assert "with other pictures. Repeat that command to complete them, give --force" in capsys.readouterr().err
    assert len(ShardedImages(tmp_path / "out")) == 7
    assert main([*command, str(pictures / "deep"), "--force"]) == 0
    assert len(ShardedImages(tmp_path / "out")) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--out DIR is the folder for the shards"),
        (["--out", "x", "--shard_size", "0"], "--shard_size: a number above 0 and at most 1048576. Received: '0'"),
        (["--out", "x", "--shard_size", "nan"], "--shard_size: a number above 0 and at most 1048576. Received: 'nan'"),
    ],
)
def test_arguments_are_checked(pictures, arguments, message, capsys):
    with pytest.raises(SystemExit):
        main(["shard", str(pictures), *arguments])
    assert message in capsys.readouterr().err
