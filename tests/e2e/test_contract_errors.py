"""What a user of Argo CD reads: every error whole, short, with what to do, without a secret; and nothing besides."""

import re
import sys
import venv
from pathlib import Path

import pytest
from e2e.cmp_client import Application
from e2e.cmp_server import COMMAND
from e2e.contract import Checkout, Plugin, StartPlugin, config_map, failure, names, without_places
from e2e_support import SECRET_KEY, S3Server
from host_support import MANIFEST, MODEL, FakeSite

from cmp_core.installed import describe, installed_backends

pytestmark = pytest.mark.e2e

INIT = "error generating manifests: `cmp-core init` failed exit status"
GENERATE = "error generating manifests: `cmp-core generate` failed exit status"
FETCHING = "fetching s3://test-bucket/apps/demo for application demo\n"

NOISY = f"""{MODEL}
import ctypes, logging, os, subprocess, sys, threading, warnings

print("STRAY on import")

def make_noise(step):
    print("STRAY print", step)
    sys.__stdout__.write("STRAY stdout\\n")
    sys.__stdout__.flush()
    os.write(1, b"STRAY descriptor 1\\n")
    subprocess.run(["sh", "-c", "echo STRAY child"])
    libc = ctypes.CDLL(None)
    libc.puts(b"STRAY libc")
    libc.fflush(None)
    warnings.warn("STRAY warning")
    warnings.warn("STRAY deprecation", DeprecationWarning)
    logging.warning("STRAY logging")
    logging.getLogger("some.library").critical("STRAY library")
    thread = threading.Thread(target=lambda: 1 / 0, name="STRAY thread")
    thread.start()
    thread.join()

@hookimpl
def fetch(source, destination):
    make_noise("fetch")
    if source.bucket == "broken":
        raise RuntimeError("the backend is broken")
    (destination / "a.yaml").write_text({MANIFEST!r})
    return Artifact.from_directory(destination)

@hookimpl
def render(artifact, source):
    make_noise("render")
    yield cmp_core.Document({MANIFEST!r}.encode(), "a.yaml", 1)
"""


@pytest.fixture(scope="session")
def noisy_command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The console script of an environment into which a backend was installed that writes to every stream it finds."""
    folder = tmp_path_factory.mktemp("noisy")
    venv.create(folder, symlinks=True)
    (site,) = (folder / "lib").glob("python*/site-packages")
    installed = next(path for path in map(Path, sys.path) if path.name == "site-packages")
    (site / "installed.pth").write_text(f"import site; site.addsitedir({str(installed)!r})\n")
    FakeSite(site).install(NOISY, name="noisy")
    command = folder / "bin" / "cmp-core"
    command.write_text(COMMAND.read_text().replace(str(COMMAND.parent), str(command.parent)))
    command.chmod(0o755)
    return command


@pytest.mark.image
@pytest.mark.parametrize(
    ("trigger", "text"),
    [
        pytest.param(
            "bucket: test-bucket\npath: apps/demo\n",
            f"{INIT} 66: {FETCHING}"
            "error: nothing lies under s3://test-bucket/apps/demo at {endpoint}: no key begins with `apps/demo/` and "
            "no object has the key `apps/demo`: check `path`, and that the manifests were uploaded",
            id="empty-prefix",
        ),
        pytest.param(
            "bucket: no-such-bucket\npath: apps/demo\n",
            f"{INIT} 66: fetching s3://no-such-bucket/apps/demo for application demo\n"
            "error: the bucket `no-such-bucket` does not exist at {endpoint}: check `bucket`, the endpoint and the "
            "account",
            id="bucket-missing",
        ),
        pytest.param(
            "bucket: test-bucket\npath: apps/readme\n",
            f"{GENERATE} 65: error: s3://test-bucket/apps/readme: 1 file, none of them .yaml, .yml or .json: "
            "README.md: an empty result is never a success, because Argo CD would keep it and prune what runs",
            id="readme-only",
        ),
        pytest.param(
            "bucket: test-bucket\npath: apps/broken\n",
            f"{GENERATE} 65: error: a.yaml:2: this is not valid YAML (did not find expected node content while parsing "
            "a flow node): correct it, or leave the file out with `exclude`",
            id="broken-manifest",
        ),
        pytest.param(
            "buket: test-bucket\npath: 1\n",
            f"{INIT} 78: error: s3-source.yaml:1: unknown key `buket`: did you mean `bucket`?",
            id="unknown-key",
        ),
    ],
)
def test_the_user_reads_what_is_wrong_and_what_to_do(
    plugin: Plugin, checkout: Checkout, s3: S3Server, trigger: str, text: str
) -> None:
    """The text that Argo CD shows is its own words, our short command line, and our sentence."""
    s3.put({"apps/readme/README.md": b"# Demo\n", "apps/broken/a.yaml": b"kind: [\n"})
    checkout.write({"s3-source.yaml": trigger})

    error = failure(plugin.client, checkout.root)

    assert error.code.name == "UNKNOWN"
    assert without_places(error.text, s3.endpoint) == text


@pytest.mark.image
def test_every_line_names_the_request(plugin: Plugin, checkout: Checkout, s3: S3Server) -> None:
    """The id in the text that the user reads is the one in the sidecar's log, of `init` and of `generate`."""
    s3.put({"apps/demo/a.yaml": b"kind: [\n"})
    before = len(plugin.server.said())

    error = failure(plugin.client, checkout.root)

    ids = re.findall(r"\[request (\w+)\]", error.text + "".join(plugin.server.said()[before:]))
    assert len(ids) == 3
    assert len(set(ids)) == 1


