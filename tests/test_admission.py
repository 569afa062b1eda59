"""Admission: every line of a request bears its id, and one line of JSON tells how the request went."""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from docs_support import DOCS
from host_support import BACKEND, MANIFEST, MODEL, FakeSite

from cmp_core.scratch import Scratch, request_id

FAILING = f"""{MODEL}
from cmp_core import SourceNotFoundError
@hookimpl
def fetch():
    raise SourceNotFoundError("nothing is at https://user:pass@host: look elsewhere")
"""

HANGING = f"""{MODEL}
import select, sys
@hookimpl
def fetch():
    print("ready", file=sys.stderr, flush=True)
    try:
        select.select([], [], [])
    finally:
        CLEAN_UP
"""

IMPORTING = """
import os, select
try:
    select.select([], [], [])
except BaseException as error:
    os.write(2, b"panic")
    raise ImportError from error
"""

FINALISING = f"""{MODEL}
class Connection:
    def __del__(self):
        raise OSError("a finaliser of known-secret failed")

@hookimpl
def fetch(source, destination):
    Connection()
    (destination / "a.yaml").write_text({MANIFEST!r})
    return Artifact.from_directory(destination)
"""

KEYS = [
    *("time", "level", "logger", "message", "request", "application", "project", "source", "objects", "bytes"),
    *("revision", "manifests", "renderer", "seconds", "outcome", "exitCode"),
]


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An application's folder with a trigger file."""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "demo-source.yaml").write_text("bucket: b\n", encoding="utf-8")
    return folder


def run(site: FakeSite, app: Path, command: str, **variables: str) -> "subprocess.CompletedProcess[bytes]":
    """Run a command that logs JSON, as an application of a project."""
    argo_cd = {"ARGOCD_APP_NAME": "demo-app", "ARGOCD_APP_PROJECT_NAME": "team-a", "CMP_LOG_FORMAT": "json"}
    return site.run(app, command, **argo_cd | variables)


def lines_of(stderr: bytes) -> list[dict[str, Any]]:
    """Return the lines of JSON."""
    return [json.loads(line) for line in stderr.splitlines() if line.startswith(b"{")]


def last_of(stderr: bytes) -> dict[str, Any]:
    """Return the one line that tells the outcome, which is the last one."""
    *others, last = lines_of(stderr)
    assert [line for line in others if "outcome" in line] == []
    assert list(last) == KEYS
    return last


def test_both_processes_of_a_request_have_one_id(fake_site: FakeSite, app: Path) -> None:
    """Argo CD runs both in one new folder; another folder is another request."""
    fake_site.install()
    other = shutil.copytree(app, app.with_name("other"))

    told = [fake_site.run(*each).stderr.decode() for each in ((app, "init"), (app, "generate"), (other, "init"))]

    ids = [set(re.findall(r" \[request ([0-9a-f]{8})\]$", stderr, re.MULTILINE)) for stderr in told]
    assert [len(each) for each in ids] == [1, 1, 1]
    assert ids[0] == ids[1] != ids[2]
    assert all(line.endswith("]") for stderr in told for line in stderr.splitlines())


def test_a_folder_made_again_is_another_request(app: Path) -> None:
    """Not only its path counts."""
    before = request_id(app)
    app.rename(app.with_name("before"))
    app.mkdir()

    assert request_id(app) != before


@pytest.mark.parametrize("name", ["missing", os.fsdecode(b"\xff")])
def test_a_folder_that_is_no_folder_has_an_id(tmp_path: Path, name: str) -> None:
    """The error about it shall bear one too."""
    assert re.fullmatch("[0-9a-f]{8}", request_id(tmp_path / name))


def test_a_folder_with_a_name_of_any_bytes_works(fake_site: FakeSite, app: Path) -> None:
    """Git knows such names."""
    fake_site.install()
    odd = app.rename(app.with_name(os.fsdecode(b"\xff")))

    init, generate = fake_site.run(odd, "init"), fake_site.run(odd, "generate")

    assert (init.returncode, generate.stdout) == (0, f"---\n{MANIFEST}".encode())
    assert b"fetching" not in generate.stderr


