"""The model of `s3-source.yaml` accepts what S3 accepts, and says how to mend the rest."""

from typing import Any

import pytest
from cmp_backend_s3 import source_model
from cmp_backend_s3.source import S3Source
from hypothesis import given
from hypothesis import strategies as st

from cmp_core import SourceValidationError
from cmp_core.validation import raise_problems, validate


def refusal_of(**values: Any) -> str:
    """Return the message for a source with these keys."""
    source, problems = validate(
        S3Source, {"bucket": "test-bucket", "path": "apps/demo"} | values, lambda _: "s3-source.yaml:2"
    )
    assert source is None
    with pytest.raises(SourceValidationError) as refused:
        raise_problems(problems, SourceValidationError)
    return str(refused.value)


def test_the_three_key_form_is_enough() -> None:
    """Bucket, path and version make a source, and the location tells both."""
    source = S3Source.model_validate({"bucket": "test-bucket", "path": "apps/demo-app", "version": "v1.0.0"})

    assert source.location == "s3://test-bucket/apps/demo-app"
    assert (source.region, source.anonymous, source.requester_pays) == (None, False, False)


def test_text_becomes_the_type_of_the_field() -> None:
    """The host hands every scalar over as text."""
    source = S3Source.model_validate({"bucket": "bbb", "path": "/", "anonymous": "true", "limits": {"objects": "10"}})

    assert source.anonymous is True
    assert source.limits.objects == 10
    assert source.location == "s3://bbb/"


@pytest.mark.parametrize(
    "bucket",
    [
        "abc",
        "a" * 63,
        "my.bucket-1",
        "manifests-abcdefghijklmnop1234567890abcd-s3alias",
        "arn:aws:s3:eu-central-1:123456789012:accesspoint/manifests",
        "arn:aws-cn:s3:cn-north-1:123456789012:accesspoint:manifests",
    ],
)
def test_names_access_points_and_aliases_are_buckets(bucket: str) -> None:
    """Everything that S3 takes where a bucket is named is taken."""
    assert S3Source(bucket=bucket, path="/").bucket == bucket


@pytest.mark.parametrize(
    ("bucket", "message"),
    [
        ("ab", "is no bucket name"),
        ("a" * 64, "is no bucket name"),
        ("My-Bucket", "is no bucket name"),
        ("my_bucket", "is no bucket name"),
        ("-bucket", "is no bucket name"),
        ("my..bucket", "is no bucket name"),
        ("192.168.0.1", "is no bucket name"),
        ("bucket\n", "is no bucket name"),
        ("s3://test-bucket/apps", "write `bucket: test-bucket` and `path: apps`"),
        ("test-bucket/apps", "write the bucket's name alone"),
        ("arn:aws:s3:::test-bucket", "is no ARN of an access point"),
        ("arn:aws:s3-outposts:us-east-1:123456789012:outpost/op-1/accesspoint/x", "is no ARN of an access point"),
        ("arn:aws:s3::123456789012:accesspoint/x.mrap", "is a multi-region access point"),
    ],
)
def test_what_is_no_bucket_is_refused_with_a_remedy(bucket: str, message: str) -> None:
    """Each refusal names the field and says what to write."""
    refusal = refusal_of(bucket=bucket)

    assert refusal.startswith("s3-source.yaml:2: `bucket` ")
    assert message in refusal


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "write `path: /` for the whole bucket"),
        ("/apps/demo", "write `path: apps/demo`"),
        ("//", "write `path: /`"),
        ("s3://test-bucket/apps/demo", "write `bucket: test-bucket` and `path: apps/demo`"),
        ("S3A://test-bucket", "write `bucket: test-bucket` and `path: /`"),
        ("apps//demo", "write one slash"),
        ("apps/demo//", "write one slash"),
        ("apps/../demo", "write the folders out"),
        ("./apps", "write the folders out"),
        ("apps/.", "write the folders out"),
        ("..", "write the folders out"),
        ("apps\x00demo", "holds a control character"),
        ("apps\ndemo", "holds a control character"),
        ("a" * 1025, "longer than 1024 bytes"),
    ],
)
def test_a_path_of_two_meanings_is_refused_with_a_remedy(path: str, message: str) -> None:
    """Each refusal names the field and says what to write."""
    refusal = refusal_of(path=path)

    assert refusal.startswith("s3-source.yaml:2: `path` ")
    assert message in refusal


@given(st.text())
def test_a_path_that_is_accepted_has_one_meaning(path: str) -> None:
    """Whatever passes is the whole bucket, or holds no empty, `.` or `..` part and no control character."""
    source, _ = validate(S3Source, {"bucket": "bbb", "path": path}, str)

    if source and path != "/":
        parts = path.removesuffix("/").split("/")
        assert not {"", ".", ".."} & set(parts)
        assert not any(ord(letter) < 32 for letter in path)
        assert source.path == path


@pytest.mark.parametrize("region", ["eu.central", "EU-central-1", "-x", "x/y", "evil.example.com/", "a" * 64, "x\n"])
def test_what_is_no_region_is_refused(region: str) -> None:
    """A region becomes a part of a host name, so it is one short name."""
    assert "`region` is no region" in refusal_of(region=region)


def test_requester_pays_needs_somebody_to_bill() -> None:
    """Anonymous access cannot pay."""
    refusal = refusal_of(anonymous="true", requesterPays="true")

    assert "`requesterPays` needs somebody to bill: remove it, or remove `anonymous`" in refusal


@pytest.mark.parametrize("key", ["endpoint", "roleArn", "prefix", "requester_pays"])
def test_unknown_keys_are_refused(key: str) -> None:
    """An author names neither an endpoint nor a role, and a misspelt key is never ignored."""
    assert f"unknown key `{key}`" in refusal_of(**{key: "x"})


def test_every_field_is_described_with_an_example() -> None:
    """Descriptions and examples become the schema and the parameters in Argo CD's UI."""
    properties = source_model().model_json_schema()["properties"]

    common = {"version", "include", "exclude", "limits", "render"}
    assert {"bucket", "path", "region", "anonymous", "requesterPays"} | common == set(properties)
    assert all(entry.get("description") and entry.get("examples") for entry in properties.values())
