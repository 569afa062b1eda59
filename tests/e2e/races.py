"""Own the rows of the table in which somebody writes to the prefix while it is read."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

from e2e.storm import State, manifest

from cmp_core import CmpError, LimitExceededError, SourceNotFoundError, TransientFetchError
from tools.fault_server import Answer, Fault, FaultServer, is_get_of, is_listing

BUCKET = "test-bucket"
PREFIX = "apps/demo/"
BEFORE = {"a": 1, "b": 1, "c": 1}

SECONDS = 7.0
"""Within how many seconds the answer is there: those of `fault_stage.AT_ONCE`, and the longest pauses of two rounds."""


class Prefix:
    """What the other party does to the prefix, past the fault server."""

    def __init__(self, client: Any) -> None:
        """Take a client of the S3 server itself."""
        self._client = client

    def put(self, name: str, version: int) -> None:
        """Put one object."""
        self._client.put_object(Bucket=BUCKET, Key=key_of(name), Body=manifest(name, version))

    def delete(self, *names: str) -> None:
        """Delete objects."""
        for name in names:
            self._client.delete_object(Bucket=BUCKET, Key=key_of(name))


Plan = Callable[[FaultServer, Prefix], None]


@dataclass(frozen=True)
class Race:
    """One row of the table, and one test.

    Attributes:
        name: The test's id.
        what: What happens, for the table.
        plan: Lets it happen at the right moment.
        after: The state that comes out, where it began with `BEFORE`; None where an error does.
        pages: How many pages of listings are asked for.
        error: The class of the error.
        text: The whole text of the error, without the address of the endpoint.
        settings: The settings that the row needs.
    """

    name: str
    what: str
    plan: Plan
    after: State | None
    pages: int
    error: type[CmpError] | None = None
    text: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


def key_of(name: str) -> str:
    """Return the key of an object."""
    return f"{PREFIX}{name}.yaml"


def after_first_page(change: Callable[[Prefix], None]) -> Plan:
    """Change something when the first page has been made and is on its way."""

    def plan(faults: FaultServer, prefix: Prefix) -> None:
        faults.on(is_listing, Fault(during=partial(change, prefix)), times=1)

    return plan


def between_pages(change: Callable[[Prefix], None]) -> Plan:
    """Change something when the first of two pages has been made; a service may give less than is asked for."""

    def plan(faults: FaultServer, prefix: Prefix) -> None:
        faults.on(is_listing, Fault(_cut, during=partial(change, prefix)), times=1)
        faults.on(is_listing, Fault(_cut))

    return plan


def during_get(name: str, change: Callable[[Prefix], None]) -> Plan:
    """Change something when half of an object is on its way."""

    def plan(faults: FaultServer, prefix: Prefix) -> None:
        faults.on(is_get_of(key_of(name)), Fault(during=partial(change, prefix)), times=1)

    return plan


def _cut(page: Answer) -> Answer:
    """Leave no more than two keys on a page; the last of them is where this server goes on."""
    head, *entries = page.body.split(b"<Contents>")
    if len(entries) < 3:
        return page
    token = b"<NextContinuationToken>%s</NextContinuationToken>" % re.findall(rb"<Key>(.*?)</Key>", entries[1])[0]
    head = head.replace(b"<IsTruncated>false<", token + b"<IsTruncated>true<")
    return page.with_body(b"<Contents>".join([head, *entries[:2]]) + b"</ListBucketResult>")


def _mix_a_body(faults: FaultServer, _: Prefix) -> None:
    """Let a server that replaces an object in place send the first half of the old and the second of the new."""
    new = manifest("b", 2)

    def mixed(answer: Answer) -> Answer:
        half = len(answer.body) // 2
        return answer.with_body(answer.body[:half] + new[half:])

    faults.on(is_get_of(key_of("b")), Fault(mixed), times=1)


def _mix_a_page(faults: FaultServer, prefix: Prefix) -> None:
    """Let a server look at one key after the other: it has passed `aa` when that is added, and then `c` is replaced."""

    def change() -> None:
        prefix.put("aa", 2)
        prefix.put("c", 2)

    def without_aa(answer: Answer) -> Answer:
        entry = rb"<Contents>(?:(?!</Contents>).)*<Key>%s</Key>.*?</Contents>" % key_of("aa").encode()
        return answer.with_body(re.sub(entry, b"", answer.body, flags=re.DOTALL))

    faults.on(is_listing, Fault(without_aa, act=change), times=1)


def _never_rest(faults: FaultServer, prefix: Prefix) -> None:
    versions = count(2)
    faults.on(is_listing, Fault(during=lambda: prefix.put("b", next(versions))))


def _there_and_back(prefix: Prefix) -> None:
    prefix.put("b", 2)
    prefix.put("b", 1)


def _rename(old: str, new: str) -> Callable[[Prefix], None]:
    def rename(prefix: Prefix) -> None:
        prefix.put(new, 1)
        prefix.delete(old)

    return rename


_LARGER = 10**150

RACES = (
    Race(
        "replaced-after-list",
        "an object is replaced between LIST and GET",
        after_first_page(lambda prefix: prefix.put("b", 2)),
        {"a": 1, "b": 2, "c": 1},
        pages=3,
    ),
    Race(
        "deleted-after-list",
        "an object is deleted between LIST and GET",
        after_first_page(lambda prefix: prefix.delete("b")),
        {"a": 1, "c": 1},
        pages=3,
    ),
    Race(
        "added-after-list",
        "an object is added between LIST and GET",
        after_first_page(lambda prefix: prefix.put("d", 1)),
        BEFORE | {"d": 1},
        pages=4,
    ),
    Race(
        "changed-and-changed-back",
        "an object is replaced between LIST and GET, and put back at once",
        after_first_page(_there_and_back),
        BEFORE,
        pages=2,
    ),
    Race(
        "replaced-during-get",
        "an object is replaced while it is being sent",
        during_get("b", lambda prefix: prefix.put("b", 2)),
        {"a": 1, "b": 2, "c": 1},
        pages=4,
    ),
    Race(
        "deleted-during-get",
        "an object is deleted while it is being sent",
        during_get("b", lambda prefix: prefix.delete("b")),
        {"a": 1, "c": 1},
        pages=4,
    ),
    Race(
        "body-of-two-versions",
        "a server sends half of an old and half of a new object",
        _mix_a_body,
        BEFORE,
        pages=2,
    ),
    Race(
        "page-of-two-moments",
        "a server whose page shows its first keys as they were before a change, and its last as they were after it",
        _mix_a_page,
        {"a": 1, "aa": 2, "b": 1, "c": 2},
        pages=4,
    ),
    Race(
        "all-deleted",
        "all objects are deleted between LIST and GET",
        after_first_page(lambda prefix: prefix.delete(*BEFORE)),
        None,
        pages=3,
        error=SourceNotFoundError,
        text="nothing lies under s3://test-bucket/apps/demo at ENDPOINT: no key begins with `apps/demo/` and no object "
        "has the key `apps/demo`: check `path`, and that the manifests were uploaded",
    ),
    Race(
        "grown-past-a-limit",
        "an object is replaced by one that is too large",
        after_first_page(lambda prefix: prefix.put("b", _LARGER)),
        None,
        pages=2,
        error=LimitExceededError,
        text="`b.yaml` (222 bytes) in s3://test-bucket/apps/demo is larger than the 200 bytes that one object may "
        "have: raise `limits.objectBytes` in the operator's settings (CMP_LIMITS_OBJECT_BYTES), or ask for less with "
        "`include` and `exclude`",
        settings={"CMP_LIMITS_OBJECT_BYTES": "200"},
    ),
    Race(
        "changes-without-rest",
        "an object is replaced after every LIST",
        _never_rest,
        None,
        pages=3,
        error=TransientFetchError,
        text="s3://test-bucket/apps/demo changes faster than it can be read (3 listings in a row were outdated): "
        "publish each release below a prefix of its own, and let `path` name it",
    ),
    Race(
        "added-between-pages",
        "an object is added to a page that has been read already",
        between_pages(lambda prefix: prefix.put("0", 1)),
        BEFORE | {"0": 1},
        pages=8,
    ),
    Race(
        "deleted-between-pages",
        "an object is deleted from a page that has been read already",
        between_pages(lambda prefix: prefix.delete("a")),
        {"b": 1, "c": 1},
        pages=4,
    ),
    Race(
        "replaced-between-pages",
        "an object is replaced on a page that has been read already",
        between_pages(lambda prefix: prefix.put("a", 2)),
        BEFORE | {"a": 2},
        pages=6,
    ),
    Race(
        "added-to-the-next-page",
        "an object is added to a page that is yet to come",
        between_pages(lambda prefix: prefix.put("d", 1)),
        BEFORE | {"d": 1},
        pages=4,
    ),
    Race(
        "moved-forward-between-pages",
        "an object moves from a page that has been read to one that is yet to come",
        between_pages(_rename("a", "d")),
        {"b": 1, "c": 1, "d": 1},
        pages=6,
    ),
    Race(
        "moved-back-between-pages",
        "an object moves from a page that is yet to come to one that has been read",
        between_pages(_rename("c", "0")),
        {"0": 1, "a": 1, "b": 1},
        pages=8,
    ),
)
