"""Own what scalars become for Argo CD's parser of YAML: numbers, dates, and the names that keys get in JSON."""

import calendar
import math
import re
import struct
from decimal import Decimal
from typing import NamedTuple

from cmp_core.nodes import Node

TAG = "tag:yaml.org,2002:"
"""How the tags begin that are written with two exclamation marks."""

_BOOLEANS = {
    word: name
    for name, words in {"true": "y yes true on", "false": "n no false off"}.items()
    for lower in words.split()
    for word in (lower, lower.capitalize(), lower.upper())
}

_BASES = {"x": 16, "o": 8, "b": 2}
_INT = re.compile(r"(?P<sign>[-+]?)(?:0(?P<base>[xXoObB]))?(?P<digits>[0-9a-fA-F]+)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")

MOST_INT = 2**63 - 1
"""Above this number Go takes another type, which is no key and no float."""

_MOST_UNSIGNED = 2**64 - 1

_TIMESTAMP = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})"
    r"(?:(?P<between>[Tt]| +)(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{1,2}):(?P<second>[0-9]{1,2})(?:[.,][0-9]+)?"
    r"(?P<zone>Z|[-+](?P<hours>[0-9]{2}):(?P<minutes>[0-9]{2}))?)?"
)

# Go's encoder of JSON escapes these by a letter, and those by a number of four digits.
_ESCAPED_BY_LETTER = re.compile(r'["\\\b\f\n\r\t]')
_ESCAPED_BY_NUMBER = re.compile(r"[\x00-\x07\x0b\x0e-\x1f<>&\u2028\u2029]")


class Key(NamedTuple):
    """A key as Argo CD's parser has it before it writes JSON: keys of two types are two keys, even with one name.

    Attributes:
        name: What it is called in JSON.
        type: The type of Go: `string`, `bool`, `int`, `uint64` or `float64`.
    """

    name: str
    type: str


def read_key(node: Node) -> Key | None:
    """Return what a key becomes; None for null and for what is no scalar.

    The words for a boolean become one, so that ``on`` and ``yes`` are the same key, and so do the ways to write a
    number: ``0x10``, ``020`` and ``16``.
    """
    text = node.text
    if text is None:
        return None
    tag = node.event.tag
    if (node.is_plain or tag == f"{TAG}bool") and text in _BOOLEANS:
        return Key(_BOOLEANS[text], "bool")
    number = read_number(text) if node.is_plain or tag in {f"{TAG}int", f"{TAG}float"} else None
    if number is None:
        return Key(text, "string")
    if isinstance(number, int) and tag != f"{TAG}float":
        return Key(str(number), "int" if number <= MOST_INT else "uint64")
    return Key(_format_float(float(number)), "float64")


def is_boolean(text: str) -> bool:
    """Tell whether a text without quotes is a boolean."""
    return text in _BOOLEANS


def is_timestamp(text: str) -> bool:
    """Tell whether Go's `time.Parse` reads a text in one of the forms that its YAML has for dates and times.

    With a `T` a zone is a must, and with a blank it may not be there.
    """
    found = _TIMESTAMP.fullmatch(text)
    if not found:
        return False
    parts = {name: int(part) for name, part in found.groupdict("0").items() if part.isdecimal()}
    return (
        (found["between"] or " ").isspace() == (found["zone"] is None)
        and 1 <= parts["month"] <= 12
        and 1 <= parts["day"] <= calendar.monthrange(parts["year"], parts["month"])[1]
        and parts["hour"] < 24
        and parts["minute"] < 60
        and parts["second"] < 60
        and parts["hours"] <= 24
        and parts["minutes"] <= 60
    )


def json_length(text: str) -> int:
    """Return how many characters a text has in the JSON that Go writes, quotes and escapes among them."""
    letters, numbers = len(_ESCAPED_BY_LETTER.findall(text)), len(_ESCAPED_BY_NUMBER.findall(text))
    return len(text) + letters + 5 * numbers + 2


def read_number(text: str) -> int | float | None:
    """Return the number that a text without quotes is, or None where it is text."""
    if _INFINITE.fullmatch(text):
        return float(text.replace(".", "").lower())
    if text[:1] not in set("+-.0123456789"):
        return None
    if text.startswith("."):
        text = re.sub(r"(?<=[0-9])_(?=[0-9])", "", text)
    else:
        text = text.replace("_", "")
        number = _read_int(text)
        if number is not None:
            return number
    value = float(text) if _FLOAT.fullmatch(text) else math.inf
    return None if math.isinf(value) else value


def _read_int(text: str) -> int | None:
    """Return what Go's strconv.ParseInt, or else ParseUint, reads with base 0; a leading 0 means octal."""
    found = _INT.fullmatch(text)
    if not found:
        return None
    base = _BASES[found["base"].lower()] if found["base"] else 8 if found["digits"].startswith("0") else 10
    try:
        number = int(found["sign"] + found["digits"], base)
    except ValueError:
        return None
    most = MOST_INT if found["sign"] else _MOST_UNSIGNED
    return number if -MOST_INT - 1 <= number <= most else None


def _format_float(value: float) -> str:
    """Return a number as Go's strconv.FormatFloat writes it by format g, precision -1 and 32 bits."""
    try:
        single = struct.pack("f", value)
    except OverflowError:
        single = struct.pack("f", math.copysign(math.inf, value))
    rounded = struct.unpack("f", single)[0]
    if not math.isfinite(rounded):
        return ".nan" if math.isnan(rounded) else ".inf" if rounded > 0 else "-.inf"
    tries = (f"{rounded:.{digits}e}" for digits in range(17))
    shortest = next(text for text in tries if struct.pack("f", float(text)) == single)
    exponent = int(shortest.partition("e")[2])
    return format(Decimal(shortest), "f") if -4 <= exponent < 6 else shortest
