"""The installed command reads a web server as the operator's variables say, alone and inside of other sources."""

import io
import os
import ssl
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import trustme

MANIFEST = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: demo\n"


class Sidecar:
    """Runs the command in an application's folder."""

    def __init__(self, folder: Path) -> None:
        """Make the folder."""
        self.app, self.state = folder / "app", folder / "state"
        self.app.mkdir()
        self.state.mkdir(mode=0o700)

    def run(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[bytes]":
        """Run one command."""
        command = Path(sys.executable).with_name("cmp-core")
        base = {"PATH": os.defpath, "TMPDIR": str(self.state), "HOME": str(self.state)}
        return subprocess.run(
            [command, *arguments], cwd=self.app, env=base | variables, capture_output=True, check=False, timeout=60
        )


@pytest.fixture
def sidecar(tmp_path: Path) -> Sidecar:
    """A sidecar with an empty application's folder."""
    return Sidecar(tmp_path)


def write(sidecar: Sidecar, name: str, text: str) -> None:
    """Write the trigger file."""
    (sidecar.app / name).write_text(text, encoding="utf-8")


def test_https_with_a_private_ca_is_read(sidecar: Sidecar, web: Any, tmp_path: Path) -> None:
    """The variables name what is allowed, and the CA."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    web.socket = context.wrap_socket(web.socket, server_side=True)
    web.files["/apps/a.yaml"] = MANIFEST
    place = f"https://localhost:{web.server_port}"
    write(sidecar, "fsspec-source.yaml", f"url: {place}/apps/\n")

    trusted = {"SSL_CERT_FILE": str(tmp_path / "ca.pem"), "CMP_BACKENDS_FSSPEC_ALLOW": f"gs://x,{place}"}
    result = sidecar.run("generate", **trusted)
    refused = sidecar.run("generate", CMP_BACKENDS_FSSPEC_ALLOW="gs://x")

    assert (result.returncode, result.stdout) == (0, b"---\n" + MANIFEST), result.stderr
    assert refused.returncode == 77
    assert f"add `{place}` to `backends.fsspec.allow`".encode() in refused.stderr


@pytest.mark.parametrize("code", [0, 77])
def test_a_source_inside_a_source_is_held_to_the_same_policy(sidecar: Sidecar, web: Any, code: int) -> None:
    """An archive on a web server is unpacked, if the operator allows to read it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("deploy/a.yaml")
        member.size = len(MANIFEST)
        archive.addfile(member, io.BytesIO(MANIFEST))
    web.files["/releases/demo.tgz"] = buffer.getvalue()
    write(
        sidecar,
        "tarball-source.yaml",
        f"source:\n  backend: fsspec\n  url: {web.url}/releases/demo.tgz\nsubpath: deploy\n",
    )

    result = sidecar.run("generate", CMP_BACKENDS_FSSPEC_ALLOW="https://x" if code else web.url)

    assert (result.returncode, result.stdout) == (code, b"" if code else b"---\n" + MANIFEST), result.stderr


def test_the_application_cannot_reach_further_than_the_trigger_file(sidecar: Sidecar, web: Any) -> None:
    """An override of the URL is held to the same policy, and settings do not come from the author."""
    write(sidecar, "fsspec-source.yaml", f"url: {web.url}/a.yaml\n")
    other = f"http://127.0.0.1:{web.server_port}"

    result = sidecar.run("generate", CMP_BACKENDS_FSSPEC_ALLOW="https://x", ARGOCD_ENV_CMP_URL=f"{other}/b.yaml")
    mine = sidecar.run("generate", ARGOCD_ENV_CMP_BACKENDS_FSSPEC_ALLOW=other)

    assert (result.returncode, mine.returncode) == (77, 78)
    assert web.asked == []


def test_a_wrong_setting_is_a_finding_of_the_doctor(sidecar: Sidecar, tmp_path: Path) -> None:
    """Also where no trigger file needs the backend yet."""
    settings = tmp_path / "settings.yaml"
    settings.write_text("backends:\n  fsspec:\n    allow: [file://*]\n  s3: {x: 1}\n", encoding="utf-8")

    result = sidecar.run("doctor", CMP_SETTINGS=str(settings))

    assert result.returncode == 78
    assert f"{settings}:3: `backends.fsspec`: `allow` holds the protocol `file`".encode() in result.stdout
    assert f"{settings}:4: `backends.s3` is set, but this backend has no settings".encode() in result.stdout


def test_discovery_loads_no_backend_for_its_settings(sidecar: Sidecar) -> None:
    """It looks at every repository of the instance."""
    write(sidecar, "fsspec-source.yaml", "url: https://charts.example.com/\n")

    command: list[str | Path] = [
        sys.executable,
        "-X",
        "importtime",
        Path(sys.executable).with_name("cmp-core"),
        "discover",
    ]
    variables = {"PATH": os.defpath, "CMP_BACKENDS_FSSPEC_ALLOW": "https://x"}
    result = subprocess.run(command, cwd=sidecar.app, env=variables, capture_output=True, check=False)

    assert result.returncode == 0
    assert b"cmp_core.settings" in result.stderr
    assert b"cmp_backend" not in result.stderr
    assert b"aiohttp" not in result.stderr
