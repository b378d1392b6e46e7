"""Strict JSON: what is written, and what is not read."""

import json
import math

import ml_dtypes
import numpy as np
import pytest

from vqzoo.jsons import json_text
from vqzoo.jsons import parse_json


def nested(levels, kind=list):
    value = 1
    for _ in range(levels):
        value = [value] if kind is list else {"a": value}
    return value


def strict(text):
    def refuse(constant):
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ({"a": math.nan, "b": [math.inf, -math.inf, 1.5]}, {"a": None, "b": [None, None, 1.5]}),
        (np.float32(21.5), 21.5),
        (np.float32("nan"), None),
        (np.float64("-inf"), None),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (ml_dtypes.bfloat16(0.5), 0.5),
        (ml_dtypes.bfloat16("inf"), None),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([1.5, math.nan], "float16"), [1.5, None]),
        ({"deep": ({"er": (math.nan, np.uint8(3))},)}, {"deep": [{"er": [None, 3]}]}),
        ({1: "a", np.int32(2): "b", None: "c"}, {"1": "a", "2": "b", "null": "c"}),
        ({math.nan: 1}, {"null": 1}),
        ("größe \ud800 \udcff", "größe \ud800 \udcff"),
        (10**400, 10**400),
        (None, None),
        (True, True),
        ([], []),
    ],
)
def test_written_json_is_strict(value, read):
    text = json_text(value)
    assert strict(text) == read
    assert text.isascii() and "\n" not in text  # any terminal takes it, a line for each
    assert strict(json_text(value, indent=2)) == read


@pytest.mark.parametrize("value", [object(), b"a", {1, 2}, 1j, np.datetime64("2020-01-01"), {(1, 2): 3}])
def test_other_types_are_not_written(value):
    with pytest.raises(TypeError):
        json_text({"a": value})


def test_a_value_that_holds_itself_is_not_written():
    value = []
    value.append(value)
    for deep in (value, nested(101), nested(101, dict)):
        with pytest.raises(ValueError, match="nested at most 100 times"):
            json_text(deep)
    assert strict(json_text(nested(100))) == nested(100)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_constants_that_are_not_json_are_not_read(constant):
    with pytest.raises(ValueError, match=f"{constant} is not a number of JSON"):
        parse_json(f'{{"a": [{constant}]}}')


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a": 1e999}', "1e999 is beyond the range of numbers"),
        (b'{"a": -1e999}', "-1e999 is beyond"),
        (b"[" * 101 + b"]" * 101, "its lists and dicts are nested more than 100 times"),
        (b"[" * 10**6, "nested more than 100 times"),
        (b'{"a":' * 10**5 + b"1" + b"}" * 10**5, "nested more than 100 times"),
        (b'["\\ud800"]', r"it holds '\\ud800', half of a character"),
        (b'{"\\uDC80": 1}', r"it holds '\\udc80', half of a character"),
        ('["\udcff"]', r"it holds '\\udcff', half of a character"),
        (b'["\xed\xa0\x80"]', "can't decode"),
        (b"\xff", "can't decode"),
        ('{"a": 1}'.encode("utf-16"), "can't decode"),
        (b'{"a": 1' + b"0" * 5000 + b"}", "digits"),
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"{} {}", "Extra data"),
    ],
)
def test_what_is_not_strict_json_is_not_read(data, message):
    with pytest.raises(ValueError, match=message):
        parse_json(data)


def test_what_is_json_is_read():
    text = '{"a": [1, 2.5, -1e-3, null, true, "größe \\ud83d\\ude00"], "b": {"c": ""}}'
    assert parse_json(text) == parse_json(text.encode()) == parse_json(b"\xef\xbb\xbf" + text.encode())
    assert parse_json(text) == json.loads(text)
    assert parse_json(json_text(nested(100))) == nested(100)
    assert parse_json('["\\udcff"]', any_text=True) == ["\udcff"]  # the name of a file
