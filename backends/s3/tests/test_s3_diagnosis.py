"""The checks of `cmp-core doctor` on S3: each tells what it found, and a failure hides nothing else."""

import asyncio
import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from botocore.exceptions import ClientError
from cmp_backend_s3 import diagnose, route
from cmp_backend_s3.diagnosis import _Examination
from cmp_backend_s3.failures import Call, explain
from cmp_backend_s3.route import measure_skew, open_connection, resolve
from cmp_backend_s3.source import S3Source
from cmp_backend_s3.verdicts import CODES

from cmp_core import BuildEnvironment, Deadline, DeadlineExceededError, Finding, Settings, SourceAccessError

SECRET = "secret/of+the/test+that/no+message/may+show"
WHO = "access key …1234 (environment variables)"

Examine = Callable[..., dict[str, Finding]]


@pytest.fixture
def examine(bucket: str, make_environment: Any) -> Examine:
    """Return a function that makes every check on a path of the bucket and returns the findings by their names."""

    def make(path: str | None = "apps/demo", environment: BuildEnvironment | None = None, **fields: Any) -> Any:
        source = S3Source.model_validate({"bucket": bucket, "path": path, **fields}) if path else None
        findings = list(diagnose(source, environment or make_environment()))
        assert not [finding for finding in findings if SECRET in f"{finding.message}{finding.remedy}"]
        assert len({finding.check for finding in findings}) == len(findings)
        return {finding.check: finding for finding in findings}

    return make


def outcomes(findings: dict[str, Finding]) -> str:
    """Return the outcomes in their order, without those that are well."""
    return " ".join(f"{check}:{each.outcome}" for check, each in findings.items() if each.outcome != "ok")


def test_all_is_well(put: Any, examine: Examine, faults: Any, moto_url: str, make_environment: Any) -> None:
    """The checks come in their order, and tell the endpoint, the identity, the listing and the object."""
    put({"apps/demo/a.yaml": b"abc", "apps/demo/b.txt": b"x", "apps/demo-app/c.yaml": b"x"})
    environment = make_environment(variables={"AWS_ENDPOINT_URL_STS": moto_url})

    findings = examine(environment=environment, include=["*.yaml"])

    assert outcomes(findings) == "dns:skipped tls:skipped"
    assert list(findings) == (
        ["sdk", "endpoint", "dns", "tcp", "tls", "clock", "credentials", "identity", "list", "get"]
    )
    assert findings["endpoint"].message == (
        f"{faults.url} (`endpoint` of the operator's settings), region us-east-1 (the default)"
    )
    assert findings["credentials"].message == WHO
    assert findings["identity"].message == f"STS knows {WHO} as arn:aws:sts::123456789012:user/moto"
    assert "holds 2 objects, listed in" in findings["list"].message
    assert findings["list"].message.endswith("; to be read: 1 object, 3 bytes")
    assert findings["get"].message.startswith("`apps/demo/a.yaml` arrived whole in ")


def test_one_object_is_read_conditionally_and_nothing_is_kept(
    put: Any, examine: Examine, faults: Any, make_environment: Any, tmp_path: Path
) -> None:
    """The read is the one that a fetch makes, of the first object alone."""
    put({"apps/demo/a.yaml": b"abc", "apps/demo/b.yaml": b"abc"})

    examine(environment=make_environment(store_bytes=2**20))

    (read,) = faults.gets
    assert read.path.endswith("/apps/demo/a.yaml")
    assert read.headers["if-match"]
    assert not list(tmp_path.rglob("objects"))


def test_without_a_source_no_bucket_is_asked(examine: Examine, faults: Any) -> None:
    """The sidecar alone: everything up to who it is."""
    findings = examine(None)

    assert outcomes(findings) == "dns:skipped tls:skipped identity:skipped list:skipped get:skipped"
    assert [(request.method, request.path) for request in faults.requests] == [("HEAD", "/")]