def test_the_last_line_of_a_request_tells_it_all(fake_site: FakeSite, app: Path) -> None:
    """`init` says only what it fetches from where, and leaves the figures to `generate`."""
    fake_site.install()

    init, generate = run(fake_site, app, "init"), run(fake_site, app, "generate")

    (early,) = lines_of(init.stderr)
    (line,) = lines_of(generate.stderr)
    assert early.pop("time") <= line["time"]
    assert early == {
        "level": "info",
        "logger": "cmp_core",
        "message": "fetching demo://b for application demo-app",
        "request": line["request"],
    }
    seconds = line["seconds"]
    assert list(line) == KEYS
    assert list(seconds) == ["wait", "fetch", "render", "total"]
    assert sum(seconds[step] for step in ("wait", "fetch", "render")) <= seconds["total"]
    assert re.fullmatch("sha256:[0-9a-f]{64}", line["revision"])
    told = {key: line[key] for key in KEYS if key not in {"time", "message", "request", "revision", "seconds"}}
    assert told == {
        "level": "info",
        "logger": "cmp_core",
        "application": "demo-app",
        "project": "team-a",
        "source": "demo://b",
        "objects": 1,
        "bytes": len(MANIFEST),
        "manifests": 1,
        "renderer": None,
        "outcome": "ok",
        "exitCode": 0,
    }


def test_a_generate_without_an_init_tells_it_all_too(fake_site: FakeSite, app: Path) -> None:
    """After the line that says what it fetches."""
    fake_site.install()

    line = last_of(run(fake_site, app, "generate").stderr)

    assert (line["outcome"], line["objects"], line["manifests"]) == ("ok", 1, 1)
    assert line["seconds"]["fetch"] is not None


@pytest.mark.parametrize("command", ["init", "generate"])
def test_a_failure_tells_what_was_known(fake_site: FakeSite, app: Path, command: str) -> None:
    """All keys are there, with null for what nobody will know; nothing secret is in any of them."""
    fake_site.install(FAILING)

    result = run(fake_site, app, command)

    line = last_of(result.stderr)
    assert (line["level"], line["outcome"], line["exitCode"]) == ("error", "SourceNotFoundError", result.returncode)
    assert line["message"] == "nothing is at https://[redacted]@host: look elsewhere"
    assert (line["source"], line["application"], line["project"]) == ("demo://b", "demo-app", "team-a")
    assert [line[key] for key in ("objects", "bytes", "revision", "manifests")] == [None] * 4
    assert [line["seconds"][key] is None for key in ("wait", "fetch", "render", "total")] == [False, False, True, False]


def test_a_source_is_redacted(fake_site: FakeSite, app: Path) -> None:
    """By shape and by value, as every text of the line."""
    fake_site.install()
    (app / "demo-source.yaml").write_text("bucket: user:hidden@host/known-secret\n", encoding="utf-8")

    result = run(fake_site, app, "generate", MY_TOKEN="known-secret", ARGOCD_APP_NAME="app-known-secret")

    line = last_of(result.stderr)
    assert line["source"] == "demo://[redacted]@host/[redacted]"
    assert line["application"] == "app-[redacted]"
    assert b"hidden" not in result.stderr
    assert b"known-secret" not in result.stderr


def test_settings_that_are_wrong_are_a_failed_request(fake_site: FakeSite, app: Path) -> None:
    """The id stands there before anything is known."""
    fake_site.install()

    line = last_of(run(fake_site, app, "init", CMP_TIMEOUT="soon").stderr)

    assert (line["outcome"], line["exitCode"], line["source"]) == ("SettingsError", 78, None)
    assert line["application"] == "demo-app"


def test_manifests_that_nobody_takes_are_a_failed_request(fake_site: FakeSite, app: Path) -> None:
    """It is not told to be well before they are gone."""
    fake_site.install()

    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            fake_site.command("generate"),
            cwd=app,
            env={"CMP_LOG_FORMAT": "json"},
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )

    line = last_of(result.stderr)
    assert (line["outcome"], line["manifests"], line["exitCode"]) == ("OutputError", 1, 74)


@pytest.mark.parametrize(
    ("sent", "outcome", "code"), [(signal.SIGTERM, "Terminated", 143), (signal.SIGINT, "Interrupted", 130)]
)
def test_a_signal_is_an_outcome(fake_site: FakeSite, app: Path, sent: signal.Signals, outcome: str, code: int) -> None:
    """With what it was doing."""
    fake_site.install(HANGING.replace("CLEAN_UP", "pass"))

    with fake_site.start(app, "generate", CMP_LOG_FORMAT="json") as process:
        assert process.stderr is not None
        while process.stderr.readline() != b"ready\n":
            assert process.poll() is None
        process.send_signal(sent)
        _, stderr = process.communicate(timeout=30)

    line = last_of(stderr)
    assert (line["outcome"], line["exitCode"], process.returncode) == (outcome, code, code)
    assert line["message"] == f"stopped by {sent.name} while fetching demo://b: run it again"


