"""A fetch brings what lies under the path, byte for byte, by either way to an object."""

import hashlib
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cmp_backend_s3 import fetching, listing
from cmp_backend_s3.reading import ObjectReader

from cmp_core import Artifact, BuildEnvironment, LimitExceededError, SourceNotFoundError

ODD_NAMES = [
    "a b.yaml",
    "a+b.yaml",
    "a%2Fb.yaml",
    "ä/ß€😀.yaml",
    "~x!*'();:@&=$,?#[].yaml",
    'quo"te<&>.yaml',
    "100%.yaml",
    "a\\b.yaml",
]


def read_all(artifact: Artifact) -> Mapping[str, bytes]:
    """Return every file's bytes by its path."""
    return {path: (artifact.root / path).read_bytes() for path in artifact.files}


@pytest.fixture
def only_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Close the fast lane, so that every object comes by the SDK's own call."""

    @asynccontextmanager
    async def closed(*_: Any) -> Any:
        yield None

    monkeypatch.setattr(fetching, "open_fast_lane", closed)


def test_a_folder_brings_everything_below_it(put: Any, fetch_source: Any) -> None:
    """Nested folders come whole, with paths relative to the folder, in byte order."""
    objects = {"apps/demo/a.yaml": b"a: 1\n", "apps/demo/sub/deep/b.yaml": b"b: 2", "apps/demo/Z.json": b"{}"}
    put(objects)

    artifact = fetch_source("apps/demo")

    assert artifact.files == ("Z.json", "a.yaml", "sub/deep/b.yaml")
    assert read_all(artifact) == {key.removeprefix("apps/demo/"): content for key, content in objects.items()}


@pytest.mark.parametrize("path", ["apps/demo", "apps/demo/"])
def test_a_folder_never_means_its_neighbour(put: Any, fetch_source: Any, path: str) -> None:
    """`apps/demo` brings nothing of `apps/demo-app`, with or without the slash."""
    put({"apps/demo/a.yaml": b"a", "apps/demo-app/b.yaml": b"b", "apps/demo.yaml": b"c"})

    artifact = fetch_source(path)

    assert artifact.files == ("a.yaml",)


def test_one_object_brings_itself(put: Any, fetch_source: Any) -> None:
    """A path that is a key brings the object under its last part, and no key that goes on after it."""
    put({"apps/demo.yaml": b"kind: A\n", "apps/demo.yaml.orig": b"old"})

    artifact = fetch_source("apps/demo.yaml")

    assert read_all(artifact) == {"demo.yaml": b"kind: A\n"}


def test_an_object_at_the_root_of_the_bucket_brings_itself(put: Any, fetch_source: Any) -> None:
    """A key without a folder works as one with a folder does."""
    put({"demo.yaml": b"x"})

    assert fetch_source("demo.yaml").files == ("demo.yaml",)


def test_a_slash_brings_the_whole_bucket(put: Any, fetch_source: Any) -> None:
    """`path: /` reads every object."""
    put({"a.yaml": b"a", "b/c.yaml": b"c"})

    assert fetch_source("/").files == ("a.yaml", "b/c.yaml")


def test_folder_markers_are_left_out(put: Any, fetch_source: Any) -> None:
    """The empty objects that consoles make for folders become no files."""
    put({"p/": b"", "p/sub/": b"", "p/sub/a.yaml": b"a"})

    assert fetch_source("p").files == ("sub/a.yaml",)


def test_an_empty_object_comes_as_an_empty_file(put: Any, fetch_source: Any) -> None:
    """Nothing is a content too."""
    put({"p/empty.yaml": b""})

    assert read_all(fetch_source("p")) == {"empty.yaml": b""}


def test_odd_names_come_by_the_fast_lane_as_they_are(put: Any, fetch_source: Any, faults: Any) -> None:
    """Spaces, signs and letters of all kinds are asked for once each, signed, as the SDK writes them."""
    put({f"p/{name}": name.encode() for name in ODD_NAMES})

    artifact = fetch_source("p")

    assert read_all(artifact) == {name: name.encode() for name in ODD_NAMES}
    assert len(faults.gets) == len(ODD_NAMES)
    assert all("AWS4-HMAC-SHA256 Credential=AKIATEST" in request.headers["authorization"] for request in faults.gets)


