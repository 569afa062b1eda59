"""The check of what a render brought: every problem is found and named by file and line, and nothing else is one."""

import re

import pytest

from cmp_core.check import check_documents
from cmp_core.documents import Document, split_documents
from cmp_core.environment import Application
from cmp_core.errors import EmptyRenderError, RenderError

WHAT = "s3://bucket/app"
A = "apiVersion: v1\nkind: A\n"


def check(*files: str, namespace: str = "") -> list[Document]:
    """Split the files `0.yaml`, `1.yaml` and so on, and check their documents."""
    documents = [
        document for number, file in enumerate(files) for document in split_documents(file.encode(), f"{number}.yaml")
    ]
    return check_documents(documents, Application(namespace=namespace), WHAT)


def named(name: str, kind: str = "A", version: str = "v1") -> str:
    """Return an object of one line."""
    return f'{{"apiVersion": "{version}", "kind": "{kind}", "metadata": {{"name": "{name}"}}}}\n'


@pytest.mark.parametrize(
    ("file", "message"),
    [
        pytest.param("- a\n", "0.yaml:1: a list is no Kubernetes object: write `kind: List`", id="list"),
        pytest.param('[{"kind": "A"}]', "0.yaml:1: a list is no Kubernetes object", id="JSON array"),
        pytest.param("# c\njust text\n", "0.yaml:2: a single value is no Kubernetes object", id="text"),
        pytest.param("!!str\n", "0.yaml:1: a single value is no Kubernetes object", id="tagged text"),
        pytest.param(
            "# values\nreplicas: 2\n",
            "0.yaml:2: there is no `apiVersion` and no `kind`, so this is no Kubernetes object: "
            'add what is missing, or leave the file out with `exclude: ["0.yaml"]`',
            id="neither apiVersion nor kind",
        ),
        pytest.param("kind: A\n", "0.yaml:1: there is no `apiVersion`, so", id="no apiVersion"),
        pytest.param("apiVersion: v2\nname: chart\n", "0.yaml:1: there is no `kind`, so", id="no kind"),
        pytest.param("apiVersion: v1\nkind:\n", "0.yaml:1: there is no `kind`", id="kind without a value"),
        pytest.param("apiVersion: ''\nkind: A\n", "0.yaml:1: there is no `apiVersion`", id="empty apiVersion"),
        pytest.param("apiVersion: v1\nkind: [A]\n", "0.yaml:1: there is no `kind`", id="kind that is a list"),
        pytest.param("apiVersion: v1\nkind: yes\n", "the value of `kind` as text: put it in quotes", id="boolean kind"),
        pytest.param("apiVersion: 1.1\nkind: A\n", "the value of `apiVersion` as text", id="number as apiVersion"),
        pytest.param("apiVersion: v1\nkind: 0o17\n", "the value of `kind` as text", id="number as kind"),
        pytest.param("apiVersion: !!int '5'\nkind: A\n", "the value of `apiVersion` as text", id="tagged number"),
        pytest.param(
            "kind: A\napiVersion: a/b/c\n", "0.yaml:1: the apiVersion `a/b/c` has more than one `/`", id="slashes"
        ),
        pytest.param("x: &x\n  kind: A\napiVersion: v1\n", "0.yaml:1: there is no `kind`", id="kind further down"),
        pytest.param(A + "~: d\n", "0.yaml:3: a key is no text", id="null key"),
        pytest.param(
            A + "data: {}\n" + A,
            "2 problems:\n  0.yaml:4: the key `apiVersion` stands on line 1 already, and Argo CD would drop that: "
            "put a line `---` between two objects, or remove one of the keys\n  0.yaml:5: the key `kind` stands on",
            id="two files glued together",
        ),
        pytest.param(
            '{"apiVersion": "v1", "kind": "A", "kind": "A"}', "0.yaml:1: the key `kind`", id="key on one line"
        ),
        pytest.param("apiVersion: v1\n'kind': A\nkind: A\n", "0.yaml:3: the key `kind`", id="key in other quotes"),
        pytest.param(A + "on: 1\nYes: 2\n", "0.yaml:4: the key `true` stands on line 3", id="two words for a boolean"),
        pytest.param(A + "items:\n- 1\n", "0.yaml:4: a single value is no Kubernetes object", id="item"),
        pytest.param(A + "items:\n- kind: B\n", "0.yaml:4: there is no `apiVersion`", id="item without apiVersion"),
        pytest.param(A + "items: []\n", "0.yaml:3: Argo CD takes an object with empty `items`", id="no List, no items"),
        pytest.param(A + "spec: {}\nitems: []\n", "0.yaml:4: Argo CD takes an object with", id="no List, with a spec"),
        pytest.param(A + "items:\n", "0.yaml:3: Argo CD takes an object with empty `items`", id="no List, null items"),
        pytest.param(A + "a: b: c\n", "0.yaml:3: this is not valid YAML", id="broken YAML"),
    ],
)
def test_what_is_no_object_is_refused_by_file_and_line(file: str, message: str) -> None:
    """The error says what is wrong, where, and what to do."""
    with pytest.raises(RenderError, match=re.escape(message)) as error:
        check(file)

    assert not isinstance(error.value, EmptyRenderError)


