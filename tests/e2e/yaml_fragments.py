"""Own the pieces that made-up manifests are written of: scalars, keys, tags and lines that readers disagree on."""

WORDS = [
    "yes", "no", "on", "off", "y", "n", "Y", "N", "Yes", "NO", "true", "True", "TRUE", "tRue", "false", "null", "Null",
    "NULL", "nUll", "~", "0", "00", "07", "08", "017", "0o17", "0O17", "0x1F", "0X1f", "0b11", "-0b11", "+0b1",
    "1_000", "_1", "1_", "0_7", "12:30", "12:30:45", "190:20:30", "-1:30", "1e3", "1E+3", "1e400", "-1e-400", ".5",
    "5.", "1.0", "-0", "-0.0", "+1", "+.5", "++1", "0.1e-2", ".Inff", ".NANx", "2001-01-01", "2001-1-1",
    "2001-02-29", "2001-01-01 1:2:3", "2001-01-01T24:00:00Z",
    "2001-12-14t21:59:43.10-05:00", "2001-12-14T21:59:43Z", "2001-12-15T2:59:43.1Z", "0777", "0o777",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
    "18446744073709551615", "1__0", "0x_1", "1e1_0", "18446744073709551616", "123456789012345678901234567890",
    "0.30000000000000004", "1.7976931348623157e308", "1_0.5", "-.5", "-.e", "x", "x", "x", "1234567890.123456789",
    "100000000000000000000", "1e21", "1e20", "6.022e23", "0x7fffffffffffffff", "0xffffffffffffffff", "1.10", "1.2.3",
    "v1.0", "=", "<<", "--", "..", ".", "-x", "a:b", "a::b", "a:b:c", "a#b", "http://h:80/p#f", "C:\\x", "\\", "/a",
    "$x", "<x>", "(x)", "x=y", "a&b", "a*b", "a!b", "a@b", "a%b", "a`b", "a'b", 'a"b', "'x'", '"x"', "[]", "{}", "[a]",
    "{a:", "b}", "1Gi", "100m", "0.5", "5m", "1.e3", "1e", "0x", "0b", "0b2", "0o8", "+0x1", "-0x1F", "+12:30",
    "10.0.0.0", "127.0.0.1", "nan", "inf", "NaN", "Infinity", "None", "undefined", "é", "ü😀", "日本", "a\u200b",
    "a", "b", "a", "b", "text", "text", "text", "text", "text",
]  # fmt: skip
"""Plain scalars that YAML 1.1, YAML 1.2, PyYAML and Go read in different ways."""

TRAPS = [
    ".inf", "-.inf", "+.INF", ".nan", ".NaN", ".NAN", "<<:", "-", "---", "...", "?", "?x", "a?b", ":x", ":", "::1",
    "a#", "#a", "%x", "%%", "@x", "`x", "!x", "!!str", "!!int", "!!null", "&a", "*a", "|", ">", "|-", ">+", "'", '"',
    ",", "[", "]", "{", "}", "{a:b}", "{a?b}", "[?a]", ",a", "a,", '"a"b', "'a'b", "x'", 'x"', "!!binary", "1,2",
    "\ufeff", "a", "b", "a", "b", "\x7f", "\x80", "\ufffe", "\U0010ffff", "http://h/?a=b", '"\\x85"', '"\\N"',
    '"\\x7f"', '"\\u0080"', '"\\ufffe"', '"\\/"', '"\\ud83d\\ude00"', '"a', 'b"',
    "{? " + "k" * 1022 + " : v}", "{? " + "k" * 1023 + " : v}", "{null}", "{a, b}", "{a: , ~}", "{: a}", "[: a]",
    "{a,}", "{[a]}", "{a, {b: c}}", "{1, '1'}", "{9223372036854775808}", "{" + "k" * 1023 + "}", "[a, {b}, c]",
]  # fmt: skip
"""Scalars that one reader or the other stumbles over."""

QUOTED = [
    '"\\x41\\u00e9\\U0001F600"', '"\\e\\_\\L\\P\\0"', '"a\\\n  b"', "'a\n  b'", "a\n  b", '"\\t\\x1f"', "''",
]  # fmt: skip
"""Scalars with escapes, and scalars of two lines."""

INSIDE = [
    "---", "--- ", "---x", "...", "... x", "-----BEGIN CERTIFICATE-----", "# no comment", "%YAML 1.1", "%", "", " ",
    "  x", "\tx", "x\t", "x ", "a: b", "- x", "{{ .Values.x }}", "{", "}", "[", "]", '"', "'", "\\", "\\n", "é ü日",
    "\ufeff", "<<: x", "&a", "*a", "!x", "|", ">", "? x", ": x", "echo $(date) && exit 0; # done", '{"a": [1, "---"]}',
    "null", "~", "x" * 90, "key: |", "  nested: 'it''s'",
]  # fmt: skip
"""Lines that mean something in YAML or to a splitter, and are only text inside of a text."""

