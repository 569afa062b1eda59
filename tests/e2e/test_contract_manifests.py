"""What Argo CD makes of our output: every shape in which people keep manifests arrives, object by object."""

import json

import pytest
from e2e.cmp_client import Application
from e2e.cmp_server import wait_until
from e2e.contract import Checkout, Plugin, StartPlugin, config_map, failure, manifest, names, objects
from e2e_support import S3Server

from tools.binaries import ARGO_CD_VERSION

pytestmark = pytest.mark.e2e


@pytest.mark.image
def test_the_server_is_the_genuine_one(plugin: Plugin) -> None:
    """The tests run the version that `make tools` builds and the documentation names."""
    versions = [line["version"] for line in plugin.server.log() if "version" in line]

    assert versions[0].startswith(f"v{ARGO_CD_VERSION}+")


@pytest.mark.image
def test_documents_of_many_files_arrive_in_order(plugin: Plugin, checkout: Checkout, s3: S3Server) -> None:
    """YAML of several documents comes out object by object, by path; comments and empty documents are no objects."""
    s3.put(
        {
            "apps/demo/b.yaml": b"# nothing\n---\n" + config_map("b1") + b"---\n# nothing\n---\n" + config_map("b2"),
            "apps/demo/a/z.yml": config_map("a"),
            "apps/demo/c.yaml": config_map("c").rstrip(),
        }
    )

    manifests = plugin.client.generate(checkout.root)

    assert objects(manifests) == [manifest(name) for name in ("a", "b1", "b2", "c")]


@pytest.mark.image
def test_json_arrives(plugin: Plugin, checkout: Checkout, s3: S3Server) -> None:
    """An object in a JSON file, and several one after the other, arrive like those in YAML files."""
    s3.put(
        {
            "apps/demo/a.json": json.dumps(manifest("a"), indent=2).encode(),
            "apps/demo/b.json": config_map("b1") + config_map("b2") + config_map("b3"),
            "apps/demo/c.yaml": config_map("c"),
        }
    )

    manifests = plugin.client.generate(checkout.root)

    assert objects(manifests) == [manifest(name) for name in ("a", "b1", "b2", "b3", "c")]


def test_a_list_arrives_as_one(plugin: Plugin, checkout: Checkout, s3: S3Server) -> None:
    """`kind: List` goes through as it is; the repo-server opens it."""
    whole = {"apiVersion": "v1", "kind": "List", "items": [manifest("a"), manifest("b")]}
    s3.put({"apps/demo/list.json": json.dumps(whole).encode(), "apps/demo/z.yaml": config_map("c")})

    manifests = plugin.client.generate(checkout.root)

    assert json.loads(manifests[0]) == whole
    assert names(manifests) == ["a", "b", "c"]


def test_scalars_mean_what_go_reads(plugin: Plugin, checkout: Checkout, s3: S3Server) -> None:
    """Values that Python's YAML reads otherwise arrive as Argo CD would have read them from Git."""
    data = b"data: {at: 12:30, yes: 0o17, day: 2001-01-01, sum: 1_0}\n"
    s3.put({"apps/demo/a.yaml": b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n" + data})

    (found,) = objects(plugin.client.generate(checkout.root))

    assert found["data"] == {"at": "12:30", "true": 15, "day": "2001-01-01", "sum": 10}


def test_what_go_loses_without_a_word_arrives(plugin: Plugin, checkout: Checkout, s3: S3Server) -> None:
    """A byte order mark, Windows line ends, `...`, `%YAML` and a missing last newline cost no object."""
    s3.put(
        {
            "apps/demo/a.yaml": b"\xef\xbb\xbf" + config_map("a").replace(b"\n", b"\r\n"),
            "apps/demo/b.yaml": b"%YAML 1.1\n---\n" + config_map("b") + b"...\n",
            "apps/demo/c.yaml": config_map("c").rstrip(),
            "apps/demo/d.yaml": b"--- " + config_map("d"),
        }
    )

    manifests = plugin.client.generate(checkout.root)

    assert objects(manifests) == [manifest(name) for name in ("a", "b", "c", "d")]


@pytest.mark.image
def test_a_thousand_objects_arrive(plugin: Plugin, checkout: Checkout, s3: S3Server) -> None:
    """1,000 manifests in 1,000 objects of S3 arrive, each once."""
    s3.put({f"apps/demo/{n:04}.yaml": config_map(f"n{n:04}") for n in range(1000)})

    manifests = plugin.client.generate(checkout.root)

    assert names(manifests) == [f"n{n:04}" for n in range(1000)]


def test_thirty_megabytes_arrive(start_plugin: StartPlugin, checkout: Checkout, s3: S3Server) -> None:
    """One object of 30 MB arrives whole where the operator has raised the limits."""
    lines = "".join(f"    {n:08} {'x' * 90}\n" for n in range(100_000))
    text = "".join(
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: n{n}}}\ndata:\n  a: |\n{lines}---\n" for n in range(3)
    )
    s3.put({"apps/demo/large.yaml": text.encode()})

    with start_plugin(CMP_LIMITS_OBJECT_BYTES="40M", CMP_LIMITS_TOTAL_BYTES="40M") as plugin:
        found = objects(plugin.client.generate(checkout.root))

    assert [(each["metadata"]["name"], len(each["data"]["a"])) for each in found] == [
        (f"n{n}", 100 * 100_000) for n in range(3)
    ]