@pytest.mark.parametrize(
    "file",
    [
        pytest.param("'apiVersion': \"v1\"\n\"kind\": 'A'\n", id="quotes"),
        pytest.param("apiVersion: 3scale.net/v1\nkind: N1\n", id="group that begins with a digit"),
        pytest.param("apiVersion: v1\nkind: 'yes'\n", id="kind in quotes"),
        pytest.param("apiVersion: 1.2.3\nkind: 12:30\n", id="text that looks like numbers"),
        pytest.param("apiVersion: !!str 1\nkind: !x 2\n", id="numbers that a tag makes text"),
        pytest.param("<<: {apiVersion: v1, kind: A}\n", id="merged"),
        pytest.param(A + "---\n!!null\n---\n&a # c\n", id="nulls beside an object, which Argo CD drops"),
        pytest.param(A + "y: 1\n'y': 2\n", id="key that YAML reads as a boolean, and its text"),
        pytest.param("x: &x {apiVersion: v1}\n<<: *x\n<<: {kind: A}\n", id="merged twice"),
        pytest.param(A + "data: {a: 1, a: 2}\n", id="key repeated further down"),
        pytest.param(A + "items:\nspec: {}\n", id="null items beside a spec"),
        pytest.param(A + "items: {a: b}\n", id="items that are no list"),
        pytest.param("apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: A}]\n", id="list"),
        pytest.param("apiVersion: v1\nkind: AList\nitems:\n---\n" + A, id="null list beside an object"),
    ],
)
def test_what_argo_cd_takes_for_an_object_passes(file: str) -> None:
    """Whatever Argo CD reads as objects is returned as it was."""
    documents = check(file)

    assert documents == split_documents(file.encode(), "0.yaml")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param(
            (named("x"), named("y") + named("x")),
            "1.yaml:2: A `x` stands at 0.yaml:1 already, and Argo CD would apply the last of them only: keep one",
            id="in two files",
        ),
        pytest.param((named("x") * 3,), "0.yaml:3: A `x` stands at 0.yaml:1 already", id="three times"),
        pytest.param((named("x").strip() * 2,), "0.yaml:1: A `x` stands at 0.yaml:1 already", id="on one line"),
        pytest.param((named("x", version="g/v1"), named("x", version="g/v2")), "A `x` stands", id="in two versions"),
        pytest.param(
            (A + "metadata: {name: x, namespace: default}\n", A + "metadata: {name: x}\n"),
            "1.yaml:1: A `default/x` stands at 0.yaml:1 already",
            id="with and without the namespace of the destination",
        ),
        pytest.param(
            (named("x"), "apiVersion: v1\nkind: List\nitems:\n- " + named("y") + "- " + named("x")),
            "1.yaml:5: A `default/x` stands at 0.yaml:1 already",
            id="as an item of a list",
        ),
        pytest.param((A + "metadata: {<<: {name: x}}\n", A + "metadata: {name: 'x'}\n"), "A `default/x`", id="merged"),
    ],
)
def test_two_objects_of_one_identity_are_refused_with_both_places(files: tuple[str, ...], message: str) -> None:
    """Of two objects with one group, kind, namespace and name Argo CD would apply only the last."""
    namespace = "default" if "default/" in message else ""

    with pytest.raises(RenderError, match=re.escape(message)):
        check(*files, namespace=namespace)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(named("x"), named("y"), id="names"),
        pytest.param(named("x"), named("x", kind="B"), id="kinds"),
        pytest.param(named("x"), named("x", version="g/v1"), id="groups"),
        pytest.param(A + "metadata: {name: x, namespace: a}\n", A + "metadata: {name: x}\n", id="namespaces"),
        pytest.param(A + "metadata: {generateName: x}\n", A + "metadata: {generateName: x}\n", id="generated names"),
        pytest.param(A, A, id="no metadata"),
        pytest.param(A + "metadata: {name: }\n", A + "metadata: {name: }\n", id="null names"),
    ],
)
def test_objects_that_differ_in_identity_pass(one: str, other: str) -> None:
    """Group, kind, namespace and name all count, and an object without a name is compared with none."""
    documents = check(one, other, namespace="default")

    assert len(documents) == 2


