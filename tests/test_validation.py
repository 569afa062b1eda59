"""Validation: pydantic's complaints become sentences with a place and a remedy."""

from contextlib import nullcontext
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, model_validator
from pydantic.fields import FieldInfo

from cmp_core.bootstrap import variable_name
from cmp_core.errors import ConfigError
from cmp_core.models import Limits, Pattern, Quantity, SourceLimits, StrictModel
from cmp_core.strictyaml import KeyPath
from cmp_core.validation import (
    Problem,
    alias_of,
    closest,
    collection_type,
    echo,
    raise_problems,
    unknown_key,
    validate,
)


class Inner(StrictModel):
    """A model inside a model."""

    deep_key: Annotated[str, Field(examples=["x"])] = ""


class Sample(StrictModel):
    """One field of every kind."""

    name: Annotated[str, Field(examples=["demo"])]
    number: Annotated[int, Field(ge=1, le=9)] = 1
    ratio: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    flag: bool = False
    mode: Literal["fast", "safe"] = "safe"
    size: Quantity = 1
    patterns: tuple[Pattern, ...] = ()
    inner: Inner = Inner()
    inners: tuple[Inner, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)
    limits: Limits | None = None
    word: Annotated[str, Field(pattern="^[a-z]+$")] = "a"


class Ordered(StrictModel):
    """A model with a rule over two of its fields."""

    low: int = 0
    high: int = 0

    @model_validator(mode="after")
    def _check_order(self) -> "Ordered":
        if self.low > self.high:
            raise ValueError("`low` must not be above `high`")
        return self


def place_of(path: KeyPath) -> str:
    """Return a place that shows which path was asked for."""
    return "/".join(map(str, path))


SENTENCES: list[tuple[dict[str, object], str]] = [
    ({}, "name: `name` is missing: add `name: demo`"),
    ({"name": None}, "name: `name` has no value: write `name: demo`, or remove the key"),
    ({"name": ["a"]}, "name: `name` must be text, not a list"),
    ({"name": {"a": "b"}}, "name: `name` must be text, not a mapping"),
    ({"name": "x", "number": "many"}, "number: `number` must be a whole number, not `many`"),
    ({"name": "x", "number": "1.5"}, "number: `number` must be a whole number, not `1.5`"),
    ({"name": "x", "number": "0"}, "number: `number` must be at least 1, not `0`"),
    ({"name": "x", "number": "10"}, "number: `number` must be at most 9, not `10`"),
    ({"name": "x", "ratio": "fast"}, "ratio: `ratio` must be a number, not `fast`"),
    ({"name": "x", "ratio": "-1"}, "ratio: `ratio` must be more than 0, not `-1`"),
    ({"name": "x", "ratio": "inf"}, "ratio: `ratio` must be a finite number, not `inf`"),
    ({"name": "x", "flag": "perhaps"}, "flag: `flag` must be `true` or `false`, not `perhaps`"),
    ({"name": "x", "flag": ""}, "flag: `flag` must be `true` or `false`, not an empty text"),
    ({"name": "x", "mode": "slow"}, "mode: `mode` must be `fast` or `safe`, not `slow`"),
    (
        {"name": "x", "size": "25MB"},
        "size: `size` is no number of bytes: write it as `26214400`, `25M` or `25Mi`",
    ),
    (
        {"name": "x", "patterns": "*.yaml"},
        "patterns: `patterns` must be a list: write `[…]` or lines that begin with `- `, not `*.yaml`",
    ),
    (
        {"name": "x", "patterns": ["ok", " "]},
        (
            "patterns/1: `patterns.1` holds a pattern that names nothing: write it as in a .gitignore file, "
            "for example `*.yaml`"
        ),
    ),
    ({"name": "x", "inner": "a"}, "inner: `inner` must be a mapping of keys to values, not `a`"),
    ({"name": "x", "labels": ["a"]}, "labels: `labels` must be a mapping of keys to values, not a list"),
    ({"name": "x", "word": "A1"}, "word: `word` must match `^[a-z]+$`, not `A1`"),
    ({"name": "x", "nmuber": "1"}, "nmuber: unknown key `nmuber`: did you mean `number`?"),
    ({"name": "x", "Number": "1"}, "Number: unknown key `Number`: did you mean `number`?"),
    ({"name": "x", "inner": {"deep_key": "1"}}, "inner/deep_key: unknown key `deep_key`: did you mean `deepKey`?"),
    ({"name": "x", "inner": {"qqq": "1"}}, "inner/qqq: unknown key `qqq`: remove it; known are deepKey"),
    (
        {"name": "x", "inners": [{}, {"deepkey": "1"}]},
        "inners/1/deepkey: unknown key `deepkey`: did you mean `deepKey`?",
    ),
    (
        {"name": "x", "limits": {"object": "1"}},
        "limits/object: unknown key `object`: did you mean `objects`?",
    ),
]


@pytest.mark.parametrize(("values", "sentence"), SENTENCES)
def test_every_complaint_is_a_sentence_of_ours(values: dict[str, object], sentence: str) -> None:
    """A place, the key, what is wrong with which value, and what to write instead."""
    model, problems = validate(Sample, values, place_of)

    assert model is None
    assert [str(problem) for problem in problems] == [sentence]


def test_all_problems_are_told_at_once() -> None:
    """One wrong value does not hide the next."""
    values = {"name": "x", "number": "many", "flag": "perhaps", "sizes": "1"}

    _, problems = validate(Sample, values, place_of)

    assert [problem.place for problem in problems] == ["number", "flag", "sizes"]


