"""A repository written by somebody who wants the sidecar's credentials: it changes nothing, and starts nothing."""

import gzip
import os
import tarfile
from pathlib import Path

import pytest
from e2e.cmp_client import Application, pack
from e2e.cmp_server import wait_until
from e2e.contract import Checkout, Plugin, config_map, failure, names, without_places
from e2e_support import S3Server, Sidecar

pytestmark = pytest.mark.e2e

INIT = "error generating manifests: `cmp-core init` failed exit status"
MODULES = (
    "aiobotocore",
    "boto3",
    "botocore",
    "cmp_backend_s3",
    "cmp_core",
    "encodings",
    "fsspec",
    "intruder",
    "json",
    "pluggy",
    "pydantic",
    "s3fs",
    "sitecustomize",
    "usercustomize",
    "yaml",
)
MEBIBYTE = 2**20
GIBIBYTE = 2**30


def hostile_files(mark: Path) -> dict[str, str]:
    """Return files of which each leaves the mark, or sends us elsewhere, if anything reads or runs it."""
    attack = f"open({str(mark)!r}, 'a').write(__file__ + '\\n')\n"
    process = f"sh -c 'echo credential_process >>{mark}'"
    modules = {f"{name}.py": attack for name in MODULES if name != "s3fs"} | {"s3fs/__init__.py": attack}
    wrong = "endpoint_url = http://127.0.0.1:9"
    profile = f"credential_process = {process}\nregion = nowhere\n{wrong}\n"
    return modules | {
        "intruder-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: intruder\nVersion: 1.0\n",
        "intruder-1.0.dist-info/entry_points.txt": "[cmp_core]\nintruder = intruder\ns3 = intruder\n",
        "x.pth": f"import os; os.system('echo pth >>{mark}')\n",
        "pyvenv.cfg": "home = /nowhere\n",
        ".env": "AWS_ENDPOINT_URL=http://127.0.0.1:9\nAWS_ACCESS_KEY_ID=x\nCMP_LIMITS_OBJECTS=1\n",
        ".aws/config": f"[default]\n{profile}",
        ".aws/credentials": f"[default]\naws_access_key_id = x\naws_secret_access_key = x\n{profile}",
        ".config/fsspec/conf.json": '{"s3": {"endpoint_url": "http://127.0.0.1:9", "anon": true}}',
        ".config/fsspec/conf.ini": "[s3]\nendpoint_url = http://127.0.0.1:9\n",
        ".boto": "[Credentials]\naws_access_key_id = x\n",
        ".netrc": "machine 127.0.0.1 login x password x\n",
        "etc/cmp-core/settings.yaml": "limits: {objects: 1}\n",
        "settings.yaml": "limits: {objects: 1}\n",
        "pyproject.toml": "[project]\nname = 'x'\n[project.entry-points.cmp_core]\ns3 = 'intruder'\n[tool.cmp-core]\n",
        "setup.cfg": "[options.entry_points]\ncmp_core =\n  s3 = intruder\n",
        ".cmp-core-0123456789abcdef/record.json": "{}",
        "objects/intruder": "x",
        "bin/cmp-core": f"#!/bin/sh\necho bin >>{mark}\n",
        "cmp-core": f"#!/bin/sh\necho cmp-core >>{mark}\n",
        "plugin.yaml": "spec: {generate: {command: [./cmp-core]}}\n",
    }


def test_what_lies_in_the_repository_changes_nothing_and_starts_nothing(
    plugin: Plugin, checkout: Checkout, s3: S3Server, tmp_path: Path
) -> None:
    """Modules, plugins, profiles and settings of the repository are files like any other, in every command."""
    s3.put({f"apps/demo/{name}.yaml": config_map(name) for name in ("a", "b")})
    honest = plugin.client.generate(checkout.root), plugin.client.announce(checkout.root)
    mark = tmp_path / "started"
    checkout.write(hostile_files(mark))
    for name, content in hostile_files(mark).items():
        (checkout.root / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout.root / name).write_text(content)

    hostile = plugin.client.generate(checkout.root), plugin.client.announce(checkout.root)

    assert hostile == honest
    assert not mark.exists()
    assert wait_until(plugin.server.has_settled)


def test_variables_of_the_author_are_not_those_of_the_sidecar(plugin: Plugin, checkout: Checkout, s3: S3Server) -> None:
    """Whatever an author calls a variable, no interpreter and no library takes it for its own."""
    s3.put({"apps/demo/a.yaml": config_map("a")})
    checkout.write({"sitecustomize.py": "raise SystemExit(3)\n"})
    nowhere = "http://127.0.0.1:9"
    author = {"PYTHONPATH": ".", "AWS_ENDPOINT_URL": nowhere, "HTTP_PROXY": nowhere, "HOME": ".", "PATH": "."}

    manifests = plugin.client.generate(checkout.root, Application(plugin_env=author))

    assert names(manifests) == ["a"]


@pytest.mark.parametrize(
    "application",
    [
        Application(plugin_env={"CMP_ENDPOINT_URL": "http://127.0.0.1:9"}),
        Application(parameters=[{"name": "AWS_ENDPOINT_URL", "string": "http://127.0.0.1:9"}]),
        Application(parameters=[{"name": "limits.objects", "string": "1000000"}]),
    ],
    ids=["variable", "parameter", "nested"],
)
def test_an_author_cannot_set_what_is_the_operators(
    plugin: Plugin, checkout: Checkout, application: Application
) -> None:
    """What is no key of the source is refused, before anything is fetched."""
    error = failure(plugin.client, checkout.root, application=application)

    assert "cmp-core init` failed exit status 78: error: " in error.text
    assert "unknown key" in error.text


