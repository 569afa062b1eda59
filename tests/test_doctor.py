"""`cmp-core doctor`: what the host checks itself, and how it goes on where a check or a backend fails."""

import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from docs_support import DOCS
from host_support import BACKEND, MODEL, FakeSite

from cmp_core.doctor import MOST_FINDINGS, _check_backends
from cmp_core.errors import BackendLoadError
from cmp_core.settings import Settings

FETCH = "\n@hookimpl\ndef fetch():\n    raise NotImplementedError\n"
HEAD = f"{MODEL}{FETCH}\nimport time\nfrom cmp_core import Finding, SourceAccessError\n@hookimpl\n"
WHO = "backend `demo` (cmp-backend-demo 1.2)"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An application's folder with a trigger file."""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "demo-source.yaml").write_text("bucket: b\n", encoding="utf-8")
    return folder


def diagnosing(body: str, arguments: str = "source, environment") -> str:
    """Return the code of a backend with this `diagnose`."""
    return f"{HEAD}def diagnose({arguments}):\n    {body}\n"


def doctor(site: FakeSite, directory: Path, *arguments: str, **variables: str) -> tuple[int, list[dict[str, Any]]]:
    """Run the doctor in a folder; return the exit code and the findings."""
    result = site.run(directory, "doctor", *(arguments or (".",)), "-o", "json", **variables)
    assert result.stderr.decode() == ""
    whole = json.loads(result.stdout)
    assert (whole["ok"], whole["exitCode"]) == (result.returncode == 0, result.returncode)
    return result.returncode, whole["findings"]