@pytest.mark.parametrize(
    ("variables", "fields", "told"),
    [
        (
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_REGION": "eu-west-1"},
            {},
            "http://127.0.0.1:1 (AWS_ENDPOINT_URL), region eu-west-1 (AWS_REGION)",
        ),
        (
            {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1", "AWS_DEFAULT_REGION": "eu-west-2"},
            {"region": "eu-west-3"},
            "http://127.0.0.1:1 (AWS_ENDPOINT_URL_S3), region eu-west-3 (the trigger file)",
        ),
        (
            {"AWS_DEFAULT_REGION": "eu-west-2"},
            {},
            "https://test-bucket.s3.eu-west-2.amazonaws.com (AWS), region eu-west-2 (AWS_DEFAULT_REGION)",
        ),
        (
            {"HTTPS_PROXY": "http://user:hidden-password@proxy.example.com:3128"},
            {},
            "proxy proxy.example.com:3128 (HTTPS_PROXY)",
        ),
        (
            {"https_proxy": "proxy.example.com"},
            {},
            "proxy proxy.example.com:80 (https_proxy)",
        ),
        (
            {"HTTPS_PROXY": "http://[::1]:3128", "NO_PROXY": "minio.example.com"},
            {},
            "proxy [::1]:3128 (HTTPS_PROXY)",
        ),
        (
            {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": ".amazonaws.com"},
            {},
            "https://test-bucket.s3.amazonaws.com (AWS), region us-east-1 (the default), CAs of the SDK",
        ),
        (
            {},
            {"bucket": "arn:aws:s3:eu-west-1:123456789012:accesspoint/demo"},
            "https://demo-123456789012.s3-accesspoint.eu-west-1.amazonaws.com (AWS), region",
        ),
    ],
)
def test_the_endpoint_is_told_with_where_it_is_named(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], fields: dict[str, str], told: str
) -> None:
    """So that whoever reads it knows which variable to change; nothing is asked for it."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    source = S3Source.model_validate({"bucket": "test-bucket", "path": "p", **fields})
    examination = _Examination(source, BuildEnvironment(variables=variables))

    finding = asyncio.run(examination.check_endpoint())

    assert finding.outcome == "ok"
    assert told in finding.message
    assert finding.message.count("proxy") == told.count("proxy")


def test_the_profile_is_told_where_it_decides(
    examine: Examine, make_environment: Any, faults: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Endpoint, region and CA of the AWS profile; a user and password in its URL stay there."""
    certificate = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(certificate))
    port = faults.url.rpartition(":")[2]
    profile = (
        f"[default]\nregion = eu-north-1\nca_bundle = {certificate}\n"
        f"endpoint_url = https://user:hidden-password@127.0.0.1:{port}\n"
    )
    (tmp_path / "config").write_text(profile, encoding="utf-8")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))

    findings = examine(environment=make_environment(endpoint=None))

    assert findings["endpoint"].message == (
        f"https://127.0.0.1:{port} (the AWS profile), region eu-north-1 (the AWS profile), "
        f"CAs of {certificate} (`ca_bundle` of the AWS profile)"
    )
    assert not [finding for finding in findings.values() if "hidden-password" in finding.message]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ENDPOINT_URL_S3", "minio:hidden-password@host"),
        ("AWS_CA_BUNDLE", "/nowhere/ca.pem"),
        ("HTTP_PROXY", "http://user:hidden/password@host:3128"),
        ("HTTP_PROXY", "http://"),
    ],
)
def test_a_wrong_variable_is_named_and_not_repeated(
    examine: Examine, make_environment: Any, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Nothing can be asked then, and every later check says so."""
    monkeypatch.setenv(name, value)

    findings = examine(environment=make_environment(variables={name: value}))

    assert findings["endpoint"].outcome == "failed"
    assert findings["endpoint"].message.startswith(name)
    assert "hidden" not in f"{findings['endpoint']}"
    assert {finding.message for finding in list(findings.values())[2:]} == {"not checked, since `endpoint` failed"}


def test_a_name_is_resolved(put: Any, examine: Examine, make_environment: Any, faults: Any) -> None:
    """And all that builds on it works with it."""
    put({"apps/demo/a.yaml": b"abc"})

    findings = examine(environment=make_environment(endpoint=faults.url.replace("127.0.0.1", "localhost")))

    assert findings["dns"].outcome == "ok"
    assert findings["dns"].message.startswith("localhost is ")
    assert findings["get"].outcome == "ok"


def test_an_unknown_name_ends_the_way(examine: Examine, make_environment: Any) -> None:
    """The text is that of a fetch; the credentials are looked at all the same."""
    findings = examine(environment=make_environment(endpoint="http://s3.invalid:9000"))

    assert outcomes(findings) == (
        "dns:failed tcp:skipped tls:skipped clock:skipped identity:skipped list:skipped get:skipped"
    )
    assert "the endpoint's host name is not known" in findings["dns"].message
    assert findings["list"].message == "not checked, since `dns` failed"


def test_a_resolver_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver cannot be made mute without being root, so it is stood in for; nothing interrupts the real one."""
    released = threading.Event()

    def wait(*_arguments: object, **_options: object) -> list[Any]:
        released.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    started = time.monotonic()

    with pytest.raises(TimeoutError):
        resolve("s3.example.com", 443, 0.1)

    released.set()
    assert time.monotonic() - started < 2


def test_a_closed_port_ends_the_way(examine: Examine, make_environment: Any) -> None:
    """With the sentence that a fetch has for it."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        environment = make_environment(endpoint=f"http://127.0.0.1:{closed.getsockname()[1]}")

        findings = examine(environment=environment)

    assert outcomes(findings) == (
        "dns:skipped tcp:failed tls:skipped clock:skipped identity:skipped list:skipped get:skipped"
    )
    assert "could not connect (ConnectionRefusedError)" in findings["tcp"].message
    assert findings["tcp"].remedy == "check that the endpoint is right and reachable from the sidecar"


def test_a_second_address_serves_where_the_first_does_not() -> None:
    """A name has many addresses, and a sidecar often no way to those of one kind."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        assert open_connection(["127.0.0.2", "127.0.0.1"], port, 1) == "127.0.0.1"
        with pytest.raises(ConnectionRefusedError):
            open_connection(["127.0.0.2", "127.0.0.3"], port, 1)


@pytest.fixture
def authority() -> trustme.CA:
    """A CA of the test's own."""
    return trustme.CA()


@pytest.fixture
def serve_tls(faults: Any, authority: trustme.CA, tmp_path: Path) -> Callable[..., tuple[str, dict[str, str]]]:
    """Return a function that lets the server speak TLS, and returns its address and the variable for its CA."""

    def serve(name: str = "127.0.0.1", **options: Any) -> tuple[str, dict[str, str]]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name, **options).configure_cert(context)
        faults._server.socket = context.wrap_socket(faults._server.socket, server_side=True)
        faults._server.handle_error = lambda *_: None
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        return faults.url.replace("http://", "https://"), {"AWS_CA_BUNDLE": str(tmp_path / "ca.pem")}

    return serve