CHARACTERS = [
    "a\u2028b", "a\u0085b", "\x7f", "\x80", "\ufffe", "\U0001f600", "\ufeff", "\u2029", "\x00", "/", "a \u2028 b",
    "\r", "x\t\x0b", "\xa0",
]  # fmt: skip
"""Texts with characters that readers drop, replace or refuse."""

KEYS = [
    "a", "b", "c-d", "e.f/g", '"q"', "'r s'", "data", "x y", "1", "yes", "1.5", "2001-01-01", "é", "<<x", "-k", "k#",
    "k:l", "true", "0x1", '"a\\tb"', "''", "name", "kind", "&k k", "!!str 5", "0b1", ".inf", "items", "spec", "a", "b",
    "c", "d",
]  # fmt: skip
"""Keys."""

TRAP_KEYS = [
    "null", "~", "? k", "*a", '"1"', '"true"', "!!int x", "[a]", "{a: b}", "<<", '"\\N"', "'<<'", "on", "{{ x }}",
    "! ~", "9223372036854775807", "9223372036854775808", "0xffffffffffffffff", "18446744073709551616", "1e3",
    "! <<", "! ''", "! 1", "k" * 1022, "k" * 1023, "<" * 170, '"' + "&" * 171 + '"', "é" * 600, "",
]  # fmt: skip
"""Keys that are no text, that merge, that are long, or that become equal to others."""

TAGGED = [
    "!!str 5", "!!str", "!!str ~", "!!int 5", "!!int '0x1F'", "!!float 5", "!!float 1e3", "!!bool yes", '!!bool "on"',
    "!!null", "!!null ''", "!!binary aGk=", "!!timestamp 2001-01-01", "!x y", "! 5", "!<tag:yaml.org,2002:str> 5",
    "!<!y> z", "!!x [a]", "!!map {a: b}", "!!seq [a]", "!!set {a, b}", "!!omap [a: b]", "!!merge a", "!!str {a: b}",
]  # fmt: skip
"""Tags with values that fit."""

MISFITS = [
    "!!int x", "!!float x", "!!bool 1", "!!null x", "!!timestamp x", "!!binary x", "!!binary /w==", "!!float .inf",
    "!!str .inf", "!!int 1.5",
]  # fmt: skip
"""Tags with values that do not fit."""

TAGS = ["!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!binary"]
"""Tags that Go knows."""

COMMENTS = [
    "", "", "", "", " # c", " #", "  # a: b --- é", "\t# tab", " # \u0085# x", " ",
]  # fmt: skip
"""What may stand behind a value on its line."""

SEPARATORS = [
    "---\n", "---\n", "--- \t\n", "---\n---\n", "--- # next\n", "---\n# only a comment\n---\n", "---\nnull\n---\n",
    "---\n\n", "...\n---\n", "...\n", "... # end\n---\n", "---\n\ufeff", "...\n%YAML 1.1\n---\n", "\ufeff---\n",
    "---#x\n", "---\u00a0\n",
]  # fmt: skip
"""What may stand between the documents of a file."""

BEGINS = [
    "", "", "", "---\n", "\ufeff", "\ufeff---\n", "%YAML 1.2\n---\n", "# license\n---\n", "\n\n", "---\n---\n",
    "--- # c\n", "--- ",
]  # fmt: skip
"""What a file may begin with."""

DAMAGE = [
    "---", "\n---\n", "...", "\n...\n", "\n", "\r", "\r\n", "\t", " ", "  ", ":", ": ", "- ", "? ", "#", " #", "&a ",
    "*a", "!", "!!int ", "|", ">", "'", '"', "{", "}", "[", "]", ",", "%", "@", "`", "\\", "\ufeff", "\u2028",
    "\u0085", "\u00a0", "\x00", "\x07", "\x7f", "<<: ", "null", "~", "{{ x }}", "\\/", "kind: B\n", "apiVersion: v1\n",
    "items: []\n", "items:\n", "0", "=", "%YAML 1.1\n", "---\u2028", "\\ud83d\\ude00", "é", "{}", "[]", "\n  ", "\n- ",
    '"a": 1, ', "}{", "-", "--", "\n\t", "\x0b", "\x0c", "\u200b",
]  # fmt: skip
"""What a slip of a hand or of a tool may put into a file."""