def test_a_folder_without_a_trigger_file_says_which_there_could_be(
    plugin: Plugin, checkout: Checkout, s3: S3Server
) -> None:
    """An Application whose path is wrong is told what lies there, under the name that it has in Git."""
    (checkout.folder / "s3-source.yaml").rename(checkout.folder / "values.yaml")

    error = failure(plugin.client, checkout.root)

    assert without_places(error.text) == (
        f"{INIT} 78: error: apps/demo: holds no trigger file (`NAME-source.yaml`), only values.yaml; "
        f"{describe(installed_backends())}: create one there, or correct `path` in the Application"
    )


def test_many_mistakes_are_told_at_once_and_briefly(plugin: Plugin, checkout: Checkout) -> None:
    """A hundred mistakes do not fill the user interface."""
    checkout.write(
        {"s3-source.yaml": "bucket: b\npath: p\n" + "".join(f"mistake{n}: {'x' * 50}\n" for n in range(100))}
    )

    error = failure(plugin.client, checkout.root)

    assert "s3-source.yaml:3: unknown key `mistake0`" in error.text
    assert "s3-source.yaml:4: unknown key `mistake1`" in error.text
    assert len(error.text.encode()) < 4096 + 200


@pytest.mark.image
def test_no_secret_is_shown(start_plugin: StartPlugin, checkout: Checkout, s3: S3Server) -> None:
    """What authors write into the wrong place, and what the sidecar holds, stays out of the text and of the log."""
    token = "FwoGZXIvYXdzEXAMPLE" * 8
    checkout.write({"s3-source.yaml": f"bucket: test-bucket\npath: apps/{SECRET_KEY}/demo\n"})
    application = Application(plugin_env={"CMP_VERSION": "https://robot:hunter2-hunter2@git.example.com/x"})

    with start_plugin(CMP_LOG_LEVEL="debug", AWS_SESSION_TOKEN=token) as plugin:
        errors = [failure(plugin.client, checkout.root), failure(plugin.client, checkout.root, application=application)]
        checkout.write({"s3-source.yaml": "bucket: test-bucket\npath: https://me:hunter2-hunter2@example.com/\n"})
        errors.append(failure(plugin.client, checkout.root))
        log = plugin.server.log_file.read_text()

    for secret in (SECRET_KEY, token, "hunter2-hunter2"):
        assert secret not in log
        assert not [error for error in errors if secret in error.text]
    assert "[redacted]" in errors[0].text


@pytest.mark.image
def test_debug_tells_everything_without_breaking_anything(
    start_plugin: StartPlugin, checkout: Checkout, s3: S3Server
) -> None:
    """At the level `debug` a success is the same manifests, and a failure a whole traceback of more than 16 KiB."""
    s3.put({"apps/demo/a.yaml": config_map("a")})

    with start_plugin(CMP_LOG_LEVEL="debug") as plugin:
        manifests = plugin.client.generate(checkout.root)
        said = "".join(plugin.server.said())
        checkout.write({"s3-source.yaml": "bucket: no-such-bucket\npath: apps/demo\n"})
        error = failure(plugin.client, checkout.root)

    assert names(manifests) == ["a"]
    assert "botocore" in said
    assert len(error.text) > 16 * 1024
    assert "Traceback (most recent call last)" in error.text
    assert "error: the bucket `no-such-bucket` does not exist" in error.text
    assert SECRET_KEY not in error.text + said


@pytest.mark.parametrize("level", ["info", "debug"])
def test_nothing_else_reaches_the_manifests(
    start_plugin: StartPlugin, checkout: Checkout, noisy_command: Path, level: str
) -> None:
    """A backend and its libraries may print, log, warn and start children: the manifests come out as they are."""
    (checkout.folder / "s3-source.yaml").unlink()
    checkout.write({"noisy-source.yaml": "bucket: any\n"})

    with start_plugin(command=noisy_command, CMP_LOG_LEVEL=level) as plugin:
        manifests = plugin.client.generate(checkout.root)
        said = "".join(plugin.server.said())

    assert manifests == ['{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"demo"}}']
    assert "fetching demo://any for application demo" in said
    assert ("STRAY" in said) == (level == "debug")


def test_nothing_else_reaches_the_error(start_plugin: StartPlugin, checkout: Checkout, noisy_command: Path) -> None:
    """The user reads which backend failed, and none of what it and its libraries have written."""
    (checkout.folder / "s3-source.yaml").unlink()
    checkout.write({"noisy-source.yaml": "bucket: broken\n"})

    with start_plugin(command=noisy_command) as plugin:
        error = failure(plugin.client, checkout.root)

    assert without_places(error.text) == (
        f"{INIT} 70: fetching demo://broken for application demo\n"
        "error: backend `noisy` (cmp-backend-demo 1.2): defect in `fetch`: RuntimeError: the backend is broken: "
        "report it there, with the traceback that CMP_LOG_LEVEL=debug prints"
    )


def test_a_variable_that_linux_does_not_take_is_told_by_argo_cd(plugin: Plugin, checkout: Checkout) -> None:
    """More than 128 KiB in one variable is Linux's limit, which no plugin can do anything about."""
    application = Application(parameters=[{"name": "path", "string": "x" * 128 * 1024}])

    error = failure(plugin.client, checkout.root, application=application)

    assert error.text.endswith("argument list too long")