def test_plain_objects_never_need_the_sdks_own_call(
    put: Any, fetch_source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fast lane alone brings what is in order; otherwise a large folder would take twice the time."""
    put({f"p/{name}": b"x" for name in ODD_NAMES})
    monkeypatch.delattr(ObjectReader, "_ask_sdk")

    assert len(fetch_source("p").files) == len(ODD_NAMES)


def test_connections_are_bounded_and_used_again(
    put: Any, fetch_source: Any, faults: Any, make_environment: Callable[..., BuildEnvironment]
) -> None:
    """Twenty objects take one connection for the listings and no more than `maxConnections` beside it."""
    put({f"p/{number}.yaml": b"x" for number in range(20)})

    fetch_source("p", make_environment(max_connections=2))

    assert len(faults.requests) == 22
    assert faults.connections <= 3


def test_both_ways_ask_for_the_same_urls(
    put: Any, fetch_source: Any, faults: Any, request: pytest.FixtureRequest
) -> None:
    """The fast lane writes a key on the wire exactly as the SDK does, and brings the same."""
    put({f"p/{name}": name.encode() for name in ODD_NAMES})
    fast = fetch_source("p")
    fast_paths = {seen.path for seen in faults.gets}
    faults.requests.clear()

    request.getfixturevalue("only_sdk")
    slow = fetch_source("p")

    assert {seen.path for seen in faults.gets} == fast_paths
    assert (slow.digest, slow.revision) == (fast.digest, fast.revision)


def test_every_get_names_the_listings_etag(put: Any, fetch_source: Any, faults: Any) -> None:
    """If-Match carries the ETag of the listing, so that S3 itself notices a change."""
    put({"p/a.yaml": b"a"})

    fetch_source("p")

    assert faults.gets[0].headers["if-match"] == f'"{hashlib.md5(b"a", usedforsecurity=False).hexdigest()}"'


def test_the_custom_endpoint_is_asked_in_path_style(put: Any, fetch_source: Any, faults: Any, bucket: str) -> None:
    """The bucket stands in the path, since a custom endpoint rarely has a DNS name for each bucket."""
    put({"p/a.yaml": b"a"})

    fetch_source("p")

    assert faults.listings[0].path == f"/{bucket}"
    assert faults.gets[0].path == f"/{bucket}/p/a.yaml"


def test_a_large_object_comes_whole(put: Any, fetch_source: Any) -> None:
    """An object of more than one read is put together again."""
    content = bytes(range(256)) * 12_000
    put({"p/large.bin": content})

    assert read_all(fetch_source("p")) == {"large.bin": content}


def test_a_listing_of_several_pages_is_put_together(
    put: Any, fetch_source: Any, faults: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pages are read, and the listing is repeated after the objects to prove that it was one moment."""
    monkeypatch.setattr(listing, "PAGE_KEYS", 2)
    put({f"p/{number}.yaml": b"x" for number in range(5)})

    artifact = fetch_source("p")

    assert len(artifact.files) == 5
    assert len(faults.listings) == 6


def test_the_revision_follows_the_content(put: Any, fetch_source: Any) -> None:
    """The same objects give the same revision and digest, another content gives others."""
    put({"p/a.yaml": b"a", "p/b.yaml": b"b"})
    first, second = fetch_source("p"), fetch_source("p")
    put({"p/a.yaml": b"A"})

    third = fetch_source("p")

    lines = "".join(
        sorted(
            f'{name} "{hashlib.md5(text, usedforsecurity=False).hexdigest()}"\n'
            for name, text in (("a.yaml", b"a"), ("b.yaml", b"b"))
        )
    )
    assert first.revision == second.revision == f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"
    assert first.digest == second.digest
    assert third.revision != first.revision
    assert third.digest != first.digest


def test_include_and_exclude_choose_what_is_read(put: Any, fetch_source: Any, faults: Any) -> None:
    """What a pattern leaves out is not even asked for."""
    put({"p/a.yaml": b"a", "p/values.yaml": b"v", "p/README.md": b"r"})

    artifact = fetch_source("p", include=["*.yaml"], exclude=["values.yaml"])

    assert artifact.files == ("a.yaml",)
    assert len(faults.gets) == 1


def test_patterns_that_leave_nothing_are_an_error(put: Any, fetch_source: Any) -> None:
    """A filter that means nothing is never a success."""
    put({"p/README.md": b"r"})

    with pytest.raises(SourceNotFoundError, match="`include` and `exclude` leave none of the objects under s3://"):
        fetch_source("p", include=["*.yaml"])


def test_too_many_objects_are_refused_before_any_is_read(
    put: Any, fetch_source: Any, faults: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listing stops where the limit is passed, and no object is asked for."""
    monkeypatch.setattr(listing, "PAGE_KEYS", 2)
    put({f"p/{number}.yaml": b"x" for number in range(9)})

    with pytest.raises(LimitExceededError, match="more than 3 objects") as refused:
        fetch_source("p", limits={"objects": 3})

    assert "limits.objects" in str(refused.value)
    assert len(faults.listings) == 2
    assert not faults.gets


@pytest.mark.parametrize("limits", [{"objectBytes": 5}, {"totalBytes": 7}, {"objects": 1}])
def test_limits_are_honoured_before_bytes_are_read(
    put: Any, fetch_source: Any, faults: Any, limits: dict[str, int]
) -> None:
    """An object that is too large, or too many of them, are refused from the listing alone."""
    put({"p/a.yaml": b"123456", "p/b.yaml": b"1234"})

    with pytest.raises(LimitExceededError):
        fetch_source("p", limits=limits)

    assert not faults.gets


def test_requester_pays_is_said_in_every_request(put: Any, fetch_source: Any, faults: Any) -> None:
    """The listing and the objects carry the consent to pay."""
    put({"p/a.yaml": b"a"})

    fetch_source("p", requesterPays=True)

    assert [seen.headers.get("x-amz-request-payer") for seen in faults.requests] == ["requester"] * 3


def test_anonymous_access_signs_nothing(
    s3: Any, bucket: str, put: Any, *, fetch_source: Any, faults: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`anonymous` sends no credentials, even where there are some, and needs none."""
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    put({"p/a.yaml": b"a"}, ACL="public-read")
    with_credentials = fetch_source("p", anonymous=True)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    without = fetch_source("p", anonymous=True)

    assert with_credentials.digest == without.digest
    assert len(faults.requests) == 6
    assert not any("authorization" in seen.headers for seen in faults.requests)


def test_the_store_saves_a_second_reading(
    put: Any, fetch_source: Any, faults: Any, make_environment: Callable[..., BuildEnvironment]
) -> None:
    """What was read once is taken from the store while its ETag is the same; the listings are made anyway."""
    put({"p/a.yaml": b"a", "p/b.yaml": b"b"})
    first = fetch_source("p", make_environment(store_bytes=2**20))
    put({"p/b.yaml": b"B"})
    faults.requests.clear()

    second = fetch_source("p", make_environment(store_bytes=2**20))

    assert read_all(second) == {"a.yaml": b"a", "b.yaml": b"B"}
    assert read_all(first)["b.yaml"] == b"b"
    assert len(faults.listings) == 2
    assert [seen.path.rpartition("/")[2] for seen in faults.gets] == ["b.yaml"]


def test_the_store_is_not_shared_between_identities(
    put: Any,
    fetch_source: Any,
    faults: Any,
    make_environment: Callable[..., BuildEnvironment],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another access key reads for itself."""
    put({"p/a.yaml": b"a"})
    fetch_source("p", make_environment(store_bytes=2**20))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAANOTHER")
    faults.requests.clear()

    fetch_source("p", make_environment(store_bytes=2**20))

    assert len(faults.gets) == 1


def test_fsspecs_own_configuration_changes_nothing(
    put: Any, fetch_source: Any, faults: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file or variable of fsspec that redirects s3 is not heard."""
    import fsspec.config  # noqa: PLC0415  # an SDK of the fetch

    lured = {"anon": True, "endpoint_url": "http://127.0.0.1:9", "key": "lure", "secret": "lure", "token": "lure"}
    monkeypatch.setitem(fsspec.config.conf, "s3", lured)
    put({"p/a.yaml": b"a"})

    assert fetch_source("p").files == ("a.yaml",)
    assert "Credential=AKIATEST" in faults.gets[0].headers["authorization"]


def test_importing_the_backend_loads_no_sdk() -> None:
    """The hooks and the model are there before s3fs, aiobotocore, botocore or aiohttp are loaded."""
    code = (
        "import sys, cmp_backend_s3; cmp_backend_s3.source_model().model_json_schema();"
        "sdk = {'s3fs', 'fsspec', 'aiobotocore', 'botocore', 'aiohttp', 'awscrt'};"
        "print(sorted(sdk & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_a_fetch_loads_the_native_library_only_for_its_checksums() -> None:
    """The SDK would load it at once; without it a checksum of the library's is verified all the same."""
    code = """if True:
        import sys, cmp_backend_s3
        from cmp_backend_s3.sdk import load_sdk
        load_sdk()
        import cmp_backend_s3.diagnosis, cmp_backend_s3.fetching
        from cmp_backend_s3.integrity import find_corruption
        print([name for name in sys.modules if "awscrt" in name])
        for content in (b"123456789", b"123456780"):  # the check values of both algorithms are of the first
            print([find_corruption(content, {f"x-amz-checksum-{name}": value}, 9) for name, value in
                {"crc32c": "4waSgw==", "crc64nvme": "rosUhgp5mIg="}.items()])
        print("awscrt" in sys.modules)
    """

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    wrong = ["does not have its CRC32C checksum", "does not have its CRC64NVME checksum"]
    assert done.stdout.splitlines() == ["[]", "['', '']", str(wrong), "True"]


def test_nothing_is_written_outside_the_destination(put: Any, fetch_source: Any, tmp_path: Path) -> None:
    """The destination is the only folder that a fetch without a store touches."""
    put({"p/a.yaml": b"a"})

    artifact = fetch_source("p")

    assert [entry for entry in tmp_path.rglob("*") if entry.is_file()] == [artifact.root / "a.yaml"]
