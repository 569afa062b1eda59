"""The models that every source is made of: strict keys, quantities, limits under the operator's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cmp_core.models import Limits, Source, SourceLimits, parse_quantity

UNITS = {"": 1, "k": 1000, "M": 1000**2, "G": 1000**3, "Ki": 1024, "Mi": 1024**2, "Gi": 1024**3}


@given(st.integers(0, 10**15 - 1), st.sampled_from(sorted(UNITS)))
def test_a_quantity_is_its_number_times_its_unit(number: int, unit: str) -> None:
    """The units are those of Kubernetes."""
    quantity = parse_quantity(f"{number}{unit}")

    assert quantity == number * UNITS[unit]


@pytest.mark.parametrize(
    "text", ["", "Mi", "1.5Gi", "1 Mi", "1MB", "1mi", "-1", "1e3", "1_000", "٣", "9" * 16, "1Mi\n"]
)
def test_another_text_is_no_quantity(text: str) -> None:
    """What looks like a size and is none is refused, not guessed at."""
    with pytest.raises(ValueError, match=r"^is no number of bytes: "):
        parse_quantity(text)


@pytest.mark.parametrize("value", [5, None, ["1"], 1.5])
def test_what_is_no_text_is_left_to_pydantic(value: object) -> None:
    """A model may be made from Python values as well."""
    parsed = parse_quantity(value)

    assert parsed == value


@given(st.none() | st.integers(1, 10**9), st.none() | st.integers(1, 10**9), st.integers(1, 10**9))
def test_the_operators_limits_cap_the_sources(objects: int | None, total: int | None, cap: int) -> None:
    """A source can lower its limits, never raise them."""
    operators = Limits.model_validate({"objects": cap, "totalBytes": cap})

    limits = SourceLimits.model_validate({"objects": objects, "totalBytes": total}).under(operators)

    assert limits.objects == min(objects or cap, cap)
    assert limits.total_bytes == min(total or cap, cap)
    assert limits.object_bytes == operators.object_bytes


def test_the_default_limits_are_those_of_the_reference() -> None:
    """Ten thousand objects, 25 MiB each, 100 MiB together."""
    limits = Limits()

    assert (limits.objects, limits.object_bytes, limits.total_bytes) == (10_000, 25 * 1024**2, 100 * 1024**2)


@pytest.mark.parametrize("values", [{"objects": 0}, {"objectBytes": -1}, {"totalBytes": "0"}, {"object_bytes": 1}])
def test_limits_are_positive_and_camel_case(values: dict[str, object]) -> None:
    """Nothing at all is no limit, and Python's names are no YAML keys."""
    with pytest.raises(ValidationError):
        Limits.model_validate(values)
    with pytest.raises(ValidationError):
        SourceLimits.model_validate(values)


@pytest.mark.parametrize("pattern", ["", " ", "\t", "# comment"])
def test_a_pattern_that_names_nothing_is_refused(pattern: str) -> None:
    """An empty filter must not mean everything."""
    with pytest.raises(ValidationError, match="holds a pattern that names nothing"):
        Source.model_validate({"include": [pattern]})


def test_a_source_is_frozen_and_knows_no_other_key() -> None:
    """What was validated cannot change afterwards."""
    source = Source.model_validate({"version": "1.10"})

    with pytest.raises(ValidationError, match="frozen"):
        source.version = "2"  # type: ignore[misc]  # that it is frozen is the point
    with pytest.raises(ValidationError, match="Extra inputs"):
        Source.model_validate({"bucket": "b"})


def test_a_source_without_a_location_says_so() -> None:
    """A backend's own model must have one."""
    with pytest.raises(NotImplementedError):
        _ = Source().location


def test_a_sources_values_are_plain_json_under_yaml_keys() -> None:
    """They go into the fingerprint of a request and come back as the same source."""
    source = Source.model_validate({"include": ["*.yaml"], "limits": {"objectBytes": "1Ki"}})

    values = source.as_values()

    assert values == {
        "version": None,
        "include": ["*.yaml"],
        "exclude": [],
        "limits": {"objects": None, "objectBytes": 1024, "totalBytes": None},
        "render": "auto",
    }
    assert Source.model_validate(values) == source