@pytest.mark.image
@pytest.mark.parametrize("path", ["apps/demo", "deeply/nested/folder of its own/ünïcode", "."])
def test_the_application_lies_anywhere_in_the_repository(
    plugin: Plugin, checkout: Checkout, s3: S3Server, path: str
) -> None:
    """The working directory is the application's folder, wherever in the repository it is."""
    s3.put({"apps/demo/a.yaml": config_map("a")})
    folder = checkout.root / path
    folder.mkdir(parents=True, exist_ok=True)
    (checkout.folder / "s3-source.yaml").rename(folder / "s3-source.yaml")

    manifests = plugin.client.generate(checkout.root, Application(path=path))

    assert names(manifests) == ["a"]


@pytest.mark.image
def test_an_empty_prefix_is_an_error(plugin: Plugin, checkout: Checkout, s3: S3Server) -> None:
    """Nothing under the prefix is never a success, which Argo CD would keep and prune by."""
    s3.put({"apps/demo-app/a.yaml": config_map("a")})

    error = failure(plugin.client, checkout.root)

    assert "failed exit status 66: " in error.text
    assert "nothing lies under s3://test-bucket/apps/demo" in error.text


def test_a_prefix_without_manifests_is_an_error(plugin: Plugin, checkout: Checkout, s3: S3Server) -> None:
    """A README alone is never a success either, and the message names it."""
    s3.put({"apps/demo/README.md": b"# Demo\n"})

    error = failure(plugin.client, checkout.root)

    assert "cmp-core generate` failed exit status 65: " in error.text
    assert "1 file, none of them .yaml, .yml or .json: README.md" in error.text


def test_one_bad_manifest_among_good_ones_is_an_error(plugin: Plugin, checkout: Checkout, s3: S3Server) -> None:
    """Part of the manifests is never given: Argo CD would prune the rest."""
    s3.put({f"apps/demo/{n}.yaml": config_map(f"n{n}") for n in range(5)} | {"apps/demo/9.yaml": b"kind: [\n"})

    error = failure(plugin.client, checkout.root)

    assert "failed exit status 65: " in error.text
    assert "9.yaml:" in error.text


@pytest.mark.image
def test_a_change_in_s3_is_in_the_next_answer(plugin: Plugin, checkout: Checkout, s3: S3Server) -> None:
    """Nothing of an earlier request is given again: neither what was in the store nor what `init` had left."""
    s3.put({"apps/demo/a.yaml": config_map("a", state="old")})
    before = plugin.client.generate(checkout.root)
    s3.put({"apps/demo/a.yaml": config_map("a", state="new"), "apps/demo/b.yaml": config_map("b")})

    after = plugin.client.generate(checkout.root)

    assert (objects(before), objects(after)) == (
        [manifest("a", state="old")],
        [manifest("a", state="new"), manifest("b")],
    )


@pytest.mark.image
def test_the_work_folder_is_gone_afterwards(plugin: Plugin, checkout: Checkout, s3: S3Server) -> None:
    """Neither a success nor a failure leaves anything, and both commands run where the repository was unpacked."""
    s3.put({"apps/demo/a.yaml": config_map("a")})
    before = len(plugin.server.commands())

    plugin.client.generate(checkout.root)
    (checkout.folder / "s3-source.yaml").write_text("bucket: no-such-bucket\npath: apps/demo\n")
    failure(plugin.client, checkout.root)

    assert [line.rpartition("/")[2] for line in plugin.server.commands()[before:]] == [
        "cmp-core init",
        "cmp-core generate",
        "cmp-core init",
    ]
    assert wait_until(plugin.server.has_settled)
