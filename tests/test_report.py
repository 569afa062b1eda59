"""The report of a diagnosis: its columns, its JSON, its exit code, and that nothing secret or forged is in it."""

import json

import pytest

from cmp_core.errors import ConfigError, SourceAccessError
from cmp_core.finding import Finding
from cmp_core.redact import Redactor
from cmp_core.report import WARNED, Report

OK = Finding("dns", "ok", "a name is an address")
WARNING = Finding("clock", "warning", "it is late", "set it")
FAILED = Finding("credentials", "failed", "nobody is there", "send somebody", SourceAccessError)
OTHER = Finding("list", "failed", "it is wrong", "mend it", ConfigError)
NAMELESS = Finding("list", "failed", "it is wrong", "mend it")
SKIPPED = Finding("get", "skipped", "not checked")


def report_of(*findings: Finding, secrets: tuple[str, ...] = ()) -> Report:
    """Return a report with these findings."""
    report = Report(Redactor(secrets))
    for finding in findings:
        report.add(finding)
    return report


def test_the_columns_are_aligned_and_a_remedy_has_its_own_line() -> None:
    """The eye finds what failed in the first column, and what to do behind the arrow."""
    assert report_of(OK, FAILED, SKIPPED).as_text() == (
        "ok        dns           a name is an address\n"
        "failed    credentials   nobody is there\n"
        "                        → send somebody\n"
        "skipped   get           not checked\n"
        "\n"
        "not all is well: 1 failed, 0 to look at, 1 skipped\n"
    )


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ([], 0),
        ([OK, SKIPPED], 0),
        ([OK, WARNING], WARNED),
        ([WARNING, FAILED, OTHER], 77),
        ([OTHER, FAILED], 78),
        ([NAMELESS, FAILED], 69),
    ],
)
def test_the_exit_code_is_that_of_the_first_failure(findings: list[Finding], code: int) -> None:
    """0 only if all is well; the first failure is the one to begin with."""
    report = report_of(*findings)

    whole = json.loads(report.as_json())

    assert report.exit_code == code
    assert (whole["ok"], whole["exitCode"]) == (code == 0, code)
    assert report.as_text().splitlines()[-1].startswith("all is well" if code == 0 else "not all is well")


def test_the_json_has_every_key_everywhere() -> None:
    """A program need not ask whether a key is there."""
    assert json.loads(report_of(OK, FAILED).as_json())["findings"] == [
        {"check": "dns", "outcome": "ok", "message": "a name is an address", "remedy": None, "error": None},
        {
            "check": "credentials",
            "outcome": "failed",
            "message": "nobody is there",
            "remedy": "send somebody",
            "error": "SourceAccessError",
        },
    ]


def test_no_secret_is_told() -> None:
    """Neither one that is known by value nor one that looks like it, in the message and in the remedy."""
    told = Finding("dns", "failed", "it is known-secret", "ask http://user:looks-like-one@host")
    report = report_of(told, secrets=("known-secret",))

    for text in (report.as_text(), report.as_json()):
        assert "known-secret" not in text
        assert "looks-like-one" not in text
        assert text.count("[redacted]") == 2


def test_no_text_forges_a_line_of_its_own() -> None:
    """A key or a service's words may hold line feeds and escape sequences; they stay within their column."""
    forged = "x\nok        list   all is fine\r\x1b[2Kok\u2028y"

    lines = report_of(Finding("dns", "failed", forged, forged)).as_text().splitlines()

    assert len(lines) == 6
    assert [line[:6].strip() for line in lines] == ["failed", "", "", "", "", "not al"]
    assert all(line.isprintable() for line in lines)


def test_a_text_without_an_end_is_cut() -> None:
    """A report stays readable whatever a library says."""
    assert len(report_of(Finding("dns", "ok", "x" * 10**6)).as_text()) < 5000
