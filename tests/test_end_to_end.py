"""`init` and `generate` as Argo CD runs them, with what goes wrong in between."""

import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from e2e_support import COMMAND, SECRET_KEY, S3Server, Sidecar

from tools.fault_server import Fault, FaultServer, is_any
from tools.processes import wait_until

pytestmark = pytest.mark.s3


def config_map(name: str) -> bytes:
    """Return a manifest."""
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n".encode()


def names(stream: bytes) -> list[str]:
    """Return the names of the objects in a stream, in its order."""
    return [document["metadata"]["name"] for document in yaml.safe_load_all(stream)]


def left_behind(sidecar: Sidecar) -> list[str]:
    """Return what lies in the application's folder beside its own files."""
    return sorted(path.name for path in sidecar.directory.iterdir() if path.name.startswith(".cmp-core"))


@pytest.fixture
def mute_server() -> Iterator[str]:
    """Yield the URL of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    kept.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for connection in kept:
            connection.close()


def test_generate_goes_on_from_what_init_left(s3: S3Server, s3_sidecar: Sidecar) -> None:
    """What `init` fetched is what `generate` prints, without asking S3 again."""
    s3.put({"apps/demo/a.yaml": config_map("a")})

    init = s3_sidecar.run("init")
    s3.clear()
    generate = s3_sidecar.run("generate")

    assert (init.returncode, init.stdout) == (0, b"")
    assert (generate.returncode, names(generate.stdout)) == (0, ["a"])
    assert b"fetching" not in generate.stderr
    assert left_behind(s3_sidecar) == []


def test_generate_alone_does_everything(s3: S3Server, s3_sidecar: Sidecar) -> None:
    """`generate` needs no `init`."""
    s3.put({"apps/demo/a.yaml": config_map("a")})

    generate = s3_sidecar.run("generate")

    assert (generate.returncode, names(generate.stdout)) == (0, ["a"])
    assert left_behind(s3_sidecar) == []


def test_one_init_serves_one_generate(s3: S3Server, s3_sidecar: Sidecar) -> None:
    """A second `generate` fetches again, so that nobody is ever shown yesterday's state."""
    s3.put({"apps/demo/a.yaml": config_map("old")})
    s3_sidecar.run("init")
    s3.put({"apps/demo/a.yaml": config_map("new")})

    first, second = s3_sidecar.run("generate"), s3_sidecar.run("generate")

    assert (names(first.stdout), names(second.stdout)) == (["old"], ["new"])


def test_what_init_left_for_another_trigger_is_not_used(s3: S3Server, s3_sidecar: Sidecar) -> None:
    """Another trigger file is another request."""
    s3.put({"apps/demo/a.yaml": config_map("demo"), "apps/other/a.yaml": config_map("other")})
    s3_sidecar.run("init")
    s3_sidecar.write("s3-source.yaml", "bucket: test-bucket\npath: apps/other\n")

    generate = s3_sidecar.run("generate")

    assert names(generate.stdout) == ["other"]


@pytest.mark.parametrize(
    "variables",
    [
        {"ARGOCD_APP_PARAMETERS": '[{"name": "path", "string": "apps/other"}]'},
        {"ARGOCD_ENV_CMP_PATH": "apps/other"},
        {"ARGOCD_APP_NAME": "another"},
        {"CMP_LIMITS_OBJECTS": "5"},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_what_init_left_for_another_environment_is_not_used(
    s3: S3Server, s3_sidecar: Sidecar, variables: dict[str, str]
) -> None:
    """Other parameters, variables or settings are another request, whatever they mean."""
    s3.put({"apps/demo/a.yaml": config_map("demo"), "apps/other/a.yaml": config_map("other")})
    s3_sidecar.run("init")

    generate = s3_sidecar.run("generate", **variables)

    assert generate.returncode == 0
    assert b"fetching" in generate.stderr


def test_a_scratch_folder_from_another_folder_is_not_taken(s3: S3Server, s3_sidecar: Sidecar, tmp_path: Path) -> None:
    """A genuine scratch folder that was committed to Git does not work in another checkout."""
    s3.put({"apps/demo/a.yaml": config_map("old")})
    s3_sidecar.run("init")
    checkout = tmp_path / "checkout"
    s3_sidecar.directory.rename(checkout)
    s3_sidecar.directory.mkdir()
    for path in checkout.iterdir():
        path.rename(s3_sidecar.directory / path.name)
    s3.put({"apps/demo/a.yaml": config_map("new")})

    generate = s3_sidecar.run("generate")

    assert names(generate.stdout) == ["new"]


def test_without_a_private_state_folder_generate_fetches_again(s3: S3Server, s3_sidecar: Sidecar) -> None:
    """Where no key can be kept nothing is handed over, and the answer is right all the same."""
    s3.put({"apps/demo/a.yaml": config_map("a")})
    unsafe = s3_sidecar.directory.parent / "unsafe"
    unsafe.mkdir(mode=0o777)
    unsafe.chmod(0o777)
    s3_sidecar.variables["CMP_STATE_DIRECTORY"] = str(unsafe)

    init, generate = s3_sidecar.run("init"), s3_sidecar.run("generate")

    assert b"stateDirectory" in init.stderr
    assert names(generate.stdout) == ["a"]
    assert left_behind(s3_sidecar) == []


def test_requests_in_one_folder_do_not_disturb_each_other(s3: S3Server, s3_sidecar: Sidecar) -> None:
    """Eight requests at once each get the whole answer."""
    s3.put({f"apps/demo/{n}.yaml": config_map(f"n{n}") for n in range(20)})

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: s3_sidecar.run("init" if n % 2 else "generate"), range(8)))

    assert [result.returncode for result in results] == [0] * 8
    assert [len(names(result.stdout)) for result in results[::2]] == [20] * 4


