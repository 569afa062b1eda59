"""What the operator allows: only the backends that the settings name, at the top and inside of other sources."""

import json
from pathlib import Path

import pytest
from e2e_support import Sidecar
from host_support import FakeSite

from cmp_core import NestedSource, PolicyError, Settings, Source
from cmp_core.environment import BuildEnvironment
from cmp_core.nesting import Nesting
from cmp_core.policy import load_allowed_backend
from cmp_core.request import read_request

NEVER_IMPORTED = "raise SystemExit('imported')\n"


class OuterSource(Source):
    """A source that holds another."""

    chart: NestedSource | None = None

    @property
    def location(self) -> str:
        """A made-up place."""
        return "outer://demo"


def allowing(*names: str) -> Settings:
    """Return settings that allow these backends."""
    return Settings.model_validate({"allowedBackends": names})


def test_without_the_setting_every_installed_backend_is_allowed(fake_site: FakeSite) -> None:
    """Whoever builds the image has chosen by installing."""
    fake_site.install()

    assert load_allowed_backend("demo", Settings()).installed.name == "demo"


def test_a_backend_that_is_not_named_is_refused_before_it_is_imported(fake_site: FakeSite) -> None:
    """The error names the setting; of the backend, nothing runs."""
    fake_site.install(NEVER_IMPORTED)

    with pytest.raises(PolicyError) as raised:
        load_allowed_backend("demo", allowing("s3", "multi"))

    assert str(raised.value) == (
        "backend `demo` is not allowed here, only `s3`, `multi`: use one of these, or ask the operator to name `demo` "
        "in `allowedBackends` of the settings (CMP_ALLOWED_BACKENDS)"
    )


def test_a_trigger_file_of_a_refused_backend_is_no_request(fake_site: FakeSite, tmp_path: Path) -> None:
    """Whatever stands in it."""
    fake_site.install(NEVER_IMPORTED)
    (tmp_path / "demo-source.yaml").write_text("bucket: b\n", encoding="utf-8")

    with pytest.raises(PolicyError, match="backend `demo` is not allowed here"):
        read_request(tmp_path, BuildEnvironment(settings=allowing("s3")))


def test_a_source_inside_of_another_is_refused_with_its_line(tmp_path: Path) -> None:
    """Before anything is fetched."""
    trigger = "sources:\n- {name: a, backend: local, path: /a}\n- {name: b, backend: s3, bucket: test-bucket}\n"
    (tmp_path / "multi-source.yaml").write_text(trigger, encoding="utf-8")

    with pytest.raises(PolicyError) as raised:
        read_request(tmp_path, BuildEnvironment(settings=allowing("multi", "local")))

    assert str(raised.value).startswith("multi-source.yaml:3: `sources.1`: backend `s3` is not allowed here")


def test_a_source_that_only_the_fetch_knows_of_is_refused_too(tmp_path: Path) -> None:
    """A backend may fetch what stands in no field of its model."""
    nested = Nesting(OuterSource(), BuildEnvironment(settings=allowing("outer")), "outer-source.yaml")

    with pytest.raises(PolicyError, match=r"^outer-source\.yaml: chart: backend `local` is not allowed here"):
        nested({"backend": "local", "path": "/srv"}, tmp_path / "inner", key="chart")

    assert list(tmp_path.iterdir()) == []


def test_the_command_ends_with_the_code_of_a_policy(sidecar: Sidecar) -> None:
    """The variable holds names with commas between them; stdout stays empty."""
    sidecar.write("local-source.yaml", "path: /srv\n")
    sidecar.variables = {"CMP_ALLOWED_BACKENDS": "s3, multi"}

    result = sidecar.run("generate")

    assert (result.returncode, result.stdout) == (77, b"")
    assert b"backend `local` is not allowed here, only `s3`, `multi`: " in result.stderr


def test_the_doctor_leaves_out_what_is_not_allowed(sidecar: Sidecar) -> None:
    """It tells so, and asks none but those that are."""
    sidecar.variables = {"CMP_ALLOWED_BACKENDS": "local"}

    result = sidecar.run("doctor", "-o", "json")

    findings = json.loads(result.stdout)["findings"]
    told = {each["message"].split("`")[1]: each["outcome"] for each in findings if each["check"] == "backends"}
    assert set(told) >= {"local", "multi", "s3", "tarball"}
    assert [name for name, outcome in told.items() if outcome == "ok"] == ["local"]