def test_nothing_rendered_is_never_a_success() -> None:
    """Without a document there is an error that names the source and why Argo CD must not see it."""
    with pytest.raises(EmptyRenderError, match=r"^s3://bucket/app: no document came out .* prune what runs$"):
        check()


@pytest.mark.parametrize("items", ["[]", "null", ""])
def test_empty_lists_alone_are_never_a_success(items: str) -> None:
    """A list without items counts as no object."""
    with pytest.raises(EmptyRenderError, match="nothing but empty lists"):
        check(f"apiVersion: v1\nkind: ConfigMapList\nitems: {items}\n")


def test_problems_of_all_files_come_in_one_error_of_ten_lines() -> None:
    """Whoever mends the files sees their first ten problems at once, and how many there are."""
    files = [f"a: {number}\n" for number in range(12)]

    with pytest.raises(RenderError) as error:
        check(*files, A)

    lines = str(error.value).splitlines()
    assert lines[0] == "12 problems:"
    assert [line.split(":")[0].strip() for line in lines[1:11]] == [f"{number}.yaml" for number in range(10)]
    assert lines[11:] == ["  and 2 more"]


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("values.yaml", '["values.yaml"]'),
        ("charts/a b/values.yaml", '["charts/a b/values.yaml"]'),
        ("[a]*?.yaml", r'["\\[a]\\*\\?.yaml"]'),
        ("!ü.yaml", r'["\\!ü.yaml"]'),
        ("#.yaml", r'["\\#.yaml"]'),
    ],
)
def test_the_pattern_to_exclude_a_file_means_that_file(path: str, pattern: str) -> None:
    """What has a meaning in a gitignore pattern is escaped in the advice, and quoted as YAML needs it."""
    documents = [Document(b"a: b\n", path, 1)]

    with pytest.raises(RenderError, match=re.escape(f"`exclude: {pattern}`")):
        check_documents(documents, Application(), WHAT)


def test_a_foreign_render_cannot_smuggle_two_documents_as_one() -> None:
    """What a backend hands over as one document is one, whatever it used to split its files."""
    documents = [Document(f"{named('x')}---\n{named('y')}".encode(), "out.yaml", 1)]

    with pytest.raises(RenderError, match=r"^out\.yaml:2: a document may hold no line that begins with `---`"):
        check_documents(documents, Application(), WHAT)
