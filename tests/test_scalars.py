"""What scalars become for Argo CD's parser: numbers, dates, and the names of keys."""

import json
from datetime import datetime

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cmp_core.nodes import Node
from cmp_core.scalars import Key, is_boolean, is_timestamp, json_length, read_key, read_number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("0", 0, id="zero"),
        pytest.param("-0", 0, id="negative zero"),
        pytest.param("017", 15, id="octal by a leading zero"),
        pytest.param("0o17", 15, id="octal by a letter"),
        pytest.param("0x1F", 31, id="hexadecimal"),
        pytest.param("-0b11", -3, id="binary"),
        pytest.param("1_000", 1000, id="underscores"),
        pytest.param("9223372036854775808", 2**63, id="above int64"),
        pytest.param("18446744073709551616", 2.0**64, id="above uint64"),
        pytest.param("+9223372036854775808", 2.0**63, id="signed, above int64"),
        pytest.param("08", 8.0, id="no octal"),
        pytest.param(".5", 0.5, id="fraction alone"),
        pytest.param("1.e3", 1000.0, id="exponent"),
        pytest.param("-.inf", float("-inf"), id="infinite"),
        pytest.param("1e400", None, id="too large"),
        pytest.param("12:30", None, id="no base 60"),
        pytest.param("2001-01-01", None, id="date"),
        pytest.param("1.2.3", None, id="version"),
        pytest.param("0x", None, id="prefix alone"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_a_number_is_what_go_reads(text: str, expected: float | None) -> None:
    """Whole numbers stay whole, and whatever Go takes for text is none."""
    number = read_number(text)

    assert (number, type(number)) == (expected, type(expected))


@given(st.integers(-(2**63), 2**64 - 1))
def test_a_whole_number_is_the_same_in_every_base(number: int) -> None:
    """Decimal, hexadecimal, octal and binary say the same number, unless its sign leaves no room for it."""
    texts = [format(number, "d"), *(format(number, f"#{base}") for base in "xob")]

    found = {read_number(text) for text in texts}

    assert found == {number}


@given(st.datetimes(), st.sampled_from(["T", "t"]), st.sampled_from(["Z", "+00:00", "-23:59"]))
def test_dates_that_there_are_pass(moment: datetime, letter: str, zone: str) -> None:
    """A date alone, one with a time, and one with a time in a zone are timestamps."""
    texts = [moment.date().isoformat(), moment.isoformat(" "), moment.isoformat(letter) + zone]

    found = [is_timestamp(text) for text in texts]

    assert found == [True, True, True]


@pytest.mark.parametrize(
    "text",
    [
        "2001-02-29", "2001-13-01", "2001-00-01", "2001-04-31", "2001-01-00", "2001-1-1T24:00:00Z",
        "2001-1-1T00:60:00Z", "2001-1-1T00:00:60Z", "2001-01-01T00:00:00", "2001-01-01 00:00:00Z",
        "2001-01-01T00:00:00+25:00", "2001-01-01 00:00:00.", "01-01-2001", "2001-01-01T", "x", "",
    ],
)  # fmt: skip
def test_dates_that_there_are_not_are_none(text: str) -> None:
    """The calendar holds, a `T` needs a zone, and a blank forbids one."""
    assert not is_timestamp(text)


@given(st.text(st.characters(codec="utf-8")))
def test_the_length_in_json_is_that_of_go(text: str) -> None:
    """Go escapes what JSON must and, beyond that, what would mean something in HTML or JavaScript."""
    written = json.dumps(text, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        written = written.replace(character, f"\\u{ord(character):04x}")

    length = json_length(text)

    assert length == len(written)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("a", Key("a", "string"), id="text"),
        pytest.param("'1'", Key("1", "string"), id="number in quotes"),
        pytest.param("0x10", Key("16", "int"), id="number"),
        pytest.param("9223372036854775808", Key("9223372036854775808", "uint64"), id="number above int64"),
        pytest.param("1.50", Key("1.5", "float64"), id="fraction"),
        pytest.param("1e21", Key("1e+21", "float64"), id="exponent"),
        pytest.param("1e100", Key(".inf", "float64"), id="number beyond 32 bits"),
        pytest.param("Yes", Key("true", "bool"), id="boolean"),
        pytest.param("!!bool 'off'", Key("false", "bool"), id="tagged boolean"),
        pytest.param("!!str 5", Key("5", "string"), id="tagged text"),
        pytest.param("!!float 5", Key("5", "float64"), id="tagged float"),
    ],
)
def test_a_key_has_the_name_and_the_type_of_go(written: str, expected: Key) -> None:
    """A key is called in JSON what Go makes of its value."""
    key = read_key(node(written))

    assert key == expected


@pytest.mark.parametrize("written", ["~", "''", "!!null ''", "[a]", "{a: b}"])
def test_null_and_collections_are_no_keys(written: str) -> None:
    """What has no text has no name, empty text excepted."""
    key = read_key(node(written))

    assert key == (Key("", "string") if written == "''" else None)


@pytest.mark.parametrize("word", ["y", "yes", "on", "true", "n", "no", "off", "false"])
def test_words_are_booleans_in_three_spellings(word: str) -> None:
    """Lower case, capitalised and upper case are booleans, anything else is text."""
    spellings = [word, word.capitalize(), word.upper(), f"{word}X", f" {word}"]

    found = [is_boolean(spelling) for spelling in spellings]

    assert found == [True, True, True, False, False]


def node(written: str) -> Node:
    """Return the node that a text is."""
    return next(Node(event) for event in yaml.parse(written, yaml.CBaseLoader) if isinstance(event, yaml.NodeEvent))