def test_a_certificate_is_told_with_its_issuer_and_end(
    put: Any, examine: Examine, serve_tls: Any, make_environment: Any
) -> None:
    """And with the version of TLS that was agreed on."""
    put({"apps/demo/a.yaml": b"abc"})
    endpoint, variables = serve_tls(not_after=datetime(2100, 1, 2, tzinfo=UTC))

    findings = examine(environment=make_environment(endpoint=endpoint, variables=variables))

    assert findings["tls"].message.startswith("TLSv1.3, the certificate of 127.0.0.1 is by `")
    assert findings["tls"].message.endswith("` and ends 2100-01-02")
    assert outcomes(findings) == "dns:skipped identity:skipped"


@pytest.mark.parametrize(
    ("lived", "left", "outcome"),
    [(1, 1, "ok"), (80, 9, "ok"), (82, 8, "warning"), (3650, 29, "warning"), (3650, 31, "ok")],
)
def test_a_certificate_that_ends_soon_is_something_to_look_at(
    examine: Examine, serve_tls: Any, make_environment: Any, *, lived: int, left: int, outcome: str
) -> None:
    """Soon is the last tenth of its life, which those that are renewed by machines never reach, and 30 days at most."""
    now = datetime.now(UTC) + timedelta(minutes=1)
    endpoint, variables = serve_tls(not_before=now - timedelta(days=lived), not_after=now + timedelta(days=left))

    findings = examine(environment=make_environment(endpoint=endpoint, variables=variables))

    assert findings["tls"].outcome == outcome


