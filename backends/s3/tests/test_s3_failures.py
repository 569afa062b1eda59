"""Every way in which S3 fails has its class, and one sentence that says what, where, as whom and what to do."""

import datetime as dt
import inspect
import ipaddress
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions as sdk
from botocore.exceptions import ClientError
from cmp_backend_s3.failures import Call, explain
from cmp_backend_s3.identity import Identity
from cmp_backend_s3.reading import ObjectReader
from cmp_backend_s3.verdicts import CODES
from hypothesis import given
from hypothesis import strategies as st

from cmp_core import (
    CmpError,
    ConfigError,
    FetchError,
    SourceAccessError,
    SourceNotFoundError,
    TransientFetchError,
)

SECRET = "secret/of+the/test+that/no+message/may+show"
WHO = "access key …1234 (environment variables)"


def answer_everything(faults: Any, reply: Any) -> None:
    """Let the server give one reply to every request."""
    faults.script = lambda *_: reply


def answer_objects(faults: Any, reply: Any) -> None:
    """Let listings through and give one reply to every request for an object."""
    faults.script = lambda request, _: None if request.is_listing else reply


def refusal_of(fetch_source: Any, error_class: type[CmpError], *arguments: Any, **fields: Any) -> str:
    """Return the message of the error that a fetch raises; it is of exactly this class and tells no secret."""
    with pytest.raises(error_class) as refused:
        fetch_source(*arguments or ("apps/demo",), **fields)
    assert type(refused.value) is error_class
    message = str(refused.value)
    assert SECRET not in message
    assert "X-Amz-" not in message
    assert "\n" not in message
    return message


def test_a_missing_bucket_is_not_found(fetch_source: Any, faults: Any) -> None:
    """The real service says that there is no such bucket."""
    message = refusal_of(fetch_source, SourceNotFoundError, bucket="no-such-bucket-here")

    assert message == (
        f"the bucket `no-such-bucket-here` does not exist at {faults.url}: check `bucket`, the endpoint and the account"
    )


def test_an_empty_path_is_not_found(fetch_source: Any, faults: Any, bucket: str) -> None:
    """The message names the prefix and the key that were looked for."""
    message = refusal_of(fetch_source, SourceNotFoundError)

    assert message == (
        f"nothing lies under s3://{bucket}/apps/demo at {faults.url}: no key begins with `apps/demo/` and no object "
        "has the key `apps/demo`: check `path`, and that the manifests were uploaded"
    )


@pytest.mark.parametrize(
    ("key", "path", "hint"),
    [
        ("apps/demo-app/a.yaml", "apps/demo", "apps/demo-app/"),
        ("apps/demo.yaml", "apps/demo", "apps/demo.yaml"),
        ("apps/demo", "apps/demo/", "apps/demo"),
    ],
)
def test_a_neighbour_of_a_similar_name_is_told(put: Any, fetch_source: Any, key: str, path: str, hint: str) -> None:
    """A forgotten ending is the commonest reason why nothing is found."""
    put({key: b"x"})

    message = refusal_of(fetch_source, SourceNotFoundError, path)

    assert message.endswith(f"did you mean `path: {hint}`?")


def test_an_empty_bucket_is_not_found(fetch_source: Any) -> None:
    """The whole of nothing is nothing."""
    assert "is empty: upload the manifests" in refusal_of(fetch_source, SourceNotFoundError, "/")


def test_a_folder_of_markers_is_not_found(put: Any, fetch_source: Any) -> None:
    """Empty folders hold no manifest."""
    put({"apps/demo/": b"", "apps/demo/sub/": b""})

    assert "nothing but empty folders" in refusal_of(fetch_source, SourceNotFoundError)


def test_a_denied_listing_names_identity_call_and_policy(fetch_source: Any, faults: Any, bucket: str) -> None:
    """Who was denied what, where, and which permission mends it; AWS's own words are added."""
    said = "User: arn:aws:sts::123456789012:assumed-role/x is not authorized"
    answer_everything(faults, faults.Reply.error(403, "AccessDenied", said))

    message = refusal_of(fetch_source, SourceAccessError)

    assert message == (
        f"s3:ListBucket on s3://{bucket}/apps/demo/ at {faults.url} was denied to {WHO}: allow s3:ListBucket on "
        f"arn:aws:s3:::{bucket} in the policies of the identity and the bucket (it says: {said})"
    )