def test_a_misspelt_key_is_not_also_missing() -> None:
    """`naem` is one mistake, not two."""
    _, problems = validate(Sample, {"naem": "x"}, place_of)

    assert [str(problem) for problem in problems] == ["naem: unknown key `naem`: did you mean `name`?"]


def test_a_complaint_about_the_whole_names_no_key() -> None:
    """A rule over two fields speaks for itself."""
    _, problems = validate(Ordered, {"low": "2", "high": "1"}, lambda _path: "file:1")

    assert [str(problem) for problem in problems] == ["file:1: `low` must not be above `high`"]


def test_valid_values_give_the_model_and_no_problem() -> None:
    """Texts become what the fields hold."""
    model, problems = validate(Sample, {"name": "x", "number": "3", "flag": "true", "size": "2Ki"}, place_of)

    assert (model, problems) == (Sample(name="x", number=3, flag=True, size=2048), [])


def test_one_problem_is_one_line() -> None:
    """There is no list of one."""
    with pytest.raises(ConfigError) as caught:
        raise_problems([Problem("file:1", "is wrong")], ConfigError)

    assert str(caught.value) == "file:1: is wrong"


def test_several_problems_are_counted_and_listed() -> None:
    """Each has its own line below the count."""
    with pytest.raises(ConfigError) as caught:
        raise_problems([Problem("a:1", "is wrong"), Problem("b:2", "too")], ConfigError)

    assert str(caught.value) == "2 problems:\n  a:1: is wrong\n  b:2: too"


def test_a_flood_of_problems_is_cut_and_counted() -> None:
    """Twenty are enough to see what is going on."""
    problems = [Problem(f"a:{line}", "is wrong") for line in range(1000)]

    with pytest.raises(ConfigError) as caught:
        raise_problems(problems, ConfigError)

    lines = str(caught.value).splitlines()
    assert (len(lines), lines[0], lines[-1]) == (22, "1000 problems:", "  and 980 more")


@pytest.mark.parametrize(("problems", "is_raised"), [([], False), ([Problem("a.yaml:1", "is wrong")], True)])
def test_only_a_problem_raises(problems: list[Problem], is_raised: bool) -> None:  # noqa: FBT001  # a test's parameter
    """An empty list passes."""
    with pytest.raises(ConfigError) if is_raised else nullcontext() as caught:
        raise_problems(problems, ConfigError)

    assert (caught is not None) is is_raised


@pytest.mark.parametrize(
    ("word", "match"), [("buket", "bucket"), ("BUCKET", "bucket"), ("requester_pays", "requesterPays"), ("zzz", None)]
)
def test_the_closest_word_ignores_case(word: str, match: str | None) -> None:
    """A slip is recognised whatever its case; what is far from everything matches nothing."""
    found = closest(word, ["bucket", "path", "requesterPays"])

    assert found == match


def test_an_endless_unknown_key_is_cut() -> None:
    """The key is the author's own and may be of any length."""
    sentence = unknown_key("k" * 5000, ["b", "a"])

    assert sentence == f"unknown key `{'k' * 60}…`: remove it; known are a, b"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x", "`x`"),
        ("", "an empty text"),
        (" \n ", "an empty text"),
        ("a\n  b", "`a b`"),
        ("y" * 61, f"`{'y' * 60}…`"),
        (5, "`5`"),
        (["a"], "a list"),
        ({"a": "b"}, "a mapping"),
    ],
)
def test_an_echo_is_short_and_on_one_line(value: object, shown: str) -> None:
    """A value is shown so that it cannot take over the message."""
    text = echo(value)

    assert text == shown


@given(st.text() | st.lists(st.text()) | st.dictionaries(st.text(), st.text()))
def test_no_value_makes_an_echo_long(value: object) -> None:
    """Sixty characters and their marks at the most, without a line break."""
    text = echo(value)

    assert len(text) <= 63
    assert "\n" not in text


@pytest.mark.parametrize(
    ("field", "collection"),
    [
        (FieldInfo.from_annotation(str), ""),
        (FieldInfo.from_annotation(int | None), ""),  # type: ignore[arg-type]  # pydantic takes a union as well
        (FieldInfo.from_annotation(tuple[str, ...]), "array"),
        (FieldInfo.from_annotation(list[str] | None), "array"),  # type: ignore[arg-type]  # as above
        (FieldInfo.from_annotation(dict[str, str]), "map"),
        (FieldInfo.from_annotation(SourceLimits), "map"),
        (FieldInfo.from_annotation(SourceLimits | None), "map"),  # type: ignore[arg-type]  # as above
    ],
)
def test_the_kind_of_a_field_is_told_by_its_type(field: FieldInfo, collection: str) -> None:
    """Optional or not, a list is an array and a model a map."""
    kind = collection_type(field)

    assert kind == collection


@pytest.mark.parametrize(
    ("key", "name"), [("bucket", "BUCKET"), ("requesterPays", "REQUESTER_PAYS"), ("s3Path", "S3_PATH"), ("A", "A")]
)
def test_a_camel_case_key_has_one_variable_name(key: str, name: str) -> None:
    """Words are parted by underscores."""
    written = variable_name(key)

    assert written == name


def test_the_key_of_a_field_is_its_alias() -> None:
    """YAML keys are camelCase; a field without an alias keeps its name."""
    keys = [alias_of("deep_key", Inner.model_fields["deep_key"]), alias_of("plain", FieldInfo())]

    assert keys == ["deepKey", "plain"]