@pytest.mark.parametrize(
    ("options", "is_trusted", "reason"),
    [
        ({}, False, "unable to get local issuer certificate"),
        ({"name": "minio.example.com"}, True, "IP address mismatch"),
        ({"not_after": datetime(2020, 1, 1, tzinfo=UTC)}, True, "certificate has expired"),
    ],
)
def test_a_certificate_that_does_not_convince_ends_the_way(
    examine: Examine, serve_tls: Any, make_environment: Any, *, options: Any, is_trusted: bool, reason: str
) -> None:
    """Of an unknown CA, with another name, expired: the handshake is held to what the SDK demands."""
    endpoint, variables = serve_tls(**options)

    findings = examine(environment=make_environment(endpoint=endpoint, variables=variables if is_trusted else {}))

    assert outcomes(findings).startswith("dns:skipped tls:failed clock:skipped ")
    assert f"TLS failed ({reason}" in findings["tls"].message
    assert findings["list"].message == "not checked, since `tls` failed"


@contextlib.contextmanager
def tunnelling_proxy(status: int = 200) -> Iterator[str]:
    """Run a proxy that connects a client with whatever it names, or refuses to."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Be quiet."""

        def do_CONNECT(self) -> None:
            self.send_response(status)
            self.end_headers()
            if status == 200:
                host, _, port = self.path.rpartition(":")
                with socket.create_connection((host, int(port)), timeout=10) as upstream:
                    back = threading.Thread(target=copy, args=(upstream, self.connection))
                    back.start()
                    copy(self.connection, upstream)
                    back.join()

    def copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := source.recv(65536):
                target.sendall(content)
            target.shutdown(socket.SHUT_WR)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://user:hidden-password@127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_through_a_proxy_the_proxy_is_connected_to_and_the_endpoint_verified(
    put: Any, examine: Examine, serve_tls: Any, *, make_environment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The endpoint itself may well be out of reach."""
    put({"apps/demo/a.yaml": b"abc"})
    endpoint, variables = serve_tls()
    with tunnelling_proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        findings = examine(environment=make_environment(endpoint=endpoint, variables=variables))

    assert outcomes(findings) == "dns:skipped identity:skipped"
    hop = proxy.partition("@")[2]
    assert findings["tcp"].message == f"the proxy {hop} takes connections"
    assert findings["tls"].message == "the certificate of 127.0.0.1 is accepted, through the proxy"


def test_through_a_proxy_an_unknown_certificate_is_refused_too(
    examine: Examine, serve_tls: Any, make_environment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that opens the connections itself shows a certificate of its own."""
    endpoint, _ = serve_tls()
    with tunnelling_proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        findings = examine(environment=make_environment(endpoint=endpoint))

    assert findings["tls"].outcome == "failed"
    assert "TLS failed" in findings["tls"].message