def outcomes(findings: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return each check with its outcome."""
    return [(finding["check"], finding["outcome"]) for finding in findings]


def finding_of(check: str, findings: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the one finding of a check."""
    (found,) = [finding for finding in findings if finding["check"] == check]
    return found


def test_the_checks_come_in_their_order(fake_site: FakeSite, app: Path) -> None:
    """From the settings to the source; a backend without checks of its own is no failure."""
    fake_site.install()

    code, findings = doctor(fake_site, app)

    assert code == 0
    assert outcomes(findings) == [
        ("settings", "ok"),
        ("backends", "ok"),
        ("tools", "ok"),
        ("state", "ok"),
        ("trigger", "ok"),
        ("folder", "ok"),
        ("source", "skipped"),
    ]
    assert findings[-1]["message"].startswith(f"{WHO} has no checks of its own")


def test_a_backends_findings_come_last_and_know_the_source(fake_site: FakeSite, app: Path) -> None:
    """The hook gets the validated trigger file, and its failure decides on the exit code."""
    body = (
        "yield Finding('where', 'ok', source.location)\n"
        "    yield Finding.of_error('list', SourceAccessError('denied: allow it'))"
    )
    fake_site.install(diagnosing(body))

    code, findings = doctor(fake_site, app)

    assert code == 77
    assert [finding["message"] for finding in findings[-2:]] == ["demo://b", "denied"]
    assert findings[-1]["error"] == "SourceAccessError"


def test_the_trigger_file_itself_may_be_named(fake_site: FakeSite, app: Path) -> None:
    """As `validate` takes it."""
    fake_site.install(diagnosing("yield Finding('where', 'ok', source.location)"))

    code, findings = doctor(fake_site, app.parent, "app/demo-source.yaml")

    assert code == 0
    assert finding_of("folder", findings)["message"].startswith(f"{app} takes a scratch folder")
    assert findings[-1]["message"] == "demo://b"


def test_nothing_is_left_in_the_folder(fake_site: FakeSite, app: Path) -> None:
    """The scratch folder that it tries is gone."""
    fake_site.install()

    doctor(fake_site, app)

    assert [path.name for path in app.iterdir()] == ["demo-source.yaml"]


def test_without_a_trigger_file_every_backend_is_asked_about_the_sidecar(fake_site: FakeSite, tmp_path: Path) -> None:
    """In the order of their names, without a source."""
    folder = tmp_path / "empty"
    folder.mkdir()
    body = "yield Finding('where', 'ok', f'{__name__}: {source}')"
    for name in ("beta", "alpha"):
        fake_site.install(diagnosing(body), name=name, distribution=f"cmp-backend-{name}")

    result = fake_site.run(folder, "doctor", "-o", "json")

    findings = json.loads(result.stdout)["findings"]
    assert result.returncode == 0
    assert finding_of("trigger", findings)["outcome"] == "skipped"
    assert [re.sub(r"\d+", "", finding["message"]) for finding in findings if finding["check"] == "where"] == [
        "made_up_backend_: None",
        "made_up_backend_: None",
    ]
    assert "folder" not in dict(outcomes(findings))


@pytest.mark.parametrize("name", ["two-source.yaml", "demo-source.yml"])
def test_a_wrong_trigger_file_is_no_missing_one(fake_site: FakeSite, app: Path, name: str) -> None:
    """Also where no folder was named, several of them, or one with another ending, are what is wrong."""
    fake_site.install()
    if name.endswith("yml"):
        (app / "demo-source.yaml").unlink()
    (app / name).write_text("bucket: b\n", encoding="utf-8")

    result = fake_site.run(app, "doctor", "-o", "json")

    assert result.returncode == 78
    assert finding_of("trigger", json.loads(result.stdout)["findings"])["error"] == "TriggerFileError"


def test_a_folder_that_does_not_exist_is_told(fake_site: FakeSite, app: Path) -> None:
    """As a finding, and the rest is checked all the same."""
    fake_site.install()

    code, findings = doctor(fake_site, app, "nowhere")

    assert code == 78
    assert finding_of("trigger", findings)["remedy"].startswith("name a folder")
    assert finding_of("source", findings)["outcome"] == "skipped"


@pytest.mark.parametrize(
    ("body", "told", "error"),
    [
        ("yield 1 / 0", f"{WHO}: defect in `diagnose`: ZeroDivisionError: division by zero", "CmpError"),
        ("return 1 / 0", f"{WHO}: defect in `diagnose`: ZeroDivisionError: division by zero", "CmpError"),
        ("raise SystemExit(0)", f"{WHO}: defect in `diagnose`: SystemExit: 0", "CmpError"),
        ("return 5", f"{WHO}: defect in `diagnose`: TypeError: 'int' object is not iterable", "CmpError"),
        ("yield 'fine'", f"{WHO}: `diagnose` must yield Findings", "CmpError"),
        (
            "yield Finding('DNS', 'ok', 'x')",
            f"{WHO}: defect in `diagnose`: ValueError: 'DNS' names no check",
            "CmpError",
        ),
        ("raise SourceAccessError('denied: allow it')", "denied", "SourceAccessError"),
        (
            "while True: yield Finding('dns', 'ok', 'x')",
            f"{WHO}: `diagnose` yields more than {MOST_FINDINGS} findings",
            "CmpError",
        ),
    ],
)
def test_what_is_wrong_with_a_hook_is_a_finding(
    fake_site: FakeSite, app: Path, body: str, told: str, error: str
) -> None:
    """Nothing that a stranger's code does hides what was found before it."""
    fake_site.install(diagnosing(f"if True:\n        {body}"))

    code, findings = doctor(fake_site, app)

    failed = finding_of("source", findings)
    assert code == {"CmpError": 70, "SourceAccessError": 77}[error]
    assert failed["message"].startswith(told)
    assert (failed["error"], failed["outcome"]) == (error, "failed")
    assert outcomes(findings)[:6] == outcomes(doctor(fake_site, app)[1])[:6]
    assert len(findings) <= MOST_FINDINGS + 7


def test_a_defect_keeps_the_findings_before_it(fake_site: FakeSite, app: Path) -> None:
    """They were true when they were made."""
    fake_site.install(diagnosing("yield Finding('dns', 'ok', 'a name')\n    raise KeyError('x')"))

    _, findings = doctor(fake_site, app)

    assert outcomes(findings)[-2:] == [("dns", "ok"), ("source", "failed")]


@pytest.mark.parametrize(
    "hang",
    ["time.sleep(60)", "while True:\n        try: time.sleep(60)\n        except BaseException: pass"],
    ids=["patient", "stubborn"],
)
def test_a_check_that_hangs_ends_with_the_deadline(fake_site: FakeSite, app: Path, hang: str) -> None:
    """What was found by then is told, also where the hook does not let itself be interrupted."""
    step = "environment.deadline.step = 'checking the tides'"
    fake_site.install(diagnosing(f"yield Finding('dns', 'ok', 'a name')\n    {step}\n    {hang}"))
    started = time.monotonic()

    code, findings = doctor(fake_site, app, CMP_TIMEOUT="5")

    assert code == 75
    assert outcomes(findings)[-2:] == [("dns", "ok"), ("deadline", "failed")]
    assert findings[-1]["message"] == "stopped after 5 s while checking the tides"
    assert findings[-1]["remedy"].startswith("look for what holds this check up")
    assert time.monotonic() - started < 20  # 5 for the deadline and 1 of grace; the rest is for a busy machine


def test_a_broken_backend_does_not_hide_a_sound_one(fake_site: FakeSite, app: Path) -> None:
    """Each has a finding of its own."""
    fake_site.install("import no_such_sdk", name="aaa", distribution="cmp-backend-aaa")
    fake_site.install(diagnosing("yield Finding('where', 'ok', source.location)"))

    code, findings = doctor(fake_site, app)

    assert code == 69
    backends = [finding for finding in findings if finding["check"] == "backends"]
    assert [finding["outcome"] for finding in backends] == ["failed", "ok"]
    assert "No module named 'no_such_sdk'" in backends[0]["message"]
    assert findings[-1]["message"] == "demo://b"


def test_two_backends_of_one_name_are_told_once(fake_site: FakeSite, app: Path) -> None:
    """The finding names both distributions."""
    fake_site.install()
    fake_site.install(distribution="cmp-backend-twin")

    code, findings = doctor(fake_site, app)

    assert code == 69
    assert "cmp-backend-demo 1.2 and cmp-backend-twin 1.2" in finding_of("backends", findings)["message"]


def test_a_malformed_distribution_is_told(fake_site: FakeSite) -> None:
    """What it says about its backends cannot be read, so that nobody knows which there are."""
    fake_site.record("cmp-backend-odd", "1", "[cmp_core]\nthis is no entry point\n")

    (finding,) = _check_backends(Settings())

    assert finding.error is BackendLoadError
    assert "cmp-backend-odd 1: its entry_points.txt is malformed" in finding.message


def test_an_image_without_a_backend_is_told(fake_site: FakeSite, app: Path) -> None:
    """With what to do, before anybody looks for the trigger file's own."""
    code, findings = doctor(fake_site, app)

    assert code == 69
    assert finding_of("backends", findings)["remedy"] == "install the distribution of one into the sidecar's image"


def test_a_missing_requirement_is_told(fake_site: FakeSite, app: Path) -> None:
    """An image that was put together by hand may lack a library; one with a condition may rightly be absent."""
    backend = fake_site.install()
    metadata = fake_site.directory / "cmp_backend_demo-1.2.dist-info" / "METADATA"
    needed = 'Requires-Dist: pluggy>=1\nRequires-Dist: no-such-library>=1\nRequires-Dist: another; extra == "x"\n'
    metadata.write_text(metadata.read_text(encoding="utf-8") + needed, encoding="utf-8")

    code, findings = doctor(fake_site, app)

    assert code == 69
    tools = finding_of("tools", findings)
    assert tools["message"] == f"{backend.distribution} needs no-such-library, which is not installed"


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, "the defaults, since there is neither /etc/cmp-core/settings.yaml nor a CMP_* variable"),
        ({"CMP_TIMEOUT": "9", "CMP_ENDPOINT": ""}, "valid, from CMP_TIMEOUT; the defaults for the rest"),
        (
            {"CMP_SETTINGS": "{file}", "CMP_LIMITS_OBJECTS": "7"},
            "valid, from {file}, CMP_LIMITS_OBJECTS; the defaults for the rest",
        ),
    ],
)
def test_the_settings_tell_where_they_come_from(
    fake_site: FakeSite, app: Path, variables: dict[str, str], told: str
) -> None:
    """The file and the variables that are in force; one that is empty is not."""
    fake_site.install()
    file = app.parent / "settings.yaml"
    file.write_text("maxAttempts: 2\n", encoding="utf-8")

    code, findings = doctor(fake_site, app, **{name: value.format(file=file) for name, value in variables.items()})

    assert code == 0
    assert finding_of("settings", findings)["message"] == told.format(file=file)


