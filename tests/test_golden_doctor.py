"""What `cmp-core doctor` tells, as folders: what lies in Git, in S3 and in the environment, and the whole report.

``golden_doctor/<case>/`` holds ``README.md`` (the rule), ``app/`` (the application's folder), ``objects/`` (the
bucket), ``environment`` (further variables, a line each, with names in braces for what the test fills in),
``service`` (what stands before the S3 server), ``arguments`` (of the command; else the folder alone) and
``expected.txt`` (the exit code and what comes out). After a change that is meant, ``UPDATE_GOLDEN=1`` writes what came
out; read the difference before you commit it.
"""

import os
import platform
import re
import shutil
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from e2e_support import S3Server, Sidecar

from cmp_core.installed import describe, installed_backends
from tools.fault_server import Answer, Fault, FaultServer, error, is_any, is_get, is_listing
from tools.processes import free_port

GOLDEN = Path(__file__).parent / "golden_doctor"
CASES = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())

ECHOED = "you sent hidden-session-token and hidden-secret-access-key to http://user:hidden-user-info@example.com"
ENDS = datetime(2100, 1, 2, tzinfo=UTC)


def at_another_time(seconds: float) -> Fault:
    """Return a fault that dates every answer by another clock."""

    def change(answer: Answer) -> Answer:
        kept = tuple(header for header in answer.headers if header[0].lower() != "date")
        return replace(answer, headers=(*kept, ("Date", formatdate(time.time() + seconds, usegmt=True))))

    return Fault(change)


SERVICES = {
    "list-denied": (is_listing, Fault(error(403, "AccessDenied", "Access Denied"))),
    "get-denied": (is_get, Fault(error(403, "AccessDenied", "Access Denied"))),
    "clock-off": (is_any, at_another_time(120)),
    "clock-far-off": (is_any, at_another_time(-1200)),
    "echo": (is_listing, Fault(error(403, "AccessDenied", ECHOED))),
}


@contextmanager
def service_of(case: Path, s3: S3Server, authority: trustme.CA) -> Iterator[str]:
    """Yield the URL of what the sidecar shall take for S3."""
    named = case / "service"
    service = named.read_text(encoding="utf-8").strip() if named.exists() else ""
    if not service:
        yield s3.endpoint
        return
    context = None
    if service.startswith("tls"):
        ends = datetime.now(UTC) + timedelta(days=2) if service == "tls-ends-soon" else ENDS
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", not_after=ends).configure_cert(context)
    with FaultServer(s3.endpoint, tls=context) as server:
        if service in SERVICES:
            server.on(*SERVICES[service])
        yield server.url


def read_environment(case: Path, values: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a case, with what stands in braces filled in."""
    file = case / "environment"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    filled = (re.sub(r"\{(\w+)\}", lambda name: values[name[1]], line) for line in lines)
    return dict(line.split("=", 1) for line in filled)


def read_objects(case: Path) -> dict[str, bytes]:
    """Return the objects of a case by key."""
    root = case / "objects"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def normalised(text: str, places: Mapping[str, str]) -> str:
    """Return a report without what differs from run to run and from machine to machine."""
    text = text.replace(describe(installed_backends()), "{installed}")
    for place, name in places.items():
        text = text.replace(place, f"{{{name}}}")
    text = re.sub(r"runs on \{Python\} \([^)]*\)", "runs on {Python} ({path})", text)
    text = re.sub(r"room for [\d.]+ \w+", "room for {room}", text)
    text = re.sub(r"in \d+ ms", "in {time}", text)
    text = re.sub(r"is \d+ s (behind|ahead)", r"is {seconds} s \1", text)
    text = re.sub(r"ends (?!2100)\d{4}-\d\d-\d\d", "ends {date}", text)
    text = re.sub(r"by `trustme [^`]*`", "by `{issuer}`", text)
    return re.sub(r"\b(cmp-\S+|s3fs|aiobotocore|botocore|aiohttp|awscrt) \d[\w.]*", r"\1 {version}", text)


@pytest.mark.parametrize("name", CASES)
def test_a_diagnosis_comes_out_as_written(name: str, sidecar: Sidecar, s3: S3Server, tmp_path: Path) -> None:
    """The whole report and the exit code are the expected ones, nothing goes to stderr, and no secret is told."""
    case = GOLDEN / name
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    shutil.copytree(case / "app", sidecar.directory, dirs_exist_ok=True) if (case / "app").exists() else None
    s3.put(read_objects(case))
    closed = f"127.0.0.1:{free_port()}"
    named = case / "arguments"
    arguments = named.read_text(encoding="utf-8").split() if named.exists() else ["."]

    with service_of(case, s3, authority) as endpoint:
        values = {
            "ca": str(tmp_path / "ca.pem"),
            "case": str(case),
            "closed": f"http://{closed}",
            "https": endpoint.replace("http://", "https://"),
            "proxy": f"http://user:hidden-proxy-password@{closed}",
        }
        sidecar.variables = s3.variables | {"AWS_ENDPOINT_URL": endpoint} | read_environment(case, values)
        result = sidecar.run("doctor", *arguments)

    places = {
        endpoint: "endpoint",
        urlsplit(endpoint).netloc: "address",
        closed: "closed",
        str(tmp_path / "ca.pem"): "ca",
        str(sidecar.directory): "app",
        str(sidecar.state): "state",
        str(case): "case",
        f"cmp-core-{os.geteuid()}": "private",
        f"Python {platform.python_version()}": "Python",
    }
    told = f"exit {result.returncode}\n{normalised(result.stdout.decode(), places)}"
    expected = case / "expected.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(told, encoding="utf-8")
    assert told == expected.read_text(encoding="utf-8")
    assert result.stderr == b""
    assert "hidden" not in told