def test_an_empty_endpoint_variable_counts_as_unset(s3: S3Server, s3_sidecar: Sidecar) -> None:
    """An empty variable, as Kubernetes makes of an optional value, must not become the endpoint."""
    s3.put({"apps/demo/a.yaml": config_map("a")})
    variables = {"AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "", "CMP_ENDPOINT": s3.endpoint}

    generate = s3_sidecar.run("generate", **variables)

    assert names(generate.stdout) == ["a"]


def test_the_total_time_is_bounded(s3_sidecar: Sidecar, mute_server: str) -> None:
    """A server that never answers ends the request at the deadline, with the step that was running."""
    variables = {"AWS_ENDPOINT_URL": mute_server, "CMP_TIMEOUT": "6"}  # well past the loading of the SDK

    generate = s3_sidecar.run("generate", **variables)

    assert (generate.returncode, generate.stdout) == (75, b"")
    assert b"stopped after 6 s while fetching s3://test-bucket/apps/demo" in generate.stderr
    assert left_behind(s3_sidecar) == []


def test_credentials_are_not_in_the_process_list(s3_sidecar: Sidecar, mute_server: str) -> None:
    """Nothing secret stands in the command line of the process or of a child."""
    with s3_sidecar.fetching(AWS_ENDPOINT_URL=mute_server):
        lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if is_readable(path)]

    assert any(COMMAND.encode() in line for line in lines)
    assert not [line for line in lines if SECRET_KEY.encode() in line]


def is_readable(path: Path) -> bool:
    """Tell whether the process is still there."""
    try:
        path.read_bytes()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_nothing_behind(
    s3_sidecar: Sidecar, mute_server: str, number: signal.Signals, code: int
) -> None:
    """SIGTERM and SIGINT end a fetch at once and clean up."""
    with s3_sidecar.fetching(AWS_ENDPOINT_URL=mute_server) as process:
        os.kill(process.pid, number)
        process.wait(20)

    assert process.returncode == code
    assert left_behind(s3_sidecar) == []


def test_a_signal_ends_threads_that_fetch(sidecar: Sidecar, s3: S3Server) -> None:
    """Sources that are fetched side by side hear of no signal; a second after it the process ends nevertheless."""
    s3.put({f"{name}/{name}.yaml": config_map(name) for name in ("a", "b")})
    parts = "".join(f"- {{name: {name}, backend: s3, bucket: test-bucket, path: {name}}}\n" for name in ("a", "b"))
    sidecar.write("multi-source.yaml", f"version: v1\nsources:\n{parts}")
    sidecar.variables = s3.variables

    with FaultServer(s3.endpoint) as faults:
        faults.on(is_any, Fault(head_bytes=0, then="stall"))
        with sidecar.fetching(AWS_ENDPOINT_URL=faults.url) as process:
            assert wait_until(lambda: len(faults.requests) == 2, 30)
            process.terminate()
            _, said = process.communicate(timeout=20)  # the deadline is later
    generate = sidecar.run("generate")

    assert process.returncode == 143
    assert b"error: stopped by SIGTERM while fetching " in said
    assert names(generate.stdout) == ["a", "b"]
    assert left_behind(sidecar) == []


def test_what_a_killed_process_left_is_removed_by_the_next(s3: S3Server, s3_sidecar: Sidecar, mute_server: str) -> None:
    """After SIGKILL the next request is right, and leaves nothing."""
    s3.put({"apps/demo/a.yaml": config_map("a")})
    with s3_sidecar.fetching(AWS_ENDPOINT_URL=mute_server) as process:
        process.kill()
    before = left_behind(s3_sidecar)

    generate = s3_sidecar.run("generate")

    assert len(before) == 1
    assert names(generate.stdout) == ["a"]
    assert left_behind(s3_sidecar) == []


def test_init_says_what_it_fetched(s3: S3Server, s3_sidecar: Sidecar) -> None:
    """One line before the fetch, one after it, and nothing else."""
    s3.put({"apps/demo/a.yaml": config_map("a"), "apps/demo/b.yaml": config_map("b")})

    init = s3_sidecar.run("init")

    before, after = init.stderr.decode().splitlines()
    assert re.fullmatch(r"fetching s3://test-bucket/apps/demo for application demo \[request [0-9a-f]{8}\]", before)
    assert after.startswith("fetched 2 files, 102 bytes, revision sha256:")


def test_a_failure_prints_nothing_and_leaves_nothing(s3: S3Server, s3_sidecar: Sidecar) -> None:
    """A partial answer is never given."""
    s3.put({"apps/demo/a.yaml": config_map("a"), "apps/demo/b.yaml": b"kind: [\n"})

    generate = s3_sidecar.run("generate")

    assert (generate.returncode, generate.stdout) == (65, b"")
    assert b"b.yaml:" in generate.stderr
    assert left_behind(s3_sidecar) == []
