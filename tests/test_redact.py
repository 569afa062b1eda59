"""Redaction: no secret leaves the process, and ordinary text stays readable."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cmp_core.redact import MASK, Redactor, secret_values

redact = Redactor()

SECRETS = st.text(st.characters(codec="utf-8", exclude_characters="[]"), min_size=6, max_size=60)


@given(SECRETS, st.text(max_size=80), st.text(max_size=80))
@example("hunter2-hunter2", "password=", "&x=1")
@example("abc/def+ghi=", "https://user:", "@host/path")
@example("\x1b[31m\x00red".replace("[", ""), "", "")
def test_no_known_secret_survives(secret: str, before: str, after: str) -> None:
    """Whatever stands around it, and whatever it is made of."""
    text = Redactor([secret])(f"{before}{secret}{after}")

    assert secret not in text.replace(MASK, "")


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789/+=", min_size=40, max_size=40), st.text(max_size=40))
def test_a_known_secret_does_not_survive_in_a_url(secret: str, around: str) -> None:
    """Libraries quote what they put into a query."""
    quoted = secret.replace("/", "%2F").replace("+", "%2B").replace("=", "%3D")

    text = Redactor([secret])(f"{around}{quoted}{around}")

    assert quoted not in text


@given(st.text(max_size=400))
def test_any_text_stays_one_text_without_control_characters(text: str) -> None:
    """Nothing but line feeds and tabs can move a terminal's cursor or turn the reading direction."""
    told = redact(text)

    assert all(character.isprintable() or character in "\n\t" or ord(character) >= 0xA0 for character in told)
    told.encode("utf-8")
    assert not set(told) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\u2028\u2029")


def test_the_longest_of_overlapping_secrets_goes_first() -> None:
    """Otherwise the rest of the longer one would stay."""
    text = Redactor(["secret1", "secret1-and-more"])("see secret1-and-more")

    assert text == f"see {MASK}"


def test_a_short_value_is_no_secret() -> None:
    """`true` would mask half of every message."""
    text = Redactor(["true", "", "12345"])("true 12345")

    assert text == "true 12345"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "GET https://b.s3.amazonaws.com/k?X-Amz-Algorithm=A&X-Amz-Signature=abcdef failed",
            "GET https://b.s3.amazonaws.com/k?[redacted] failed",
        ),
        ("https://b.example.com/k?Expires=1&Signature=abcdef", "https://b.example.com/k?[redacted]"),
        ("https://x.blob.core.windows.net/c?sv=1&sig=ab%3D", "https://x.blob.core.windows.net/c?[redacted]"),
        ("https://storage.googleapis.com/b?X-Goog-Signature=ab", "https://storage.googleapis.com/b?[redacted]"),
        ("https://h/?AWSAccessKeyId=AKIA&x=1", "https://h/?[redacted]"),
        ("https://user:pass@host:9000/x", "https://[redacted]@host:9000/x"),
        ("https://user:pa/ss@host", "https://[redacted]@host"),
        ("https://:pass@host", "https://[redacted]@host"),
        ("https://token123@host/x", "https://[redacted]@host/x"),
        (
            "Authorization: AWS4-HMAC-SHA256 Credential=AKIA/x, SignedHeaders=host, Signature=abc",
            "Authorization: [redacted]",
        ),
        ("'Authorization': 'Bearer abc'", "'Authorization': '[redacted]'"),
        ('"authorization":"Basic abc"', '"authorization":"[redacted]"'),
        ("sent AWS4-HMAC-SHA256 Credential=AKIA, Signature=ab\nnext", "sent AWS4-HMAC-SHA256 [redacted]\nnext"),
        ("with Bearer abc123.def", "with Bearer [redacted]"),
        ("with basic dXNlcjpwYXNz now", "with basic [redacted] now"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY----- end", "[redacted] end"),
        ("-----BEGIN PRIVATE KEY-----\ncut off", "[redacted]"),
        ("got eyJhbGciOiJI.eyJzdWIiOiIx.c2ln here", "got [redacted] here"),
        ("x-amz-security-token:FwoGZXIvYXdzEJr//", "x-amz-security-token:[redacted]"),
        ('{"SecretAccessKey": "abcdefgh"}', '{"SecretAccessKey": "[redacted]"}'),
        ("{'SessionToken': 'FwoGZXIvYXdz'}", "{'SessionToken': '[redacted]'}"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7", "AWS_SECRET_ACCESS_KEY=[redacted]"),
        ("s3.secret-access-key: wJalrXUtnFEMI", "s3.secret-access-key: [redacted]"),
        ("password: correcthorse", "password: [redacted]"),
        ("password: correcthorse\nnext", "password: [redacted]\nnext"),
        ("token = abcdefgh", "token = [redacted]"),
    ],
)
def test_what_has_the_shape_of_a_secret_goes(text: str, told: str) -> None:
    """Signed URLs, user info, headers, keys and tokens, known or not."""
    redacted = redact(text)

    assert redacted == told


