"""The image that `make image` builds: what it says of itself, what is in it, how it ends, and what it renders."""

import json
import os
import re
import signal
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e import image_sandbox
from e2e.cmp_client import connect
from e2e.cmp_server import wait_until
from e2e.conftest import Find, give_up
from e2e.contract import Checkout, Plugin, StartPlugin, config_map, names, objects
from e2e.image_sandbox import SERVER, SOCKETS
from e2e_support import S3Server

from tools.fault_server import Fault, FaultServer, is_get
from tools.image import build, own, stand_ins
from tools.image.__main__ import BILL
from tools.image.bill import bill_of
from tools.image.containers import environment, inspect, podman, podman_command, sandboxed
from tools.image.contents import ENVIRONMENT, debian_packages, go_modules, site_packages, unaccounted, walk

pytestmark = pytest.mark.image

ROOT = build.ROOT
COMMAND = "/opt/cmp-core/bin/cmp-core"
PYTHON = "/opt/cmp-core/bin/python"
EXAMPLES = ROOT / "examples"
ORPHAN = """
import os, sys, time
if not os.fork():
    os.setsid()
    if not os.fork():
        time.sleep(0.3)
    os._exit(0)
os.wait()
"""
FORBIDDEN = re.compile(
    r"(ba|da|a|z)?sh|busybox|perl|pip[\d.]*|uv|apt(-get)?|dpkg|gcc|cc|ld|ldd|go|curl|wget|git|su|mount|python3-config|ensurepip|activate"
)
"""Names of what builds, installs or runs commands, none of which the sidecar needs."""


@pytest.fixture(scope="module")
def image() -> str:
    """The image's name; without one the test is skipped, and fails where CI=true."""
    return image_sandbox.image_under_test() or give_up("there is no image to look at: run `make image`, as root")


@pytest.fixture(scope="module")
def root(image: str) -> Iterator[Path]:
    """The folder where its root file system lies."""
    with build.root_of(image) as folder:
        yield folder


@pytest.fixture(scope="module")
def base(image: str) -> Iterator[Path]:
    """The root file system of the base whose Python it has."""
    with build.root_of(stand_ins.python_image()) as folder:
        yield folder


@pytest.fixture
def sidecar(image: str, tool: Find, tmp_path: Path) -> Iterator[str]:
    """A container that runs by itself, with the volumes of deploy/ and without a network; its id."""
    container = start(image, tool("argocd"), tmp_path)
    yield container
    image_sandbox.remove(container)


def start(image: str, program: Path, folder: Path) -> str:
    """Start the sidecar, wait until the plugin's socket is there, and return the container's id."""
    volumes = {"plugins": SOCKETS, "store": "/var/lib/cmp-core"}
    for name in volumes:
        (folder / name).mkdir()
        os.chown(folder / name, 999, 999)
    options = [f"--volume={folder / name}:{target}" for name, target in volumes.items()]
    options += [f"--volume={program.resolve()}:{SERVER}:ro", "--env=CMP_STATE_DIRECTORY=/var/lib/cmp-core/state"]
    container = image_sandbox.start_detached(image, *options)
    assert wait_until((folder / "plugins" / "cmp-core.sock").exists), podman("logs", container)
    return container


def run(image: str, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command instead of the server, without any network."""
    words = [*sandboxed(network="none", options=[f"--entrypoint={command[0]}"]), image, *command[1:]]
    return subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)


def execute(container: str, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in a container that is there, as a probe or `kubectl exec` does."""
    words = [*podman_command(), "exec", container, *command]
    return subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)


def first_process(container: str) -> int:
    """Return the container's process 1, by its number outside."""
    return int(podman("inspect", "--format={{.State.Pid}}", container))


def zombies(container: str) -> list[str]:
    """Return the processes of a container that nobody has waited for."""
    program = (
        "import pathlib; print(*[p.parent.name for p in pathlib.Path('/proc').glob('[0-9]*/stat') "
        "if p.read_text().rpartition(')')[2].split()[0] == 'Z'])"
    )
    return execute(container, PYTHON, "-ISc", program).stdout.split()