def test_a_proxy_that_refuses_is_told_from_the_endpoint(
    examine: Examine, make_environment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It demands a password, or does not serve this host."""
    with tunnelling_proxy(status=407) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        findings = examine(environment=make_environment(endpoint="https://s3.invalid"))

    assert findings["tcp"].outcome == "ok"
    assert findings["tls"].outcome == "failed"
    assert "could not connect through the proxy" in findings["tls"].message


@pytest.mark.parametrize("proxy", ["http://proxy.invalid:3128", "http://127.0.0.1:1"])
def test_a_proxy_that_is_not_there_is_told_from_the_endpoint(
    examine: Examine, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    """Its name is unknown, or its port closed."""
    monkeypatch.setenv("HTTP_PROXY", proxy)

    findings = examine()

    (failed,) = [finding for finding in findings.values() if finding.outcome == "failed"]
    assert "could not connect through the proxy" in failed.message
    assert failed.remedy == "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"


@contextlib.contextmanager
def clockwork(ahead: float | None, date: str = "") -> Iterator[str]:
    """Run a server whose clock is some seconds ahead; with None it tells what is given, if anything."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Be quiet."""

        def do_HEAD(self) -> None:
            self.send_response_only(403)
            told = date if ahead is None else formatdate(time.time() + ahead, usegmt=True)
            if told:
                self.send_header("Date", told)
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("ahead", "fields", "outcome", "told"),
    [
        (0, {}, "ok", "the sidecar's clock and the service's agree"),
        (57, {}, "ok", "the sidecar's clock and the service's agree"),
        (63, {}, "warning", "s behind the service's"),
        (-63, {}, "warning", "s ahead of the service's"),
        (897, {}, "warning", "s behind the service's"),
        (903, {}, "failed", "s behind the service's, and S3 allows 15 minutes"),
        (-903, {}, "failed", "s ahead of the service's, and S3 allows 15 minutes"),
        (10**6, {"anonymous": True}, "warning", "s behind the service's"),
    ],
)
def test_the_clocks_are_compared(
    examine: Examine, make_environment: Any, *, ahead: float, fields: Any, outcome: str, told: str
) -> None:
    """S3 refuses what was signed more than 15 minutes before or after; what is not signed cannot be too old."""
    with clockwork(ahead) as url:
        findings = examine(environment=make_environment(endpoint=url, max_attempts=1), **fields)

    assert findings["clock"].outcome == outcome
    assert findings["clock"].message.endswith(told)
    assert findings["clock"].error is (SourceAccessError if outcome == "failed" else None)


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Foo 2020 00:00:00 GMT"])
def test_a_service_without_a_clock_is_none_to_compare_with(examine: Examine, make_environment: Any, date: str) -> None:
    """No date, or none that can be read, is no failure."""
    with clockwork(None, date) as url:
        findings = examine(environment=make_environment(endpoint=url, max_attempts=1))

    assert findings["clock"].outcome == "skipped"
    assert findings["clock"].message == f"{url} does not tell its time"


def test_a_redirect_is_not_followed(faults: Any) -> None:
    """The root of a service may lead to its maker's home page, whose clock is none of ours."""
    faults.script = lambda *_: faults.Reply(302, b"", {"Location": "http://127.0.0.1:1/"})
    way = route.find_route(faults.url, verify=True, settings=Settings(), variables=())

    skew = asyncio.run(measure_skew(way))

    assert skew is not None
    assert abs(skew) < 5
    assert len(faults.requests) == 1