@pytest.mark.parametrize(
    "text",
    [
        "s3://test-bucket/apps/demo-app/secret.yaml:12: `spec` is missing",
        "s3://bucket/secrets=1/deploy.yaml",
        "s3://b/app-secrets: nothing lies there: check `path`",
        "s3://arn:aws:s3:eu-central-1:123456789012:accesspoint/name/k@x.yaml",
        "http://minio:9000/bucket/a@b.yaml: access denied",
        "arn:aws:iam::123456789012:role/secret-reader is not allowed to call s3:GetObject",
        "ExpiredToken: The provided token has expired",
        "InvalidToken: The security token included in the request is invalid",
        "expired token: request a new one",
        "unknown key `secret`: remove it; known are bucket, path",
        "parameter `token`: has no usable value",
        "Please use AWS4-HMAC-SHA256.",
        "basic authentication is off",
        "the bearer token expired for role X",
        "revision sha256:0123456789abcdef",
        "https://example.com/docs?page=2 and what?",
        "Ä ö 漢字 emoji 🙂 stay",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    """Keys, ARNs, revisions and sentences about tokens are what an error is made of."""
    redacted = redact(text)

    assert redacted == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a\rb", "a\\x0db"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202eb", "a\\u202eb"),
        ("\x9b", "\\x9b"),
        ("\u061c\u200e\u2028\u2029\u2066", "\\u061c\\u200e\\u2028\\u2029\\u2066"),
        ("half \ud800", "half \\ud800"),
        ("a\n\tb", "a\n\tb"),
    ],
)
def test_control_characters_are_written_out(text: str, told: str) -> None:
    """An object's key may hold any of them."""
    redacted = redact(text)

    assert redacted == told


@pytest.mark.parametrize(
    ("name", "value", "is_secret"),
    [
        ("AWS_SECRET_ACCESS_KEY", "abcdef", True),
        ("AZURE_STORAGE_ACCOUNT_KEY", "abcdef", True),
        ("AZURE_STORAGE_CONNECTION_STRING", "AccountKey=abcdef", True),
        ("AWS_SESSION_TOKEN", "abcdef", True),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "abcdef", True),
        ("ARGOCD_ENV_PASSWORD", "abcdef", True),
        ("my_api_key", "abcdef", True),
        ("AWS_ACCESS_KEY_ID", "AKIAX", False),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/token", False),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://x", False),
        ("AWS_REGION", "eu-central-1", False),
        ("GITHUB_TOKEN", "", False),
    ],
)
def test_a_variables_name_tells_whether_it_holds_a_secret(name: str, value: str, is_secret: bool) -> None:  # noqa: FBT001  # a row
    """What names a file or an address is none."""
    found = secret_values({name: value})

    assert found == ({value} if is_secret else set())


def test_the_password_of_a_proxy_is_a_secret() -> None:
    """Libraries tell it without the URL around it."""
    found = secret_values({"HTTPS_PROXY": "http://user:proxy-pass@proxy:3128", "URL": "https://host:9000/a@b"})

    assert "proxy-pass" in found


@pytest.mark.parametrize(
    "part",
    [
        "?",
        "a:",
        "://",
        "://a:",
        "secret",
        "secret: ",
        "Basic ",
        "x-",
        "eyJ",
        "eyJaaaaaaaaa.",
        "token\n",
        " ",
        "-----BEGIN ",
    ],
)
def test_no_text_takes_long(part: str) -> None:
    """A key of our reader's choosing must not use up the request's time; the bound is a hundred times the usual."""
    text = part * (64 * 1024 // len(part))
    before = time.process_time()

    redact(text)

    assert time.process_time() - before < 5