def test_it_says_who_runs_it_and_what_it_is(image: str) -> None:
    """User, entry point, variables and labels are those that the documentation names."""
    found: Mapping[str, Any] = inspect(image)["Config"]
    labels = {key.rpartition(".")[2]: value for key, value in found["Labels"].items()}

    assert found["User"] == "999:999"
    assert found["Entrypoint"][:2] == ["/usr/bin/tini", "--"]
    assert found["Entrypoint"][-1] == SERVER
    assert not found.get("Cmd")
    assert found["WorkingDir"] == "/tmp"  # noqa: S108  # the volume of the sidecar
    assert {"HOME=/tmp", "PYTHONDONTWRITEBYTECODE=1", "PYTHONSAFEPATH=1"} <= set(found["Env"])
    assert not [variable for variable in found["Env"] if re.match(r"PIP_|GO|SSL_", variable)]
    assert (labels["title"], labels["licenses"]) == ("cmp-core", "Apache-2.0")
    assert re.fullmatch(r"[0-9a-f]{40}", labels["revision"])
    assert labels["version"] in (ROOT / "pyproject.toml").read_text()


def test_every_file_belongs_to_something(root: Path, base: Path) -> None:
    """Each is of a Debian package, of a Python package, of Python, or listed, and as it came from there."""
    assert unaccounted(root, base) == []


def test_a_file_that_belongs_to_nothing_is_told(root: Path, base: Path) -> None:
    """As are one that was changed, one that is missing, and a link that leads nowhere."""
    package = site_packages(root) / "pluggy" / "__init__.py"
    removed = root / "usr/lib/ssl/certs"
    target, content = removed.readlink(), package.read_bytes()
    stray = root / "etc" / "pip.conf"

    stray.write_text("[global]\n")
    package.write_bytes(content + b"\n")
    removed.unlink()
    removed.symlink_to("/etc/none")
    found = unaccounted(root, base)
    stray.unlink()
    package.write_bytes(content)
    removed.unlink()
    removed.symlink_to(target)

    assert [line.partition(": ")[2].partition(",")[0].split(" as ")[0] for line in found] == [
        "belongs to nothing",
        "is not",
        "belongs to nothing",
        "leads to /etc/none",
    ]


def test_nothing_that_builds_or_runs_commands_is_left(root: Path) -> None:
    """No shell, no package manager, no pip and no compiler, under any path."""
    files, links = walk(root)
    programs = [
        path for path in (*files, *(link for link, _ in links)) if os.access(root / path, os.X_OK) or path.suffix == ""
    ]

    assert [str(path) for path in programs if FORBIDDEN.fullmatch(path.name)] == []
    assert not [path for path in files if path.name in {"pip.conf", ".netrc", ".pypirc", "uv.toml"}]
    assert not [
        path for path in site_packages(root).iterdir() if re.match(r"(pip|setuptools|wheel|hatchling)\b", path.name)
    ]


def test_the_machines_certificates_are_not_in_it(root: Path) -> None:
    """The build may have trusted a proxy's; the image trusts what Debian's package lists."""
    own = set(certificates("".join(path.read_text() for path in (root / "usr/share/ca-certificates").rglob("*.crt"))))

    assert set(certificates((root / "etc/ssl/certs/ca-certificates.crt").read_text())) == own
    assert len(own) > 100


def certificates(text: str) -> list[str]:
    """Return the certificates in a bundle."""
    return re.findall(r"-----BEGIN CERTIFICATE-----\n(.*?)\n-----END", text, re.DOTALL)


def test_nothing_can_be_changed_but_tmp(root: Path) -> None:
    """Everything is root's, nobody else may write to it, and no program gives its caller another user."""
    modes = {path: (root / path).lstat() for path in walk(root)[0]}

    assert [path for path, found in modes.items() if found.st_uid or found.st_gid] == []
    assert [path for path, found in modes.items() if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)] == []
    assert [path for path, found in modes.items() if found.st_mode & (stat.S_ISUID | stat.S_ISGID)] == []
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777


def test_the_bill_of_materials_names_every_package(root: Path) -> None:
    """Debian's, Python's, and the modules of both Go programs, each once, with a package URL of its version."""
    listed = {found["purl"] for found in json.loads(BILL.read_text())["components"]}

    installed = {
        f"{found.metadata['Name'].lower()}@{found.version}" for found in distributions(path=[str(site_packages(root))])
    }
    python = {url.removeprefix("pkg:pypi/") for url in listed if url.startswith("pkg:pypi/")}
    debian = {url.removeprefix("pkg:deb/debian/").partition("@")[0] for url in listed if url.startswith("pkg:deb/")}
    modules = {
        module.path for program in ("helm", "kustomize") for module in go_modules(root / "usr/local/bin" / program)[1]
    }
    assert python == {re.sub(r"[-_.]+(?=.*@)", "-", name) for name in installed}
    assert debian == {stanza["Package"].replace("+", "%2B") for stanza in debian_packages(root)}
    assert len(modules) > 100
    assert not [
        path
        for path in modules
        if not any(url.startswith(f"pkg:golang/{path.lower()}@") for url in map(str.lower, listed))
    ]
    assert [url for url in listed if url.startswith("pkg:generic/python@3.")]
    assert {found.bom_ref.value for found in bill_of(root).components} >= {"program:helm", "program:kustomize"}