@pytest.mark.parametrize("clean_up", ["pass", "select.select([], [], [])"])
def test_the_deadline_is_an_outcome(fake_site: FakeSite, app: Path, clean_up: str) -> None:
    """Also by the last words of a process that hangs in its clean-up."""
    fake_site.install(HANGING.replace("CLEAN_UP", clean_up))

    result = run(fake_site, app, "generate", CMP_TIMEOUT="5")

    line = last_of(result.stderr)
    assert (line["outcome"], line["exitCode"], result.returncode) == ("DeadlineExceededError", 75, 75)
    assert line["message"].startswith("stopped after 5 s while fetching demo://b: ")
    assert line["seconds"]["fetch"] > 0


def test_time_that_init_has_used_up_is_not_there_again(fake_site: FakeSite, app: Path) -> None:
    """Both commands share one deadline: `generate` does not begin anew where `init` has left it none."""
    fake_site.install()
    run(fake_site, app, "init")
    leave_again(app, fake_site, seconds=50)

    result = run(fake_site, app, "generate")

    line = last_of(result.stderr)
    assert (line["outcome"], result.stdout) == ("DeadlineExceededError", b"")
    assert 50 <= line["seconds"]["total"] < 60


def test_time_that_init_has_used_counts_while_generate_waits(fake_site: FakeSite, app: Path) -> None:
    """The wait for a slot is within the deadline of the request, not only of the second command."""
    fake_site.install()
    run(fake_site, app, "init")
    leave_again(app, fake_site, seconds=42)
    slot = fake_site.directory / f"cmp-core-{os.geteuid()}" / "slots" / "0.lock"

    with slot.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        line = last_of(run(fake_site, app, "generate", CMP_MAX_CONCURRENCY="1").stderr)

    assert line["message"].startswith("stopped after 45 s while waiting for the only slot")
    assert line["seconds"]["total"] >= 45
    assert line["seconds"]["wait"] < 20


def leave_again(app: Path, site: FakeSite, *, seconds: float) -> None:
    """Let the `init` that has just ended have begun so long ago."""
    scratch = Scratch(app, site.directory / f"cmp-core-{os.geteuid()}")
    record = json.loads((scratch._path / "record.json").read_text())
    payload = json.loads(record["payload"])
    payload["started"] = time.monotonic() - seconds
    text = json.dumps(payload)
    (scratch._path / "record.json").write_text(json.dumps({"payload": text, "code": scratch._authenticate(text)}))


def test_what_python_cannot_raise_is_not_told(fake_site: FakeSite, app: Path) -> None:
    """An error in a finaliser, the alarm of the deadline among them, would go to stderr past the redaction."""
    fake_site.install(FINALISING)

    quiet, verbose = (
        fake_site.run(app, "generate", CMP_LOG_LEVEL=level, MY_TOKEN="known-secret") for level in ("info", "debug")
    )

    assert (quiet.returncode, verbose.returncode) == (0, 0)
    assert b"finaliser" not in quiet.stderr
    assert b"Traceback" not in quiet.stderr
    assert b"a finaliser of [redacted] failed" in verbose.stderr
    assert b"known-secret" not in verbose.stderr


def test_the_deadline_does_not_interrupt_an_import(fake_site: FakeSite, app: Path) -> None:
    """Native code that imports takes any exception for its own failure, and panics on stderr."""
    fake_site.install(IMPORTING)

    result = run(fake_site, app, "generate", CMP_TIMEOUT="5")

    line = last_of(result.stderr)
    assert (line["outcome"], result.returncode) == ("DeadlineExceededError", 75)
    assert b"panic" not in result.stderr


def test_the_keys_are_those_of_the_documentation() -> None:
    """In its order."""
    page = (DOCS / "reference" / "logs.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.]+)` \|", page, re.MULTILINE)

    seconds = [f"seconds.{step}" for step in ("wait", "fetch", "render", "total")]
    at = KEYS.index("seconds")
    assert rows == [*KEYS[:at], *seconds, *KEYS[at + 1 :]]


def test_text_has_its_short_lines(fake_site: FakeSite, app: Path) -> None:
    """With the id at the end of each."""
    fake_site.install(BACKEND)

    init, generate = fake_site.run(app, "init").stderr.decode(), fake_site.run(app, "generate").stderr.decode()

    end = r", revision sha256:\w{12}, in \d\.\d\d s \[request (\w+)\]"
    fetching, fetched = init.splitlines()
    assert re.fullmatch(r"fetching demo://b \[request (\w+)\]", fetching)
    assert re.fullmatch(rf"fetched 1 files, {len(MANIFEST)} bytes{end}", fetched)
    assert re.fullmatch(rf"rendered 1 manifests of demo://b{end}\n", generate)
