import dataclasses

import pytest
import tensorflow as tf

from vqzoo.runs import run_recipe
from vqzoo.runs.recipe import user_errors


@dataclasses.dataclass(frozen=True)
class Config:
    size: int = 64


VARIANTS = {"default": Config()}


@pytest.fixture(autouse=True)
def no_flags(monkeypatch):
    monkeypatch.setattr("sys.argv", ["recipe.py", "--size", "8"])
    monkeypatch.delenv("VQZOO_TRACEBACK", raising=False)


def test_the_settings_arrive():
    seen = []
    run_recipe(seen.append, VARIANTS)
    assert seen == [Config(8)]


@pytest.mark.parametrize("error", [ValueError, OSError, FloatingPointError])
def test_what_a_user_can_mend_is_one_line(error, capsys, monkeypatch):
    def main(config):
        raise error("no pictures there")

    with pytest.raises(SystemExit) as caught:
        run_recipe(main, VARIANTS)
    assert caught.value.code == 1
    assert capsys.readouterr().err == "error: no pictures there\n"
    monkeypatch.setenv("VQZOO_TRACEBACK", "1")
    with pytest.raises(error, match="no pictures there"):
        run_recipe(main, VARIANTS)


def test_a_fault_of_ours_keeps_its_traceback():
    def main(config):
        raise TypeError("a fault")

    with pytest.raises(TypeError, match="a fault"):
        run_recipe(main, VARIANTS)


def test_what_tensorflow_wraps_is_told_in_one_line_too(capsys):
    told = "ValueError: 12 of 100 pictures cannot be read so far\nTraceback (most recent call last):"
    for error, line in (
        (tf.errors.InvalidArgumentError(None, None, told), "12 of 100 pictures cannot be read so far"),
        (tf.errors.ResourceExhaustedError(None, None, "No space left on device"), "No space left on device"),
    ):
        with pytest.raises(SystemExit) as caught, user_errors():
            raise error
        assert caught.value.code == 1
        assert capsys.readouterr().err == f"error: {line}\n"
    with pytest.raises(tf.errors.InternalError), user_errors():
        raise tf.errors.InternalError(None, None, "a fault of ours")