def test_it_runs_the_python_that_it_names(image: str, root: Path) -> None:
    """The version in the bill is that of the interpreter, which reads UTF-8, TLS, SQLite and compressed files."""
    modules = "import sys, ssl, sqlite3, lzma, bz2, zlib, ctypes, uuid"

    result = run(image, PYTHON, "-ISc", f"{modules}; print(sys.version.split()[0], sys.getfilesystemencoding())")

    version, encoding = result.stdout.split()
    assert f"version = {version}\n" in (root / ENVIRONMENT / "pyvenv.cfg").read_text()
    assert encoding == "utf-8"


def test_every_module_is_compiled(root: Path) -> None:
    """The running sidecar cannot write, and would compile what is not at each start."""
    sources = [path for path in walk(root)[0] if path.suffix == ".py" and path.parts[-2] not in {"bin", "cmp-core"}]
    missing = [
        path for path in sources if not list((root / path.parent / "__pycache__").glob(f"{path.stem}.cpython-*.pyc"))
    ]

    assert len(sources) > 1000
    assert missing == []


def test_the_trust_in_certificates_is_the_systems(image: str) -> None:
    """Python finds the certificates where OpenSSL looks for them."""
    program = "import os, ssl; folder = ssl.get_default_verify_paths().capath; print(folder, len(os.listdir(folder)))"

    folder, count = run(image, PYTHON, "-ISc", program).stdout.split()

    assert folder == "/usr/lib/ssl/certs"
    assert int(count) > 200


def test_the_backends_are_in_it_and_fit(image: str) -> None:
    """All of the project's own, each of which passes the static part of the contract, and no other."""
    backends = {path.name for path in (ROOT / "backends").iterdir() if (path / "pyproject.toml").exists()}

    listed = {found["name"] for found in json.loads(run(image, COMMAND, "backends", "-o", "json").stdout)}
    checked = {name: run(image, COMMAND, "backends", "--check", name) for name in backends}

    assert listed == backends
    assert {name: result.stderr for name, result in checked.items() if result.returncode} == {}


