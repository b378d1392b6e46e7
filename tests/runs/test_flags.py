import dataclasses

import pytest

from vqzoo.runs import parse_config


@dataclasses.dataclass(frozen=True)
class Config:
    size: int = 64  # pixels a side
    rate: float = 1e-3  # of learning
    out: str = "folder"  # where 100% of the files go
    flip: bool = True  # mirror
    multipliers: tuple[int, ...] = (1, 2)  # of filters

    def __post_init__(self):
        if self.size < 1:
            raise ValueError(f"size is positive. Received: size={self.size}")


VARIANTS = {"default": Config(), "tiny": Config(size=8, rate=0.1)}


def test_the_first_variant_is_the_default():
    assert parse_config(VARIANTS, []) == Config()


def test_flags_replace_fields_of_the_chosen_variant():
    arguments = ["tiny", "--rate", "0.5", "--no-flip", "--multipliers", "1,2,4", "--out", "a b"]
    assert parse_config(VARIANTS, arguments) == Config(8, 0.5, "a b", False, (1, 2, 4))
    assert parse_config(VARIANTS, ["--flip"]).flip is True


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "big"], "argument --size: invalid int value: 'big'"),
        (["--sise", "8"], "unknown flag --sise. Did you mean --size?"),
        (["--si", "8"], "unknown flag --si. Did you mean --size?"),
        (["huge"], "invalid choice: 'huge'"),
        (["--multipliers", "1,x"], "comma-separated list of int"),
        (["--size", "0"], "size is positive. Received: size=0"),
    ],
)
def test_what_cannot_be_read_is_told(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse_config(VARIANTS, arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_the_help_shows_every_field_with_its_comment_and_default(capsys):
    with pytest.raises(SystemExit):
        parse_config(VARIANTS, ["--help"])
    told = " ".join(capsys.readouterr().out.split())
    for part in (
        "--size SIZE pixels a side (default: 64)",
        "where 100% of the files go",
        "--no-flip",
        "{default,tiny}",
    ):
        assert part in told


@pytest.mark.parametrize("text", ["-1", "-.5", "-1.", "-1e2", "-1E+2", "-1.5e-3", "-inf", "-Infinity"])
def test_a_negative_number_of_any_form_is_a_value(text):
    assert parse_config(VARIANTS, ["tiny", "--rate", text, "--flip"]).rate == float(text)
    assert parse_config(VARIANTS, [f"--rate={text}"]).rate == float(text)
    assert parse_config(VARIANTS, ["--multipliers", "-1,2", "tiny"]).multipliers == (-1, 2)


def test_a_setting_has_one_type():
    @dataclasses.dataclass(frozen=True)
    class Unclear:
        size: int | None = None

    with pytest.raises(TypeError, match="A setting has one type. Received: int | None"):
        parse_config({"default": Unclear()}, [])


def test_a_flag_without_effect_is_refused(capsys):
    replaced = {"out": ("size", "rate")}
    assert parse_config(VARIANTS, ["--size", "8"], replaced).size == 8
    with pytest.raises(SystemExit):
        parse_config(VARIANTS, ["--out", "x", "--size", "8"], replaced)
    assert "--size: decided by --out. Leave it out." in capsys.readouterr().err