def test_wrong_settings_are_all_told_and_the_source_is_left_alone(fake_site: FakeSite, app: Path) -> None:
    """By the defaults a backend would ask another service, with these credentials."""
    fake_site.install(diagnosing("yield Finding('where', 'ok', 'asked')"))

    code, findings = doctor(fake_site, app, CMP_TIMEOUT="soon", CMP_STORE_BYTES="many", CMP_ENDPOIND="x")

    assert code == 78
    assert outcomes(findings) == [
        ("settings", "failed"),
        ("backends", "ok"),
        ("tools", "ok"),
        ("state", "skipped"),
        ("trigger", "ok"),
        ("folder", "ok"),
        ("source", "skipped"),
    ]
    assert all(name in findings[0]["message"] for name in ("CMP_TIMEOUT", "CMP_STORE_BYTES", "CMP_ENDPOIND"))


def test_a_state_folder_that_others_may_read_is_told(fake_site: FakeSite, app: Path) -> None:
    """Requests do without one, at a price; so it is something to look at."""
    fake_site.install()
    state = app.parent / "state"
    state.mkdir(mode=0o755)

    code, findings = doctor(fake_site, app, CMP_STATE_DIRECTORY=str(state))

    assert code == 1
    assert finding_of("state", findings)["outcome"] == "warning"
    assert "it must be a folder of our user with mode 0700" in finding_of("state", findings)["message"]


