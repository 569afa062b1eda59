"""Whatever the objects are called, however many and large they are: all manifests byte by byte, or one clear error."""

import time
from collections.abc import Iterator, Mapping

import pytest
from e2e.conftest import Folder
from e2e.endings import assert_nothing_left, bound
from e2e.fault_stage import AT_ONCE
from e2e.odd_data import AMOUNTS, GOOD, NAMES, PREFIX, SMALLEST, Amount, Names, manifest, stream
from e2e_support import S3Server, Sidecar
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

from cmp_core import IntegrityError

pytestmark = pytest.mark.e2e

BUCKET = "test-bucket"
TRIGGER = f"bucket: {BUCKET}\npath: {PREFIX.rstrip('/')}\nversion: v1.0.0\n"
LONGEST = 600
"""Seconds that ten thousand objects may take, or a hundred megabytes, however busy the machine is."""

MOTO_ACCOUNT, MOTO_PARTITION = "123456789012", "aws"


@pytest.fixture(scope="module")
def moto_endpoint() -> Iterator[str]:
    """The URL of a moto of its own, in this process: it takes any key, and its keys can be set past all URLs."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.mark.parametrize("row", NAMES, ids=lambda row: row.name)
def test_any_name_comes_out_or_is_named(row: Names, moto_endpoint: str, sidecar: Sidecar) -> None:
    """A name that a disk can hold changes nothing; another is an error that shows it, whatever is in it."""
    objects = _named(GOOD, *row.names)
    _set_objects_of_moto(objects)
    sidecar.variables = {**S3Server(moto_endpoint, None).variables, "CMP_TIMEOUT": str(LONGEST)}
    sidecar.write("s3-source.yaml", TRIGGER)
    begin = time.monotonic()

    result = sidecar.run("generate")

    assert time.monotonic() - begin <= bound(AT_ONCE, LONGEST)
    expected = b"" if row.fault else stream(objects)
    assert (result.returncode, error_of(result.stderr)) == (IntegrityError.exit_code if row.fault else 0, row.text)
    assert result.stdout == expected
    assert_printable(result.stderr)
    assert_nothing_left(sidecar, objects.values())


def test_names_that_are_not_asked_for_do_no_harm(moto_endpoint: str, sidecar: Sidecar) -> None:
    """What every error advises works: with `include`, the odd names are as if they were not there."""
    objects = _named(GOOD, *(name for row in NAMES for name in row.names if row.fault))
    _set_objects_of_moto(objects)
    sidecar.variables = S3Server(moto_endpoint, None).variables
    sidecar.write("s3-source.yaml", f"{TRIGGER}include: [/{GOOD}]\n")

    result = sidecar.run("generate")

    assert (result.returncode, error_of(result.stderr)) == (0, "")
    assert result.stdout == stream({GOOD: objects[GOOD]})


@pytest.mark.parametrize("row", AMOUNTS, ids=lambda row: row.name)
def test_any_amount_comes_out_or_is_refused(row: Amount, folder: Folder, sidecar: Sidecar) -> None:
    """No object is lost at the edge of a page or of a limit, and what is over a limit is refused before it is read."""
    objects = {name: manifest(name, size) for name, size in row.sizes.items()}
    folder.put({f"{PREFIX}{name}": content for name, content in objects.items()})
    sidecar.variables = {**S3Server(folder.endpoint, None).variables, "CMP_TIMEOUT": str(LONGEST)}
    sidecar.patience = LONGEST
    sidecar.write("s3-source.yaml", TRIGGER)
    begin = time.monotonic()

    result = sidecar.run("generate")

    assert time.monotonic() - begin <= bound(row.seconds, LONGEST)
    error = error_of(result.stderr).replace(folder.endpoint, "ENDPOINT")
    assert (result.returncode, error) == (row.error.exit_code if row.error else 0, row.text)
    assert result.stdout == (b"" if row.error else stream(objects))
    assert_nothing_left(sidecar, objects.values())


def _named(*names: str) -> dict[str, bytes]:
    """Return objects of these names, all different; what is not called a manifest is empty."""
    return {name: manifest(name, SMALLEST) if name.endswith(".yaml") else b"" for name in names}


def error_of(stderr: bytes) -> str:
    """Return the one error, or an empty text."""
    return stderr.decode().partition("error: ")[2].partition(" [request")[0]


def assert_printable(stderr: bytes) -> None:
    """Hold what is said to what neither forges a line nor acts on a terminal."""
    lines = stderr.decode().splitlines()
    assert all(line.isprintable() for line in lines)
    assert sum(line.startswith("error: ") for line in lines) <= 1


def _set_objects_of_moto(objects: Mapping[str, bytes]) -> None:
    """Put the objects past HTTP, whose clients change some paths on the way."""
    backend = s3_backends[MOTO_ACCOUNT][MOTO_PARTITION]
    backend.reset()
    backend.create_bucket(BUCKET, "us-east-1")
    for name, content in objects.items():
        backend.put_object(BUCKET, f"{PREFIX}{name}", content)