def test_credentials_that_end_are_told_with_their_end(
    examine: Examine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the process says that gives them; a role's are told in the same way."""
    given = {
        "Version": 1,
        "AccessKeyId": "ASIAEXAMPLEEXAMP5678",
        "SecretAccessKey": SECRET,
        "SessionToken": "made-up-token",
        "Expiration": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
    }
    (tmp_path / "given").write_text(json.dumps(given), encoding="utf-8")
    (tmp_path / "config").write_text(f"[default]\ncredential_process = cat {tmp_path / 'given'}\n", encoding="utf-8")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    message = examine()["credentials"].message

    ends = given["Expiration"]
    assert message == f"access key …5678 (credential_process), until {str(ends)[:19]}Z and then renewed"


def test_no_credentials_leave_the_way_checked(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is in order, and nobody is there to ask; the text is that of a fetch."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    findings = examine()

    assert outcomes(findings) == (
        "dns:skipped tls:skipped credentials:failed identity:skipped list:skipped get:skipped"
    )
    assert findings["credentials"].message.startswith("no credentials were found for s3:ListBucket on s3://")


def test_without_a_source_no_bucket_is_named(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dots stand in the sentence where the bucket would."""
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    assert "for s3:ListBucket on s3://…/ (" in examine(None)["credentials"].message


def test_an_anonymous_source_needs_nobody(
    put: Any, examine: Examine, faults: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No credentials are looked for, nothing is signed, STS is not asked."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    put({"apps/demo/a.yaml": b"abc"}, ACL="public-read")

    findings = examine(anonymous=True)

    assert outcomes(findings) == "dns:skipped tls:skipped identity:skipped"
    assert not [request for request in faults.requests if "authorization" in request.headers]


def test_sts_is_asked_only_where_it_belongs_to_the_endpoint(examine: Examine, faults: Any) -> None:
    """The keys of another server mean nothing to AWS, and shall not be shown to it."""
    findings = examine()

    assert findings["identity"].message == (
        f"STS is not asked, since {faults.url} is not AWS: AWS_ENDPOINT_URL_STS may name its own"
    )


@pytest.mark.parametrize("code", ["InvalidAction", "AccessDenied", "InvalidClientTokenId"])
def test_another_servers_sts_that_does_not_know_is_no_failure(
    put: Any, examine: Examine, faults: Any, make_environment: Any, code: str
) -> None:
    """Many servers of S3 have none; one request is enough to see it."""
    put({"apps/demo/a.yaml": b"abc"})
    asked = []

    def script(request: Any, _forward: Any) -> Any:
        if request.method != "POST":
            return None
        asked.append(request)
        body = f"<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>".encode()
        return faults.Reply(403, body, {"Content-Type": "text/xml"})

    faults.script = script

    findings = examine(environment=make_environment(variables={"AWS_ENDPOINT_URL": faults.url}))

    assert findings["identity"].outcome == "skipped"
    assert findings["identity"].message == f"STS did not say who {WHO} is ({code})"
    assert findings["get"].outcome == "ok"
    assert len(asked) == 1


def test_an_answer_that_is_none_of_sts_is_no_failure(examine: Examine, faults: Any, make_environment: Any) -> None:
    """A page in its place, for instance."""
    faults.script = lambda request, _: faults.Reply(200, b"<html/>") if request.method == "POST" else None

    findings = examine(environment=make_environment(variables={"AWS_ENDPOINT_URL": faults.url}))

    assert findings["identity"].outcome == "skipped"


@pytest.mark.parametrize(
    ("code", "outcome"),
    [("InvalidClientTokenId", "failed"), ("ExpiredToken", "failed"), ("ServiceUnavailable", "skipped")],
)
def test_credentials_that_aws_itself_refuses_are_a_failure(faults: Any, code: str, outcome: str) -> None:
    """Without another endpoint STS and S3 know the same keys; a service that is down says nothing about them."""
    body = f"<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>".encode()
    faults.script = lambda *_: faults.Reply(503 if outcome == "skipped" else 403, body, {"Content-Type": "text/xml"})
    environment = BuildEnvironment(variables={"AWS_ENDPOINT_URL_STS": faults.url})

    async def ask() -> Finding:
        examination = _Examination(None, environment)
        async with examination.resources:
            await examination.check_credentials()
            return await examination._make("identity", _Examination.check_identity)

    finding = asyncio.run(ask())

    assert finding.outcome == outcome
    if outcome == "failed":
        assert finding.message.startswith(f"sts:GetCallerIdentity was refused ({code}): ")
        assert finding.error is SourceAccessError


def test_a_denied_listing_is_a_fetchs_failure(examine: Examine, faults: Any, bucket: str) -> None:
    """The same text, parted into what is wrong and what to do; the object is not asked for."""
    denied = faults.Reply.error(403, "AccessDenied", "as it says: no")
    faults.script = lambda request, _: denied if request.is_listing else None

    findings = examine()

    assert outcomes(findings).endswith("list:failed get:skipped")
    assert findings["list"] == Finding(
        "list",
        "failed",
        f"s3:ListBucket on s3://{bucket}/apps/demo/ at {faults.url} was denied to {WHO}",
        f"allow s3:ListBucket on arn:aws:s3:::{bucket} in the policies of the identity and the bucket "
        "(it says: as it says: no)",
        SourceAccessError,
    )


def test_a_denied_object_is_told_apart(put: Any, examine: Examine, faults: Any) -> None:
    """Listing may be allowed where reading is not."""
    put({"apps/demo/a.yaml": b"abc"})
    denied = faults.Reply.error(403, "AccessDenied")
    faults.script = lambda request, _: denied if request.method == "GET" and not request.is_listing else None

    findings = examine()

    assert findings["list"].outcome == "ok"
    assert findings["get"].message.startswith("s3:GetObject on s3://")


@pytest.mark.parametrize(
    ("objects", "fields", "told"),
    [
        ({}, {}, "nothing lies under s3://"),
        ({"apps/demo/a.txt": b"x"}, {"include": ["*.yaml"]}, "`include` and `exclude` leave none"),
        ({"apps/demo/a.yaml": b"x", "apps/demo/b.yaml": b"x"}, {"limits": {"objects": 1}}, "more than 1 objects"),
    ],
)
def test_a_listing_is_held_to_what_a_fetch_wants(
    put: Any, examine: Examine, objects: dict[str, bytes], fields: Any, told: str
) -> None:
    """Nothing there, nothing chosen, or too much of it."""
    put(objects)

    findings = examine(**fields)

    assert told in findings["list"].message
    assert findings["list"].remedy
    assert outcomes(findings).endswith("list:failed get:skipped")


def test_an_object_that_changes_meanwhile_is_something_to_look_at(put: Any, examine: Examine, faults: Any) -> None:
    """A fetch would list again; somebody writes where manifests are read."""
    put({"apps/demo/a.yaml": b"abc"})

    def script(request: Any, _forward: Any) -> Any:
        if request.method == "GET" and not request.is_listing:
            put({"apps/demo/a.yaml": b"another"})

    faults.script = script

    finding = examine()["get"]

    assert finding.outcome == "warning"
    assert finding.message == "`apps/demo/a.yaml` changed while it was read: somebody writes there now"


def test_content_that_was_changed_on_the_way_is_a_failure(put: Any, examine: Examine, faults: Any) -> None:
    """The object is verified as a fetch verifies it."""
    put({"apps/demo/a.yaml": b"abc"})

    def script(request: Any, forward: Any) -> Any:
        if request.method != "GET" or request.is_listing:
            return None
        reply = forward()
        reply.body = b"xyz"
        return reply

    faults.script = script

    assert "brought content that" in examine()["get"].message


def test_the_deadline_ends_everything(examine: Examine, faults: Any, make_environment: Any) -> None:
    """The error names the check that was being made; the findings before it were given already."""
    environment = make_environment(read_timeout=30, timeout=4)
    faults.script = lambda request, _: faults.Reply(200, b"x", sent=0, stalls=True) if request.is_listing else None
    source = S3Source.model_validate({"bucket": "test-bucket", "path": "p"})
    given: list[str] = []
    started = time.monotonic()

    with pytest.raises(DeadlineExceededError, match="while checking `list` for s3://test-bucket/p"):
        given.extend(finding.check for finding in diagnose(source, environment))

    assert time.monotonic() - started < 8
    assert given[-1] == "identity"


def test_a_deadline_that_has_passed_asks_nothing(faults: Any) -> None:
    """No check begins after the end."""
    environment = BuildEnvironment(settings=Settings(endpoint=faults.url), deadline=Deadline(0))

    with pytest.raises(DeadlineExceededError):
        list(diagnose(None, environment))

    assert not faults.requests


def test_whoever_stops_listening_leaves_nothing_open(examine: Examine, make_environment: Any, bucket: str) -> None:
    """The connection is closed with the generator; a warning about one that is not would be an error here."""
    findings = iter(diagnose(S3Source(bucket=bucket, path="p"), make_environment()))
    seen: list[str] = []
    while seen[-1:] != ["credentials"]:
        seen.append(next(findings).check)

    findings.close()  # type: ignore[attr-defined]  # it is a generator

    assert list(findings) == []


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_of_the_table_parts_into_message_and_remedy(code: str) -> None:
    """What the table says to do is the remedy, whatever the service adds in its own words."""
    call = Call("s3:GetObject", "test-bucket", "a: b(.yaml", "eu-central-1", "http://minio:9000")
    error = explain(ClientError({"Error": {"Code": code, "Message": "no: (never) a: b"}}, "GetObject"), call)
    template = CODES[code].sentence.removesuffix("{said}").removesuffix("{decrypt}")
    asked = template.rpartition(": ")[2].partition("{")[0]

    finding = Finding.of_error("get", error)

    assert f"{finding.message}: {finding.remedy}" == str(error)
    assert len(asked) >= 5
    assert finding.remedy.startswith(asked)
