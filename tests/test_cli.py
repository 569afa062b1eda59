"""The command line: what each command prints, the exit code it ends with, and that nothing else reaches stdout."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from e2e_support import COMMAND
from host_support import BACKEND, MANIFEST, MODEL, FakeSite

from cmp_core import cli, errors, offline, reporting
from cmp_core.cli import main, write_all
from cmp_core.errors import CmpError, OutputError

COMMANDS = [
    "init",
    "generate",
    "discover",
    "parameters",
    "validate",
    "schema",
    "backends",
    "doctor",
    "new-backend",
    "version",
]
REQUIRED = {"new-backend": ("oci", "new")}
CLASSES = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, CmpError)]

BLOCKING = f"""{MODEL}
import select, sys
@hookimpl
def fetch(destination):
    (destination / "half").write_text("x")
    print("ready", file=sys.stderr, flush=True)
    select.select([], [], [])
"""


@pytest.fixture(autouse=True)
def fresh_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An environment without settings, and logging as it was afterwards."""
    for name in list(os.environ):
        if name.startswith(("CMP_", "ARGOCD_", "PARAM_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    root, own = logging.getLogger(), logging.getLogger("cmp_core")
    before = [(log, log.handlers[:], log.level, log.propagate) for log in (root, own)]
    reporting.configure()
    yield
    logging.captureWarnings(capture=False)
    for log, handlers, level, propagate in before:
        log.handlers, log.propagate = handlers, propagate
        log.setLevel(level)


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An application's folder with a trigger file, and the working directory."""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "demo-source.yaml").write_text("bucket: b\nversion: 1.10\n", encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


def run(*arguments: str) -> tuple[int, str]:
    """Run a command in this process; return its exit code and what it wrote."""
    written: list[bytes] = []
    code = main(arguments, written.append)
    assert len(written) <= 1
    return code, b"".join(written).decode()


def without_id(stderr: str) -> str:
    """Return what was said without the request's id, which only the commands that fetch have."""
    return re.sub(r" \[request [0-9a-f]{8}\]", "", stderr)


def shell(script: str, **variables: str) -> "subprocess.CompletedProcess[bytes]":
    """Run a line of shell in which `$0` is the installed command."""
    environment = {"PATH": os.defpath} | variables
    return subprocess.run(["/bin/sh", "-c", script, COMMAND], env=environment, capture_output=True, check=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    """On stdout, with exit 0: help that was asked for is a result."""
    code, text = run(command, "-h")

    assert code == 0
    assert text.startswith(f"usage: cmp-core {command} ")
    assert f"\nexample: cmp-core {command}" in text


def test_the_help_lists_every_command() -> None:
    """Each with a line on what it does."""
    result = shell('"$0" --help')

    lines = result.stdout.decode().splitlines()
    assert (result.returncode, result.stderr) == (0, b"")
    assert [line.split()[0] for line in lines if line.startswith("    ") and line.split()[0] in COMMANDS] == COMMANDS
    assert lines[-1] == "example: cmp-core generate --directory apps/demo"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "the following arguments are required: COMMAND: see `cmp-core -h`"),
        (["nope"], "'nope'"),
        (["gener"], "'gener'"),
        (["--hel"], "see `cmp-core -h`"),
        (["version", "more"], "unrecognized arguments: more: see `cmp-core -h`"),
        (["generate", "--dir", "x"], "unrecognized arguments: --dir x: see `cmp-core -h`"),
        (["generate", "--directory"], "argument --directory: expected one argument: see `cmp-core generate -h`"),
        (["backends", "-o", "xml"], "'xml'"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(
    arguments: list[str], told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Exit 64, one line that leads to the help, and no abbreviations."""
    code, text = run(*arguments)

    line = capfd.readouterr().err
    assert (code, text) == (64, "")
    assert line.startswith("error: ")
    assert told in line
    assert line.count("\n") == 1


@pytest.mark.parametrize("error_class", CLASSES)
def test_an_error_ends_with_the_exit_code_of_its_class(
    error_class: type[CmpError], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """And with its sentence, once, on stderr alone."""

    def fail(*_arguments: object) -> None:
        raise error_class("what, where: what to do")

    monkeypatch.setattr(offline, "validate_sources", fail)

    code, text = run("validate")

    assert (code, text) == (error_class.exit_code, "")
    assert capfd.readouterr().err == "error: what, where: what to do\n"


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), SystemExit(0), GeneratorExit("x")])
def test_anything_else_is_a_defect(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Exit 70 and one line; above all an exit with code 0 that a library calls is no success."""

    def fail(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr(offline, "validate_sources", fail)

    code, text = run("validate")

    assert (code, text) == (70, "")
    assert capfd.readouterr().err == (f"error: defect in cmp-core: {type(error).__name__}: {error}: please report it\n")


@pytest.mark.parametrize("command", ["init", "generate"])
def test_a_shortage_of_the_machine_is_no_defect(fake_site: FakeSite, app: Path, command: str) -> None:
    """Wherever memory runs out, it ends with the error that says so, no output, and nothing left."""
    fake_site.install(BACKEND.replace("(destination /", "(destination / 'half').write_text('x'); bytes(2**62)\n    ("))

    result = fake_site.run(app, command)

    assert (result.returncode, result.stdout) == (71, b"")
    assert without_id(result.stderr.decode()).splitlines()[-1].startswith("error: this process got no more memory: ")
    assert [path.name for path in app.iterdir()] == ["demo-source.yaml"]


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "doctor"])
def test_bad_settings_stop_every_command(
    command: str, app: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """With the file's path and line; the doctor tells them in its report."""
    file = app.parent / "settings.yaml"
    file.write_text("# operators\ntimeot: 5\n", encoding="utf-8")
    monkeypatch.setenv("CMP_SETTINGS", str(file))

    code, text = run(command, *REQUIRED.get(command, ()))

    told = without_id(capfd.readouterr().err)
    assert (code, text) == (78, "")
    assert told == f"error: {file}:2: unknown key `timeot`: did you mean `timeout`?\n"


def test_generate_prints_the_manifests_alone(fake_site: FakeSite, app: Path) -> None:
    """With and without an `init` before it."""
    fake_site.install()

    results = [run("generate"), run("init"), run("generate"), run("generate", "--directory", str(app))]

    stream = f"---\n{MANIFEST}"
    assert results == [(0, stream), (0, ""), (0, stream), (0, stream)]
    assert [path.name for path in app.iterdir()] == ["demo-source.yaml"]


def test_discover_prints_the_name_or_nothing(fake_site: FakeSite, app: Path, tmp_path: Path) -> None:
    """Argo CD takes output for a match, and an error for a failure."""
    fake_site.install()

    found, nothing, nowhere = (
        run("discover"),
        *(run("discover", "--directory", str(p)) for p in (tmp_path, tmp_path / "x")),
    )

    assert (found, nothing, nowhere) == ((0, "demo-source.yaml\n"), (0, ""), (0, ""))


def test_discover_does_not_care_for_what_is_not_installed(fake_site: FakeSite, app: Path) -> None:
    """Another plugin's trigger file is not ours."""
    found = run("discover")

    assert found == (0, "")


def test_version_prints_name_and_version() -> None:
    """Of the installed distribution."""
    result = run("version")

    assert result == (0, f"cmp-core {version('cmp-core')}\n")


def test_a_backend_can_be_checked_where_pytest_is_not_installed() -> None:
    """Whoever only installs a backend has no test tools; every check is told, and the exit code sums up."""
    start = "import sys; sys.modules['pytest'] = None; from cmp_core.cli import console; console()"
    command = [sys.executable, "-c", start, "backends", "--check", "local"]

    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    lines = re.sub(r"in \d+ ms", "in {time}", re.sub(r"local \d[\w.]*", "local {version}", result.stdout)).splitlines()
    assert (result.returncode, result.stderr) == (0, "")
    assert lines == [
        "ok        import       `cmp_backend_local` is imported in {time}, loads no SDK and opens nothing",
        "ok        hooks        backend `local` (cmp-backend-local {version}) implements `source_model`, `fetch`",
        "ok        schema       all 6 keys of `local-source.yaml` have a description and a schema for editors",
        "ok        parameters   all 6 keys are parameters that Argo CD's UI can show and an Application can set",
        "",
        "all is well (4 ok, 0 skipped)",
    ]


def test_a_check_ends_with_the_code_of_its_first_failure(fake_site: FakeSite) -> None:
    """As a diagnosis does; JSON has the same findings."""
    fake_site.install("import cmp_core\n")

    code, stdout = run("backends", "--check", "demo", "-o", "json")

    report = json.loads(stdout)
    assert (code, report["exitCode"]) == (69, 69)
    assert [(each["check"], each["outcome"]) for each in report["findings"]] == [
        ("import", "ok"),
        ("hooks", "failed"),
        ("schema", "skipped"),
        ("parameters", "skipped"),
    ]


def test_a_check_of_an_unknown_backend_is_an_error(fake_site: FakeSite, capfd: pytest.CaptureFixture[str]) -> None:
    """As everywhere else where a backend is named."""
    fake_site.install()

    result = run("backends", "--check", "dmeo")

    assert result == (69, "")
    assert capfd.readouterr().err.startswith(
        "error: backend `dmeo` is not installed; installed are demo (demo-source.yaml)"
    )


def test_backends_are_listed_as_a_table_or_as_json(fake_site: FakeSite) -> None:
    """Name, trigger file, distribution and version; without loading any."""
    fake_site.install("raise RuntimeError", name="longer-name")

    text, as_json = run("backends"), run("backends", "-o", "json")

    assert text == (
        0,
        (
            "NAME         TRIGGER FILE             DISTRIBUTION      VERSION\n"
            "longer-name  longer-name-source.yaml  cmp-backend-demo  1.2\n"
        ),
    )
    assert json.loads(as_json[1]) == [
        {
            "name": "longer-name",
            "triggerFile": "longer-name-source.yaml",
            "distribution": "cmp-backend-demo",
            "version": "1.2",
        }
    ]


def test_no_backend_is_an_empty_list(fake_site: FakeSite) -> None:
    """A script can read it."""
    as_json = run("backends", "-o", "json")

    assert as_json == (0, "[]\n")


def test_validate_tells_each_valid_file(fake_site: FakeSite, app: Path) -> None:
    """The folder by default, or the paths that are named."""
    fake_site.install()

    default, named = run("validate"), run("validate", "demo-source.yaml", str(app))

    assert default == (0, ".: valid: demo://b\n")
    assert named == (0, f"demo-source.yaml: valid: demo://b\n{app}: valid: demo://b\n")


def test_a_path_of_any_bytes_is_told_as_it_is(fake_site: FakeSite, app: Path) -> None:
    """A file system knows names that are no text."""
    fake_site.install()
    odd = app.parent / os.fsdecode(b"\xff")
    odd.mkdir()
    (odd / "demo-source.yaml").write_text("bucket: b\n", encoding="utf-8")
    written: list[bytes] = []

    code = main(["validate", str(odd)], written.append)

    assert (code, written) == (0, [os.fsencode(odd) + b": valid: demo://b\n"])


def test_parameters_and_schema_are_json(fake_site: FakeSite, app: Path) -> None:
    """An array of announcements, and an object."""
    fake_site.install()

    parameters, one, any_ = run("parameters"), run("schema", "demo"), run("schema")

    assert [code for code, _ in (parameters, one, any_)] == [0, 0, 0]
    announced = {each["name"]: each.get("string") for each in json.loads(parameters[1])}
    assert announced == {
        "bucket": "b",
        "version": "1.10",
        "include": None,
        "exclude": None,
        "limits": None,
        "render": None,
    }
    assert json.loads(one[1])["title"] == "demo-source.yaml"
    assert len(json.loads(any_[1])["anyOf"]) == 1


NOT_TAKEN = "error: stdout did not take the result ({}): run again with a reader that takes all of it\n"


def test_a_closed_stdout_is_a_failure() -> None:
    """Exit 74 and a sentence, never a success."""
    result = shell('"$0" version >&-')

    assert (result.returncode, result.stdout) == (74, b"")
    assert result.stderr.decode() == NOT_TAKEN.format("Bad file descriptor")


def test_a_pipe_without_a_reader_is_a_failure(fake_site: FakeSite, app: Path) -> None:
    """Whoever asked for the manifests is gone."""
    fake_site.install()
    reader, writer = os.pipe()
    os.close(reader)

    result = subprocess.run(
        fake_site.command("generate"), cwd=app, env={}, stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)

    assert result.returncode == 74
    assert without_id(result.stderr.decode()).endswith(NOT_TAKEN.format("Broken pipe"))
    assert b"rendered" not in result.stderr


def test_a_full_disk_is_a_failure(fake_site: FakeSite, app: Path) -> None:
    """Half of the manifests must not look like all of them."""
    fake_site.install()

    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            fake_site.command("generate"), cwd=app, env={}, stdout=full, stderr=subprocess.PIPE, check=False
        )

    assert result.returncode == 74
    assert without_id(result.stderr.decode()).endswith(NOT_TAKEN.format("No space left on device"))


def test_a_closed_stderr_is_no_failure_and_spoils_nothing(fake_site: FakeSite, app: Path) -> None:
    """What would be said there must not land in the manifests."""
    fake_site.install(BACKEND.replace("(destination /", "print('noise', flush=True)\n    (destination /"))
    closing = ["/bin/sh", "-c", 'exec "$@" <&- 2>&-', "sh"]

    result = subprocess.run(
        [*closing, *fake_site.command("generate")], cwd=app, env={}, capture_output=True, check=False
    )

    assert (result.returncode, result.stdout) == (0, f"---\n{MANIFEST}".encode())


def test_what_a_library_prints_does_not_spoil_the_result(fake_site: FakeSite, app: Path) -> None:
    """Python's print, a raw write and a child process: a stray line would become a field of the first object.

    It does not reach stderr either, where nothing would redact it.
    """
    noise = "print('print')\n    os.write(1, b'write\\n')\n    os.system('echo child')\n    (destination /"
    fake_site.install("import os\n" + BACKEND.replace("(destination /", noise))

    result = fake_site.run(app, "generate")

    assert (result.returncode, result.stdout) == (0, f"---\n{MANIFEST}".encode())
    assert not {b"print", b"write", b"child"} & set(result.stderr.splitlines())


@pytest.mark.parametrize("command", ["init", "generate"])
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_with_nothing_left(
    fake_site: FakeSite, app: Path, command: str, sent: signal.Signals, code: int
) -> None:
    """The usual exit codes, and what it was doing; no scratch folder, no output, no traceback."""
    fake_site.install(BLOCKING)
    with fake_site.start(app, command) as process:
        assert process.stderr is not None
        while process.stderr.readline() != b"ready\n":
            assert process.poll() is None
        was_there = len(list(app.iterdir()))

        process.send_signal(sent)
        stdout, stderr = process.communicate(timeout=30)

    assert (process.returncode, stdout) == (code, b"")
    assert without_id(stderr.decode()) == f"error: stopped by {sent.name} while fetching demo://b: run it again\n"
    assert was_there == 2
    assert [path.name for path in app.iterdir()] == ["demo-source.yaml"]


def test_a_signal_at_the_very_end_is_no_success(fake_site: FakeSite, app: Path) -> None:
    """SIGTERM may come while the error is told, where nothing catches it: exit 0 would stand for no manifests."""
    told = "import os, signal, cmp_core.reporting as r; r.fail = lambda error: os.kill(os.getpid(), signal.SIGTERM)\n"
    *python, code, command = fake_site.command("generate")

    result = subprocess.run([*python, told + code, command], cwd=app, env={}, capture_output=True, check=False)

    assert (result.returncode, result.stdout) == (143, b"")


def test_past_the_deadline_it_tells_the_step(fake_site: FakeSite, app: Path) -> None:
    """Exit 75, the step, and nothing left."""
    fake_site.install(BLOCKING)

    result = fake_site.run(app, "generate", CMP_TIMEOUT="5")

    assert (result.returncode, result.stdout) == (75, b"")
    assert result.stderr.splitlines()[-1].startswith(b"error: stopped after 5 s while fetching demo://b: ")
    assert [path.name for path in app.iterdir()] == ["demo-source.yaml"]


def test_an_exit_within_a_backend_is_no_success(fake_site: FakeSite, app: Path) -> None:
    """Exit 0 with no output would be taken for an application without resources."""
    fake_site.install(f"{MODEL}\n@hookimpl\ndef fetch():\n    raise SystemExit(0)\n")

    result = fake_site.run(app, "generate", CMP_LOG_FORMAT="json")

    assert (result.returncode, result.stdout) == (70, b"")
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert lines[-1]["level"] == "error"
    assert lines[-1]["message"].startswith("backend `demo` (cmp-backend-demo 1.2): defect in `fetch`: SystemExit: 0: ")


def loaded_by(*arguments: str, directory: Path) -> set[str]:
    """Return the modules that are loaded after a command of the real installation has run."""
    code = (
        "import sys; from cmp_core.cli import main; code = main(sys.argv[1:], lambda content: None)\n"
        "print(code, *sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments],
        cwd=directory,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=True,
    )
    exit_code, *modules = result.stdout.split()
    assert exit_code == "0", result.stderr
    return set(modules)


@pytest.mark.parametrize("command", ["version", "discover", "backends"])
def test_the_quick_commands_load_no_heavy_module(command: str, tmp_path: Path) -> None:
    """Without settings, Argo CD's discovery costs an interpreter and little more."""
    (tmp_path / "s3-source.yaml").write_text("bucket: test-bucket\npath: apps/demo\n", encoding="utf-8")

    modules = loaded_by(command, directory=tmp_path)

    assert not modules & {"pydantic", "pydantic_core", "yaml", "pluggy", "fsspec", "tqdm", "asyncio", "cmp_backend_s3"}


@pytest.mark.parametrize("command", ["validate", "parameters"])
def test_the_offline_commands_load_no_sdk(command: str, tmp_path: Path) -> None:
    """Validation of an S3 source needs no S3."""
    (tmp_path / "s3-source.yaml").write_text("bucket: test-bucket\npath: apps/demo\n", encoding="utf-8")

    modules = loaded_by(command, directory=tmp_path)

    assert "cmp_backend_s3" in modules
    assert not modules & {"s3fs", "fsspec", "botocore", "aiobotocore", "boto3", "aiohttp", "asyncio", "requests"}


def test_a_result_is_written_whole(tmp_path: Path) -> None:
    """A pipe takes it in pieces; an empty one is written as well."""
    reader, writer = os.pipe()
    content = b"x" * 40_000

    write_all(writer, content)

    received = b""
    while piece := os.read(reader, 65536):
        received += piece
    os.close(reader)
    assert received == content


def test_a_descriptor_that_is_closed_is_an_output_error() -> None:
    """Also where there is nothing to write."""
    with pytest.raises(OutputError):
        write_all(-1, b"")
    with pytest.raises(OutputError, match="Bad file descriptor"):
        write_all(-1, b"x")


def test_relative_entries_leave_the_module_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """They lead into the working directory, which is somebody's repository."""
    ended: list[int] = []
    monkeypatch.setattr(sys, "path", ["", ".", "lib", "/absolute"])
    monkeypatch.setattr(sys, "argv", ["cmp-core", "-h"])
    monkeypatch.setattr(cli, "_claim_stdout", lambda: os.open(os.devnull, os.O_WRONLY))
    monkeypatch.setattr(os, "_exit", ended.append)
    handler = signal.getsignal(signal.SIGTERM)

    run_console: Callable[[], object] = cli.console  # which returns only because the process does not end here
    run_console()
    signal.signal(signal.SIGTERM, handler)

    assert (ended, sys.path) == ([0], ["/absolute"])
