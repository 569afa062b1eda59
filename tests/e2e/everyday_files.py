"""Own the everyday files: hundreds of manifests in the styles of the tools that write them, and of people's hands."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

import yaml
from e2e.everyday_objects import OBJECTS, Object
from e2e.made_up_files import File

VARIANTS = 2
"""How many files there are of each kind of object by each writer."""

Write = Callable[[Sequence[Object], Random], File]


class _Dumper(yaml.CSafeDumper):
    """Writes texts of several lines as block scalars, as Go's encoders do, and nothing as an alias."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  # PyYAML asks with the value
        return True


class _FoldedDumper(_Dumper):
    """Writes texts of several lines folded."""


class _AliasDumper(yaml.CSafeDumper):
    """Writes what is the same object a second time as an alias."""


def _represent_by(style: str) -> Callable[[Any, str], yaml.ScalarNode]:
    def represent(dumper: Any, text: str) -> yaml.ScalarNode:
        node = dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style if "\n" in text else None)
        assert isinstance(node, yaml.ScalarNode)
        return node

    return represent


for dumper, style in ((_Dumper, "|"), (_FoldedDumper, ">"), (_AliasDumper, "|")):
    dumper.add_representer(str, _represent_by(style))


def by_helm(objects: Sequence[Object], random: Random) -> File:
    """Write as `helm template` does: a comment in each document, and documents that hold nothing else."""
    documents = []
    text = ""
    for item in objects:
        source = f"# Source: demo/templates/{item['kind'].lower()}.yaml\n"
        documents.append(f"{source}{_dump(item)}")
        text += f"---\n{documents[-1]}" + random.choice(
            ["", "---\n" + source, f"---\n{source}# disabled by a value\n\n"]
        )
    return _file(text, documents)


def by_kustomize(objects: Sequence[Object], random: Random) -> File:
    """Write as `kustomize build` does: keys in order, and a `---` between documents only."""
    documents = [_dump(item, sort_keys=True) for item in objects]
    return _file("---\n".join(documents), documents)


def by_controller_gen(objects: Sequence[Object], random: Random) -> File:
    """Write as generators of code do: a `---` first, texts folded at 80 columns, no alias."""
    documents = [_dump(item, width=80, indent=2) for item in objects]
    return _file("".join(f"---\n{document}" for document in documents), documents)


def by_kubectl_as_list(objects: Sequence[Object], random: Random) -> File:
    """Write one `kind: List` of YAML."""
    document = _dump({"apiVersion": "v1", "items": list(objects), "kind": "List", "metadata": {"resourceVersion": ""}})
    return _file(document, [document])


def by_kubectl_as_json(objects: Sequence[Object], random: Random) -> File:
    """Write one `kind: List` of JSON, four blanks a level."""
    document = json.dumps(
        {"apiVersion": "v1", "items": list(objects), "kind": "List", "metadata": {}}, indent=4, ensure_ascii=False
    )
    return _file(document + "\n", [document + "\n"])


def by_json_encoder(objects: Sequence[Object], random: Random) -> File:
    """Write JSON objects one a line, or in the midst of lines, with escapes where Go can read them."""
    between = random.choice(["\n", "\n\n", ""])
    documents = [json.dumps(item, ensure_ascii=False, separators=random.choice([(",", ":"), None])) for item in objects]
    return _file(between.join(documents) + random.choice(["\n", ""]), documents)


def by_tabs(objects: Sequence[Object], random: Random) -> File:
    """Write JSON that is indented by tabs, with a `---` between."""
    documents = [json.dumps(item, ensure_ascii=False, indent="\t") + "\n" for item in objects]
    return _file("---\n".join(documents), documents)


def by_script(objects: Sequence[Object], random: Random) -> File:
    """Write as a script with PyYAML does: characters beyond ASCII escaped, short lines, no block scalars."""
    documents = [yaml.dump(item, Dumper=yaml.CSafeDumper) for item in objects]
    return _file("---\n".join(documents), documents)


def by_quoting(objects: Sequence[Object], random: Random) -> File:
    """Write every key and text in quotes."""
    documents = [_dump(item, default_style=random.choice(['"', "'"])) for item in objects]
    return _file("---\n".join(documents), documents)


def by_folding(objects: Sequence[Object], random: Random) -> File:
    """Write texts of several lines folded, and lists further in."""
    documents = [
        yaml.dump(item, Dumper=_FoldedDumper, allow_unicode=True, width=100, indent=4, sort_keys=False)
        for item in objects
    ]
    return _file("---\n".join(documents), documents)


def by_hand(objects: Sequence[Object], random: Random) -> File:
    """Write with anchors, comments at the begin, the end and between the keys, blank lines, and no last line end."""
    documents = []
    for item in objects:
        text = yaml.dump(item, Dumper=_AliasDumper, allow_unicode=True, width=10_000, sort_keys=False)
        head, _, rest = text.partition("\nmetadata:")
        documents.append(
            f"# what it is for: {item['kind']}s\n\n{head} # see below\n\n# who it is\nmetadata:{rest}\n# end\n\n"
        )
    documents[-1] = documents[-1].rstrip("\n")
    return _file("# Copyright: nobody\n# --- all of it\n---\n" + "--- # next\n".join(documents), documents)


def by_flow(objects: Sequence[Object], random: Random) -> File:
    """Write whatever fits in brackets."""
    documents = [_dump(item, default_flow_style=True) for item in objects]
    return _file("---\n".join(documents), documents)


def by_windows(objects: Sequence[Object], random: Random) -> File:
    """Write as an editor of Windows does: a byte order mark, CRLF, and a `---` with blanks behind it."""
    documents = [_dump(item).replace("\n", "\r\n") for item in objects]
    text = "---  \r\n".join(documents)
    return File(b"\xef\xbb\xbf" + text.encode(), tuple(document.encode() for document in documents))


WRITERS: Mapping[str, Write] = {
    write.__name__.removeprefix("by_").replace("_", "-"): write
    for write in (
        by_helm, by_kustomize, by_controller_gen, by_kubectl_as_list, by_kubectl_as_json, by_json_encoder, by_tabs,
        by_script, by_quoting, by_folding, by_hand, by_flow, by_windows,
    )
}  # fmt: skip
"""What writes files, by a word for it."""


def everyday_files(writer: str) -> Iterator[tuple[str, File]]:
    """Yield a writer's files and their names, always the same; no two objects of all files have one name."""
    for kind, make in OBJECTS.items():
        for variant in range(VARIANTS):
            name = f"{kind}-{writer}-{variant}"
            random = Random(name)
            numbers = range(1 if variant == 0 else random.randint(2, 5), 0, -1)
            objects = [
                make(f"{name}-{number - 1}" if variant == 0 else f"{name}-{number}", random) for number in numbers
            ]
            yield name, WRITERS[writer](objects, random)


def _dump(value: object, **options: Any) -> str:
    return str(
        yaml.dump(value, Dumper=_Dumper, **({"allow_unicode": True, "width": 10_000, "sort_keys": False} | options))
    )


def _file(text: str, documents: Sequence[str]) -> File:
    return File(text.encode(), tuple(document.encode() for document in documents))