def test_a_denied_object_names_the_key(put: Any, fetch_source: Any, faults: Any, bucket: str) -> None:
    """Listing may be allowed where reading is not; a KMS key may be the reason."""
    put({"apps/demo/a.yaml": b"x"})
    answer_objects(faults, faults.Reply.error(403, "AccessDenied", "Access Denied"))

    message = refusal_of(fetch_source, SourceAccessError)

    assert f"s3:GetObject on s3://{bucket}/apps/demo/a.yaml at {faults.url} was denied to {WHO}" in message
    assert f"allow s3:GetObject on arn:aws:s3:::{bucket}/apps/demo/a.yaml" in message
    assert "kms:Decrypt" in message


def test_an_anonymous_denial_says_so(fetch_source: Any, faults: Any) -> None:
    """Nobody was denied, and the message calls nobody by that name."""
    answer_everything(faults, faults.Reply.error(403, "AccessDenied"))

    assert "was denied to the anonymous user" in refusal_of(fetch_source, SourceAccessError, anonymous=True)


def test_no_credentials_is_said_before_anything_is_asked(
    fetch_source: Any, faults: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message lists the places where credentials may come from."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    message = refusal_of(fetch_source, SourceAccessError)

    assert "no credentials were found for s3:ListBucket on s3://" in message
    assert "IRSA" in message
    assert not faults.requests


def test_half_of_the_credentials_is_told_from_none(fetch_source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An access key without its secret is named."""
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    message = refusal_of(fetch_source, SourceAccessError)

    assert "no usable credentials" in message
    assert "AWS_SECRET_ACCESS_KEY" in message


@pytest.mark.parametrize(
    ("status", "code", "error_class", "text"),
    [
        (403, "InvalidAccessKeyId", SourceAccessError, f"does not know {WHO}"),
        (403, "SignatureDoesNotMatch", SourceAccessError, f"the secret does not belong to {WHO}"),
        (400, "ExpiredToken", SourceAccessError, f"the credentials of {WHO} are expired"),
        (400, "InvalidToken", SourceAccessError, f"the credentials of {WHO} are expired or invalid"),
        (403, "RequestTimeTooSkewed", SourceAccessError, "set the node's clock"),
        (503, "SlowDown", TransientFetchError, "was throttled (SlowDown) at every try"),
        (429, "TooManyRequests", TransientFetchError, "was throttled"),
        (500, "InternalError", TransientFetchError, "failed on the service's side (InternalError) at every try"),
        (503, "ServiceUnavailable", TransientFetchError, "failed on the service's side"),
        (400, "RequestTimeout", TransientFetchError, "was given up by the service (RequestTimeout)"),
        (418, "Teapot", FetchError, "failed (Teapot)"),
    ],
)
def test_what_s3_answers_has_its_class(
    fetch_source: Any, faults: Any, *, status: int, code: str, error_class: type[CmpError], text: str
) -> None:
    """Each code of S3 is told apart from the others."""
    answer_everything(faults, faults.Reply.error(status, code, "as it says"))

    message = refusal_of(fetch_source, error_class)

    assert text in message
    assert message.startswith("s3:ListBucket on s3://")


@pytest.mark.parametrize(
    ("status", "code", "error_class", "text"),
    [
        (403, "InvalidObjectState", FetchError, "the object is archived: restore it"),
        (400, "KMS.DisabledException", SourceAccessError, "allow kms:Decrypt"),
        (503, "SlowDown", TransientFetchError, "was throttled"),
    ],
)
def test_what_s3_answers_for_an_object_has_its_class(
    put: Any, fetch_source: Any, faults: Any, *, status: int, code: str, error_class: type[CmpError], text: str
) -> None:
    """Failures that only an object has name the object."""
    put({"apps/demo/a.yaml": b"x"})
    answer_objects(faults, faults.Reply.error(status, code))

    message = refusal_of(fetch_source, error_class)

    assert message.startswith("s3:GetObject on s3://")
    assert "/apps/demo/a.yaml" in message
    assert text in message


def test_throttling_that_passes_is_survived(put: Any, fetch_source: Any, faults: Any) -> None:
    """One refusal costs another try, and nothing else."""
    put({"apps/demo/a.yaml": b"x"})
    replies = iter([faults.Reply.error(503, "SlowDown"), None, faults.Reply.error(500, "InternalError")])
    faults.script = lambda *_: next(replies, None)

    assert fetch_source("apps/demo").files == ("a.yaml",)


def test_tries_are_bounded(fetch_source: Any, faults: Any, make_environment: Any) -> None:
    """`maxAttempts` is how often one call is tried in all."""
    answer_everything(faults, faults.Reply.error(500, "InternalError"))

    refusal_of(fetch_source, TransientFetchError, "p", make_environment(max_attempts=3))

    assert len(faults.requests) == 3


def test_a_refused_connection_is_unreachable(fetch_source: Any, make_environment: Any) -> None:
    """A port that nobody listens on is told from every other failure."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        environment = make_environment(endpoint=endpoint, max_attempts=1)

        message = refusal_of(fetch_source, TransientFetchError, "p", environment)

    assert f"at {endpoint} could not connect" in message
    assert "check that the endpoint is right and reachable" in message


def test_an_unknown_host_is_not_resolved(fetch_source: Any, make_environment: Any) -> None:
    """A name that DNS does not know is told from a closed port."""
    environment = make_environment(endpoint="http://s3.invalid:9000", max_attempts=1)

    message = refusal_of(fetch_source, TransientFetchError, "p", environment)

    assert "at http://s3.invalid:9000 could not connect: the endpoint's host name is not known" in message


def test_a_service_that_does_not_answer_is_timed_out(fetch_source: Any, faults: Any, make_environment: Any) -> None:
    """A connection that opens and stays mute ends after the read time-out."""
    answer_everything(faults, faults.Reply(200, b"never sent", sent=0, stalls=True))

    message = refusal_of(fetch_source, TransientFetchError, "p", make_environment(read_timeout=0.2, max_attempts=1))

    assert "got no answer in time" in message
    assert "readTimeout" in message


@pytest.mark.parametrize(
    ("status", "page", "error_class", "text"),
    [
        (200, b"<html><body><p>Please log in</p></body></html>", FetchError, "was not answered as S3 does"),
        (403, b"<html><br>Forbidden", FetchError, "was not answered as S3 does"),
        (502, b"<html><br>Bad gateway", TransientFetchError, "was answered by a web page (502)"),
    ],
)
def test_a_web_page_is_never_taken_for_an_empty_listing(
    fetch_source: Any, faults: Any, *, status: int, page: bytes, error_class: type[CmpError], text: str
) -> None:
    """A proxy's page, well-formed or not, is an error of its own and never `nothing lies there`."""
    answer_everything(faults, faults.Reply(status, page, {"Content-Type": "text/html"}))

    message = refusal_of(fetch_source, error_class)

    assert message.startswith("s3:ListBucket on s3://")
    assert text in message


def test_a_page_that_is_no_xml_is_told_as_a_web_page(fetch_source: Any, faults: Any) -> None:
    """Open tags break the SDK's parser; younger versions of it count that as a failure of the service."""
    answer_everything(faults, faults.Reply(200, b"<html><br>Hello & welcome", {"Content-Type": "text/html"}))

    with pytest.raises(FetchError, match="web page"):
        fetch_source("p")


def test_keys_outside_the_prefix_are_no_listing(fetch_source: Any, faults: Any) -> None:
    """A service that ignores the prefix would bring in what nobody asked for."""
    body = (
        b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>other/a.yaml</Key><ETag>1</ETag>"
        b"<Size>1</Size></Contents></ListBucketResult>"
    )
    answer_everything(faults, faults.Reply(200, body))

    assert "was not answered as S3 does" in refusal_of(fetch_source, FetchError)


@pytest.fixture
def tls_endpoint(tmp_path: Path, faults: Any) -> tuple[str, Path]:
    """Let the server speak TLS with a certificate of its own making; return its address and the certificate."""
    certificate = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    faults._server.socket = context.wrap_socket(faults._server.socket, server_side=True)
    faults._server.handle_error = lambda *_: None
    return faults.url.replace("http://", "https://"), certificate


def make_certificate(folder: Path) -> Path:
    """Write a self-signed certificate for 127.0.0.1 with its key."""
    from cryptography import x509  # noqa: PLC0415  # needed for TLS alone
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415  # as above
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415  # as above

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def test_an_unknown_certificate_is_a_tls_failure(
    fetch_source: Any, make_environment: Any, tls_endpoint: tuple[str, Path]
) -> None:
    """Nobody vouches for the endpoint: no try helps, and the message names AWS_CA_BUNDLE."""
    environment = make_environment(endpoint=tls_endpoint[0])

    message = refusal_of(fetch_source, FetchError, "p", environment)

    assert f"at {tls_endpoint[0]} could not connect: TLS failed" in message
    assert "AWS_CA_BUNDLE" in message


def test_the_ca_bundle_holds_for_both_ways(
    put: Any,
    fetch_source: Any,
    *,
    make_environment: Any,
    tls_endpoint: tuple[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the certificate in AWS_CA_BUNDLE the listing and the fast lane, here without a way out, connect."""
    endpoint, certificate = tls_endpoint
    monkeypatch.delattr(ObjectReader, "_ask_sdk")
    put({"p/a.yaml": b"a"})
    environment = make_environment(endpoint=endpoint, variables={"AWS_CA_BUNDLE": str(certificate)})

    artifact = fetch_source("p", environment)

    assert artifact.files == ("a.yaml",)


def test_the_proxy_serves_both_ways(
    put: Any, fetch_source: Any, *, faults: Any, make_environment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With HTTP_PROXY the listing and the fast lane, here without a way out, go through the proxy."""
    put({"p/a.yaml": b"a"})
    monkeypatch.setenv("HTTP_PROXY", faults.url)
    monkeypatch.delattr(ObjectReader, "_ask_sdk")

    artifact = fetch_source("p", make_environment(endpoint="http://s3.invalid:9000"))

    assert artifact.files == ("a.yaml",)
    assert [seen.headers["host"] for seen in faults.requests] == ["s3.invalid:9000"] * 3


def test_speaking_tls_to_a_plain_port_is_a_tls_failure(fetch_source: Any, faults: Any, make_environment: Any) -> None:
    """`https` where the service speaks `http` is no lack of a CA alone."""
    environment = make_environment(endpoint=faults.url.replace("http://", "https://"))

    assert "check that the endpoint speaks https" in refusal_of(fetch_source, FetchError, "p", environment)


def test_a_closed_proxy_is_told_from_a_closed_endpoint(fetch_source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way through HTTP_PROXY has an error of its own."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTP_PROXY", f"http://user:hidden-password@127.0.0.1:{closed.getsockname()[1]}")

        message = refusal_of(fetch_source, TransientFetchError)

    assert "could not connect through the proxy: check HTTPS_PROXY" in message
    assert "hidden-password" not in message


def test_a_service_that_tells_the_session_token_is_not_repeated() -> None:
    """An answer that echoes what was sent is left out of the message."""
    call = Call("s3:ListBucket", "b", identity=Identity("x", "x", ("the-token",)))
    error = ClientError({"Error": {"Code": "AccessDenied", "Message": "you sent the-token"}}, "ListObjectsV2")

    message = str(explain(error, call))

    assert "the-token" not in message
    assert "it says" not in message


@given(st.text(), st.text(), st.integers(min_value=300, max_value=599))
def test_any_answer_makes_one_printable_line(code: str, text: str, status: int) -> None:
    """Whatever a service answers, the message is one short line that does nothing to a terminal."""
    answer = {"Error": {"Code": code, "Message": text}, "ResponseMetadata": {"HTTPStatusCode": status}}

    error = explain(ClientError(answer, "ListObjectsV2"), Call("s3:ListBucket", "bucket", code + text))

    assert isinstance(error, CmpError)
    assert str(error).isprintable()
    assert len(str(error)) < 1000


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_of_the_table_makes_a_sentence_with_a_remedy(code: str) -> None:
    """Each entry names what was asked and, after the last colon, what to do."""
    call = Call(
        "s3:GetObject", "test-bucket", "a.yaml", "eu-central-1", "http://minio", Identity("n", "access key …1234")
    )
    error = explain(ClientError({"Error": {"Code": code}}, "GetObject"), call)

    assert isinstance(error, FetchError | ConfigError)
    assert "test-bucket" in str(error)
    assert "{" not in str(error)


@pytest.mark.parametrize(
    "name",
    sorted(
        name
        for name, kind in inspect.getmembers(sdk, inspect.isclass)
        if issubclass(kind, sdk.BotoCoreError) and kind.__module__ == sdk.__name__
    ),
)
def test_every_exception_of_the_sdk_makes_a_sentence(name: str) -> None:
    """No exception class of botocore is left without a sentence."""
    kind = getattr(sdk, name)
    error = kind.__new__(kind)

    explained = explain(error, Call("s3:ListBucket", "test-bucket"))

    assert isinstance(explained, FetchError | ConfigError)
    assert "s3:ListBucket on s3://test-bucket/" in str(explained)


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidIdentityToken", "ValidationError"])
def test_a_role_that_cannot_be_assumed_is_an_access_error(code: str) -> None:
    """STS's refusals name the role's trust, not the bucket's policy."""
    error = ClientError({"Error": {"Code": code, "Message": "no"}}, "AssumeRoleWithWebIdentity")

    explained = explain(error, Call("s3:ListBucket", "test-bucket"))

    assert isinstance(explained, SourceAccessError)
    assert str(explained).startswith(f"sts:AssumeRoleWithWebIdentity was refused ({code})")
    assert "trust policy" in str(explained)
