"""The announcements of parameters, in the shape that Argo CD's UI reads."""

from typing import Annotated, Any

from pydantic import Field

from cmp_core.models import Source
from cmp_core.parameters import announce_parameters


class DemoSource(Source):
    """A source with a field of every kind."""

    bucket: Annotated[str, Field(description="The bucket's name.")]
    requester_pays: bool = False
    maybe: bool | None = None
    labels: Annotated[dict[str, str] | None, Field(description="Labels.")] = None


def announcement(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return the announcement of one parameter."""
    (found,) = (each for each in announce_parameters(DemoSource, values) if each["name"] == name)
    return found


def test_the_backends_own_fields_come_first() -> None:
    """The UI shows them in this order, under the trigger file's keys."""
    announced = announce_parameters(DemoSource, {})

    assert [each["name"] for each in announced] == [
        "bucket",
        "requesterPays",
        "maybe",
        "labels",
        "version",
        "include",
        "exclude",
        "limits",
        "render",
    ]


def test_a_required_field_is_required_until_the_file_has_it() -> None:
    """The UI asks only for what is missing."""
    missing, present = announcement("bucket", {}), announcement("bucket", {"bucket": "b"})

    assert missing == {
        "name": "bucket",
        "title": "bucket",
        "tooltip": "The bucket's name.",
        "required": True,
        "itemType": "",
        "collectionType": "string",
    }
    assert present == missing | {"required": False, "string": "b"}


def test_a_field_without_a_description_has_an_empty_tooltip() -> None:
    """Argo CD reads text, never null."""
    announced = announcement("requesterPays", {})

    assert (announced["tooltip"], announced["itemType"], announced["required"]) == ("", "boolean", False)
    assert announcement("maybe", {})["itemType"] == "boolean"


def test_lists_and_mappings_are_announced_as_such() -> None:
    """With the file's values where they are texts."""
    values = {"include": ["*.yaml", {"odd": "x"}], "limits": {"objects": "5", "odd": None}, "labels": {"a": "b"}}

    include, limits, labels = (announcement(name, values) for name in ("include", "limits", "labels"))

    assert (include["collectionType"], include["array"]) == ("array", ["*.yaml"])
    assert (limits["collectionType"], limits["map"]) == ("map", {"objects": "5"})
    assert (labels["collectionType"], labels["map"]) == ("map", {"a": "b"})


def test_a_value_of_another_kind_is_left_out() -> None:
    """What cannot be shown under its kind is not shown at all."""
    announced = [announcement("bucket", {"bucket": ["b"]}), announcement("include", {"include": "x"})]

    assert all(not each.keys() & {"string", "array", "map"} for each in announced)