@pytest.mark.parametrize("target", ["../../../../../../../../../etc/passwd", "../../../outside"])
def test_a_link_out_of_the_repository_is_refused_by_the_server(plugin: Plugin, checkout: Checkout, target: str) -> None:
    """The server unpacks no link that leads out, so nothing of ours is started."""
    before = len(plugin.server.commands())
    (checkout.folder / "link").symlink_to(target)

    error = failure(plugin.client, checkout.root)

    assert "illegal filepath in symlink" in error.text
    assert len(plugin.server.commands()) == before
    assert wait_until(plugin.server.has_settled)


@pytest.mark.parametrize("target", ["../other/s3-source.yaml", "/etc/passwd", "s3-source.yaml", "nowhere"])
def test_a_trigger_file_that_is_a_link_is_refused(plugin: Plugin, checkout: Checkout, target: str) -> None:
    """Links that the server lets pass are followed nowhere."""
    trigger = checkout.folder / "s3-source.yaml"
    (checkout.root / "apps" / "other").mkdir()
    trigger.rename(checkout.root / "apps" / "other" / "s3-source.yaml")
    trigger.symlink_to(target)

    error = failure(plugin.client, checkout.root)

    assert without_places(error.text) == (
        f"{INIT} 78: error: s3-source.yaml: is a symbolic link: put a readable file in its place"
    )


def test_an_application_folder_that_is_a_link_inside_the_repository_works(
    plugin: Plugin, checkout: Checkout, s3: S3Server
) -> None:
    """Argo CD allows links inside the repository, and so do we."""
    s3.put({"apps/demo/a.yaml": config_map("a")})
    (checkout.root / "apps" / "linked").symlink_to("demo")

    manifests = plugin.client.generate(checkout.root, Application(path="apps/linked"))

    assert names(manifests) == ["a"]


def test_links_beside_the_trigger_file_are_left_alone(plugin: Plugin, checkout: Checkout, s3: S3Server) -> None:
    """Links named like a manifest, a loop among them, are neither read nor followed."""
    s3.put({"apps/demo/a.yaml": config_map("a")})
    for name, target in {"b.yaml": "/etc/passwd", "loop": "loop", "up": "..", "a.yaml": "b.yaml"}.items():
        (checkout.folder / name).symlink_to(target)

    manifests = plugin.client.generate(checkout.root)

    assert names(manifests) == ["a"]


@pytest.mark.parametrize("path", ["../..", "../../../../etc", "apps/../../.."])
def test_a_path_out_of_the_work_folder_is_refused_by_the_server(plugin: Plugin, checkout: Checkout, path: str) -> None:
    """No command runs outside the unpacked repository."""
    before = len(plugin.server.commands())

    error = failure(plugin.client, checkout.root, rel_path=path)

    assert error.text == "illegal appPath: out of workDir bound"
    assert len(plugin.server.commands()) == before


def test_a_member_out_of_the_archive_is_refused_by_the_server(plugin: Plugin, checkout: Checkout) -> None:
    """An archive that no honest repo-server makes does not write beside the work folder."""

    def climb(member: tarfile.TarInfo) -> tarfile.TarInfo:
        return member.replace(name=f"../{member.name}")

    error = failure(plugin.client, pack(checkout.root, change=climb))

    assert "illegal filepath in archive" in error.text
    assert wait_until(plugin.server.has_settled)


def test_a_pipe_cannot_travel(plugin: Plugin, checkout: Checkout) -> None:
    """A FIFO in an archive is passed over by the server, so that the folder holds no trigger file."""

    def as_pipe(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.type = tarfile.FIFOTYPE if member.isfile() else member.type
        return member

    error = failure(plugin.client, pack(checkout.root, change=as_pipe))

    assert "apps/demo: holds no trigger file" in error.text


def test_a_trigger_file_of_a_gigabyte_is_refused(plugin: Plugin) -> None:
    """A file of 1 GB that packs to next to nothing is unpacked by the server, and read no further than is allowed."""
    member = tarfile.TarInfo("apps/demo/s3-source.yaml")
    member.size = GIBIBYTE
    zeros = gzip.compress(bytes(MEBIBYTE)) * (GIBIBYTE // MEBIBYTE)
    archive = gzip.compress(member.tobuf()) + zeros + gzip.compress(bytes(1024))

    error = failure(plugin.client, archive, seconds=120)

    assert without_places(error.text) == (
        f"{INIT} 78: error: s3-source.yaml:1: is larger than 64 KiB: keep only the keys that it needs"
    )
    assert wait_until(plugin.server.has_settled)


@pytest.mark.parametrize("command", ["init", "generate", "discover", "parameters", "validate"])
def test_no_command_waits_for_a_pipe_or_reads_a_gigabyte(sidecar: Sidecar, command: str) -> None:
    """Where a FIFO or a sparse file lies in place of the trigger file, every command answers at once."""
    trigger = sidecar.directory / "s3-source.yaml"
    os.mkfifo(trigger)

    pipe = sidecar.run(command)
    trigger.unlink()
    with trigger.open("wb") as file:
        file.truncate(GIBIBYTE)
    sparse = sidecar.run(command)

    if command == "discover":
        assert (pipe.stdout, sparse.stdout) == (b"", b"s3-source.yaml\n")
    else:
        assert (pipe.returncode, pipe.stdout, sparse.returncode, sparse.stdout) == (78, b"", 78, b"")
        assert b"is not a regular file" in pipe.stderr
        assert b"is larger than 64 KiB" in sparse.stderr
