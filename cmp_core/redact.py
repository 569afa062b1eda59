"""Own what may be said aloud: remove secrets and control characters from any text before it leaves the process.

Everything that cmp-core writes to stderr goes through here, since Argo CD shows it in its UI,
keeps it in Redis and logs it.
"""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

MASK = "[redacted]"

_SHORTEST_SECRET = 6
_SECRET_NAME = re.compile(
    r"SECRET|TOKEN|PASSWORD|PASSWD|PRIVATE_KEY|CREDENTIAL|CONNECTION_STRING|API_?KEY|ACCOUNT_KEY", re.IGNORECASE
)
_URL_PASSWORD = re.compile(r"\w+://[^\s/:@]*:([^\s@]+)@")
_HARMLESS_NAME = re.compile(r"(_FILE|_PATH|_URI|_URL|_DURATION|_EXPIRATION)$")
_RANDOM = r"(?=[^\s'\"<>`,;]*(?:\d|[a-z][A-Z]|[=+/_~]|[^\s'\"<>`,;]{20}))"
"""Stands before a word that no language has: a sentence goes on after "token:", a secret does not look like that."""
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_USER_INFO = re.compile(
    r"""(?<=://)(?!arn:)[^\s/@:'"<>]{0,256}:(?!\d{1,5}/)[^\s@'"<>]{0,2048}@  # no host:port before a key with an @
    |   (?<=://)[^\s/@:'"<>]{1,2048}@""",
    re.VERBOSE,
)
_QUERY = re.compile(r"\?[^\s'\"<>`]+")
_SIGNED = re.compile(r"x-amz-|signature|sig=|awsaccesskeyid|token|x-goog-", re.IGNORECASE)
_AUTHORIZATION = re.compile(r"(\bAuthorization['\"]?\s{0,4}[=:]\s{0,4}['\"]?)[^\s'\"<>`][^\n'\"<>`]*", re.IGNORECASE)
_SIGNATURE = re.compile(r"\b(AWS4-HMAC-SHA256)\s{1,4}\w+=[^\n'\"<>`]*")
_SCHEME = re.compile(rf"\b((?i:Bearer|Basic))\s{{1,4}}{_RANDOM}[^\s'\"<>`,;]+")
_ASSIGNED = re.compile(
    rf"""(?P<name>(?<![\w./-])[\w.-]{{0,48}}(?i:secret|token|password|passwd|signature)[\w.-]{{0,48}})
    (?P<sign>['"]?\s?=\s?['"]? | ['"]?\s?:\s{{0,4}}['"] | ['"]:\s{{0,4}} | :\s{{0,4}}(?={_RANDOM}|[^\s,;]+$))
    (?P<value>[^\s"'&,;<>`]{{6,}})""",
    re.VERBOSE | re.MULTILINE,
)
_WEB_TOKEN = re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Redactor:
    """Removes the secrets that it knows by value, and everything that has the shape of one."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Know `secrets` by value, written out and as in a URL.

        Those shorter than six characters would mask ordinary words and are left out.
        """
        spellings = {form for secret in secrets for form in (secret, quote(secret, safe=""), quote_plus(secret))}
        known = sorted({form for form in spellings if len(form) >= _SHORTEST_SECRET}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        """Return `text` without secrets, and with every control character but the line feed and the tab escaped."""
        if self._known:
            text = self._known.sub(MASK, text)
        text = _PRIVATE_KEY.sub(MASK, text)
        text = _USER_INFO.sub(f"{MASK}@", text)
        text = _QUERY.sub(_without_signature, text)
        text = _AUTHORIZATION.sub(rf"\g<1>{MASK}", text)
        text = _SIGNATURE.sub(rf"\1 {MASK}", text)
        text = _SCHEME.sub(rf"\1 {MASK}", text)
        text = _ASSIGNED.sub(rf"\g<name>\g<sign>{MASK}", text)
        text = _WEB_TOKEN.sub(MASK, text)
        return _CONTROL.sub(_escape, text)


def secret_values(variables: Mapping[str, str]) -> set[str]:
    """Return the values of the variables whose names say that they hold a secret, and the passwords of all URLs."""
    named = {
        value
        for name, value in variables.items()
        if value and _SECRET_NAME.search(name) and not _HARMLESS_NAME.search(name)
    }
    return named | {match[1] for value in variables.values() if (match := _URL_PASSWORD.match(value))}


def _without_signature(query: re.Match[str]) -> str:
    return f"?{MASK}" if _SIGNED.search(query[0]) else query[0]


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