def test_a_state_folder_that_cannot_be_made_is_told(fake_site: FakeSite, app: Path) -> None:
    """With the system's reason."""
    fake_site.install()

    code, findings = doctor(fake_site, app, CMP_STATE_DIRECTORY=str(app / "missing" / "state"))

    assert code == 1
    assert "No such file or directory" in finding_of("state", findings)["message"]


def test_the_room_on_the_disks_is_compared_with_what_may_come(fake_site: FakeSite, app: Path) -> None:
    """The store's size and the largest source are the operator's own figures."""
    fake_site.install()

    code, findings = doctor(fake_site, app, CMP_STORE_BYTES="999999999Gi", CMP_LIMITS_TOTAL_BYTES="999999999Gi")

    assert code == 1
    assert finding_of("state", findings)["remedy"].startswith("give its disk more room, or lower `storeBytes`")
    assert finding_of("folder", findings)["remedy"].startswith("give its disk more room, or lower `limits.totalBytes`")


def test_a_folder_that_takes_no_scratch_folder_is_told(fake_site: FakeSite, tmp_path: Path) -> None:
    """Here its path is so long that nothing with a longer name than the trigger file's fits into it."""
    fake_site.install()
    deep = tmp_path
    os.chdir(deep)
    while len(str(deep)) < 4095 - 30:
        name = "d" * min(200, 4095 - 30 - len(str(deep)))
        Path(name).mkdir()
        os.chdir(name)
        deep /= name
    Path("demo-source.yaml").write_text("bucket: b\n", encoding="utf-8")
    os.chdir(tmp_path)

    code, findings = doctor(fake_site, tmp_path, str(deep))

    assert code == 74
    assert finding_of("folder", findings)["error"] == "OutputError"
    assert finding_of("folder", findings)["remedy"] == "make the folder writable and leave room on its disk"


def test_broken_parameters_are_the_trigger_files_failure(fake_site: FakeSite, app: Path) -> None:
    """They belong to the source; the sidecar is checked without them."""
    fake_site.install(diagnosing("yield Finding('where', 'ok', str(source))"))

    code, findings = doctor(fake_site, app, ARGOCD_APP_PARAMETERS="[")

    assert code == 78
    assert finding_of("trigger", findings)["error"] == "SourceValidationError"
    assert findings[-1]["message"] == "None"


def test_no_secret_of_the_environment_is_told(fake_site: FakeSite, app: Path) -> None:
    """Whatever a backend says, in both notations."""
    body = "yield Finding('dns', 'failed', str(dict(environment.variables)), 'use a-secret-value-1')"
    fake_site.install(diagnosing(body))
    secrets = {"SOME_TOKEN": "a-secret-value-1", "SOME_URL": "http://u:a-secret-value-2@h/"}

    for output in ("text", "json"):
        result = fake_site.run(app, "doctor", ".", "-o", output, **secrets)

        assert b"SOME_TOKEN" in result.stdout
        assert b"a-secret-value" not in result.stdout + result.stderr


def test_a_library_that_prints_does_not_disturb_the_report(fake_site: FakeSite, app: Path) -> None:
    """The report is all that stands on stdout."""
    fake_site.install(diagnosing("print('noise')\n    yield Finding('dns', 'ok', 'a name')"))

    code, findings = doctor(fake_site, app)

    assert (code, findings[-1]["check"]) == (0, "dns")


def test_a_reader_that_is_gone_is_an_error(fake_site: FakeSite, app: Path) -> None:
    """A report that nobody got is no success."""
    fake_site.install()
    script = f'{" ".join(map(repr, fake_site.command("doctor", ".")[:2]))} "$0" doctor . >/dev/full'

    result = subprocess.run(
        ["/bin/sh", "-c", script, fake_site.command()[2]],
        cwd=app,
        env={"PATH": os.defpath, "TMPDIR": str(fake_site.directory)},
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert result.returncode == 74
    assert b"stdout did not take the result" in result.stderr


def test_a_sound_backend_that_fetches_is_not_fetched_from(fake_site: FakeSite, app: Path) -> None:
    """The doctor reads no source behind the hook's back."""
    fake_site.install(BACKEND.replace("(destination / ", "raise AssertionError  # (destination / "))

    code, _ = doctor(fake_site, app)

    assert code == 0


def test_the_reference_lists_the_checks_in_their_order() -> None:
    """Whoever looks a line of the report up finds it where it stands in the report."""
    table = (DOCS / "reference" / "doctor.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \| .* \| (?:the host|`s3`) \|$", table, re.MULTILINE)
    report = Path(__file__).parent / "golden_doctor" / "all-well" / "expected.txt"

    told = re.findall(r"^(?:ok|skipped) +(\w+) ", report.read_text(encoding="utf-8"), re.MULTILINE)

    assert listed == list(dict.fromkeys(told))