def test_it_is_confined_as_deploy_has_it(sidecar: str) -> None:
    """Tini is process 1; nothing has a capability, and nothing is writable but /tmp and the two volumes."""
    process = Path(f"/proc/{first_process(sidecar)}")
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
    mounts = [line.split() for line in (process / "mountinfo").read_text().splitlines()]
    writable = {
        fields[4]
        for fields in mounts
        if "rw" in fields[5].split(",") and not fields[4].startswith(("/proc", "/dev", "/sys"))
    }

    assert (status["Name"], status["NSpid"].split()[-1]) == ("tini", "1")
    assert set(status["Uid"].split()) == {"999"}
    assert {status[name].strip() for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    assert writable == {"/tmp", SOCKETS, "/var/lib/cmp-core"}  # noqa: S108  # what deploy/ mounts


def test_the_probe_of_deploy_finds_the_plugin(sidecar: str) -> None:
    """It needs no shell, and nothing that is not in the image."""
    patch = yaml.safe_load((ROOT / "deploy/components/sidecar/repo-server.yaml").read_text())
    (found,) = (each for each in patch["spec"]["template"]["spec"]["containers"] if each["name"] == "cmp-core")

    probe = found["livenessProbe"]["exec"]["command"]

    assert wait_until(lambda: execute(sidecar, *probe).returncode == 0)


def test_the_doctor_reports(sidecar: str) -> None:
    """`kubectl exec … cmp-core doctor` works in the running sidecar."""
    result = execute(sidecar, COMMAND, "doctor", "-o", "json")

    checks = json.loads(result.stdout)
    assert checks


def test_orphans_are_reaped(sidecar: str) -> None:
    """A process whose parent has ended becomes that of tini, and leaves no zombie when it ends."""
    result = execute(sidecar, PYTHON, "-ISc", ORPHAN)

    assert result.returncode == 0
    assert wait_until(lambda: len(execute_listing(sidecar)) == 4)
    assert zombies(sidecar) == []


def execute_listing(container: str) -> list[str]:
    """Return the numbers of the processes in a container, that of the one who looks among them."""
    program = "import os; print(*[name for name in os.listdir('/proc') if name.isdecimal()])"
    return execute(container, PYTHON, "-ISc", program).stdout.split()


def test_sigterm_ends_it_with_0(sidecar: str, tmp_path: Path) -> None:
    """At once where there is nothing to do, and the socket is gone, so that no request comes any more."""
    podman("kill", "--signal=TERM", sidecar)

    code = wait_for_end(sidecar)

    assert code == 0
    assert not (tmp_path / "plugins" / "cmp-core.sock").exists()


def wait_for_end(container: str) -> int:
    """Return the exit code of a container that ends within a while."""
    ended = subprocess.run(
        [*podman_command(), "wait", container],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=40,
    )
    return int(ended.stdout)


def test_what_was_asked_before_sigterm_is_answered(
    start_plugin: StartPlugin, versitygw_endpoint: str, checkout: Checkout, s3: S3Server
) -> None:
    """The request that runs gets its manifests, and then the server ends."""
    s3.put({"apps/demo/a.yaml": config_map("a")})
    begun, go_on = threading.Event(), threading.Event()

    def stop_once() -> None:
        begun.set()
        go_on.wait(30)

    answers: list[list[str]] = []
    with FaultServer(versitygw_endpoint) as faults:
        faults.script = lambda request: Fault(during=stop_once) if is_get(request) else None
        with start_plugin(AWS_ENDPOINT_URL=faults.url) as plugin:
            asking = threading.Thread(target=lambda: answers.append(names(plugin.client.generate(checkout.root))))
            asking.start()
            assert begun.wait(30)
            os.kill(plugin.server.session, signal.SIGTERM)
            assert wait_until(lambda: not plugin.server.socket.exists())
            go_on.set()
            asking.join(30)
            ended = wait_until(lambda: not Path(f"/proc/{plugin.server.session}").exists())

    assert answers == [["a"]]
    assert ended


def test_a_server_that_ends_by_itself_ends_the_container(start_plugin: StartPlugin) -> None:
    """Kubernetes restarts what has ended; a container whose server is gone must not go on."""
    with start_plugin() as plugin:
        os.kill(plugin.server.pid, signal.SIGKILL)

        assert wait_until(lambda: not Path(f"/proc/{plugin.server.session}").exists())


def test_without_argo_cds_server_it_says_what_is_missing(image: str) -> None:
    """Whoever forgets the volume reads its name."""
    result = subprocess.run(
        [*sandboxed(network="none"), image], env=environment(), capture_output=True, text=True, check=False
    )

    assert result.returncode == 1
    assert result.stderr.startswith(f"{SERVER} cannot be run (No such file or directory): mount the volume ")


@pytest.fixture
def upload(s3: S3Server) -> Callable[[str], None]:
    """A function that puts an example's objects into the bucket of its trigger file."""

    def put(example: str) -> None:
        folder = EXAMPLES / example / "objects"
        files = [path for path in folder.rglob("*") if path.is_file()]
        s3.put({path.relative_to(folder).as_posix(): path.read_bytes() for path in files})

    return put


@pytest.mark.parametrize("example", ["helm", "kustomize"])
def test_helm_and_kustomize_render(
    plugin: Plugin, checkout: Checkout, upload: Callable[[str], None], example: str
) -> None:
    """The programs that the image brings make of the examples what the documentation promises."""
    upload(example)
    (checkout.folder / "s3-source.yaml").unlink()
    checkout.write({path.name: path.read_text() for path in (EXAMPLES / example / "app").iterdir()})

    found = objects(plugin.client.generate(checkout.root))

    assert sorted(item["kind"] for item in found) == ["Deployment", "Service"]


def test_an_image_of_ones_own_works_as_documented(
    image: str, tool: Find, cmp_messages: Mapping[str, Any], checkout: Checkout, s3: S3Server
) -> None:
    """The page's Dockerfile, with `pip install "cmp-core[all]"`, gives all backends, the doctor, and manifests."""
    s3.put({"apps/demo/a.yaml": config_map("a")})
    backends = {path.name for path in (ROOT / "backends").iterdir() if (path / "pyproject.toml").exists()}

    listed = {found["name"] for found in json.loads(run(own.OWN_NAME, COMMAND, "backends", "-o", "json").stdout)}
    report = json.loads(run(own.OWN_NAME, COMMAND, "doctor", "-o", "json").stdout)
    with (
        image_sandbox.run(own.OWN_NAME, tool("argocd"), s3.variables) as server,
        connect(server.socket, cmp_messages) as client,
    ):
        found = names(client.generate(checkout.root))
        os.kill(server.session, signal.SIGTERM)
        ended = wait_until(lambda: not Path(f"/proc/{server.session}").exists())

    assert listed == backends
    assert report
    assert found == ["a"]
    assert ended
