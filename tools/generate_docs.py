"""Fill the blocks of the pages that come from the code, or with --check tell which pages are stale.

A page below docs/reference/ or docs/explanation/ is prose with blocks between ``<!-- generated NAME -->`` and
``<!-- /generated -->``. A block is rendered from what the code holds (models, parsers, docstrings, tables of tests),
never from what a library prints, so that it comes out the same on every supported Python.
"""

import argparse
import ast
import inspect
import json
import re
import string
import sys
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from importlib import import_module
from itertools import chain, pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import cmp_core
from cmp_core import cli, errors, hookspecs, programs, store, testing, transfer
from cmp_core.bootstrap import variable_name, variable_of
from cmp_core.errors import CmpError, IntegrityError
from cmp_core.installed import find_backend, installed_backends
from cmp_core.manager import load_backend
from cmp_core.models import Limits, Source, SourceLimits, StrictModel
from cmp_core.settings import BACKENDS, Settings, setting_variables
from tools.error_texts import texts_by_class

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
TESTS = ROOT / "tests"

_BLOCK = re.compile(r"(?P<head><!-- generated (?P<name>[\w-]+) -->\n).*?(?P<tail><!-- /generated -->)", re.DOTALL)
_UNITS = {"Gi": 2**30, "Mi": 2**20, "Ki": 2**10}
_BOUNDS = {"exclusiveMinimum": "more than {:g}", "minimum": "at least {:g}", "maximum": "at most {:g}"}
_SECTIONS = ("Args", "Returns", "Raises")
_FAULT_HEADS = ("What happens", "Result", "Text", "Asked", "Answer within")
_NOT_COUNTED = "–"  # noqa: RUF001  # a dash
_LONGEST_KEY = 120
_TOLD_BY_AUTHORS = ("publish_again", "refused", "stalled", "variables")
_PLAIN_SIGNS = "%,-./="

Schema = Mapping[str, Any]


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or check them, and return the exit code."""
    parser = argparse.ArgumentParser(description="Fill the blocks of the pages that come from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a page is stale")
    check = parser.parse_args(arguments).check
    stale = 0
    for page in sorted(chain(DOCS.glob("explanation/*.md"), DOCS.glob("reference/*.md"))):
        before = page.read_text(encoding="utf-8")
        after = _BLOCK.sub(_fill, before)
        if after == before:
            continue
        stale += 1
        name = page.relative_to(ROOT)
        if check:
            print(f"{name} is stale: run `make docs-generate`", file=sys.stderr)
        else:
            page.write_text(after, encoding="utf-8")
            print(f"wrote {name}", file=sys.stderr)
    return 1 if check and stale else 0


def render_commands() -> str:
    """Return a section on each command: what it does, its arguments, an example."""
    return _join(chain.from_iterable(_command(*item) for item in _commands().items()))


def render_errors() -> str:
    """Return the table of errors and their exit codes."""
    classes = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, CmpError)]
    heads = ("Exit code", "Error", "A kind of", "Worth another try", "Meaning")
    return _table(heads, ((str(item.exit_code), *_error_cells(item), _summary(item)) for item in classes))


def render_error_texts() -> str:
    """Return a section for each class of errors, with all that its errors say."""
    classes = [name for name, item in vars(errors).items() if isinstance(item, type) and issubclass(item, CmpError)]
    texts = texts_by_class({*classes})
    sections = (
        (f"## {name}", _table(("Text", "Said by"), map(_told, texts[name]))) for name in classes if name in texts
    )
    return _join(chain.from_iterable(sections))


def render_settings() -> str:
    """Return the table of the operator's settings."""
    rows = ((f"`{key}`", f"`{name}`", *_describe(schema)) for key, name, schema in _settings())
    return _table(("Key", "Variable", "Value", "Default", "Meaning"), rows)


def render_settings_file() -> str:
    """Return a settings file that holds every default."""
    lines = []
    for key, _, schema in _settings():
        if schema.get("default") is not None:
            section, _, name = key.rpartition(".")
            lines += [f"{section}:"] if section and f"{section}:" not in lines else []
            lines.append(f"{'  ' if section else ''}{name}: {_plain(schema['default'], schema)}")
    return _fence("yaml", "\n".join(lines))


def render_s3_overrides() -> str:
    """Return the table of what overrides the keys of ``s3-source.yaml``."""
    names = {key: f"CMP_{variable_name(key)}" for key in _properties(_model("s3"))}
    rows = ((f"`{key}`", f"`{name}`", f"`ARGOCD_ENV_{name}`") for key, name in names.items())
    return _table(("Key and parameter", "Name in `plugin.env`", "Variable that arrives"), rows)


def render_hooks() -> str:
    """Return a section on each hook, and one on what composes sources."""
    hooks = {name: item for name, item in vars(hookspecs).items() if hasattr(item, f"{hookspecs.PROJECT}_spec")}
    hooks["fetch_nested"] = hookspecs.FetchNested.__call__
    hooks["render_nested"] = hookspecs.RenderNested.__call__
    return _join(
        part
        for name, item in hooks.items()
        for part in (f"## `{name}`", _fence("python", _signature(name, item)), _markdown(item))
    )


def render_contract(suite: type[testing.BackendContract] = testing.BackendContract) -> str:
    """Return the table of rules that a contract suite holds a backend to, without those of the suite it builds on."""
    inherited = set(dir(testing.BackendContract)) if suite is not testing.BackendContract else set()
    classes = [suite, *(base for base in suite.__mro__ if base.__module__.startswith(testing.__name__))]
    rules = {name: item for each in classes for name, item in vars(each).items() if name.startswith("test_")}
    tests = {name: item for name, item in rules.items() if name not in inherited}
    return _table(("Test", "Because"), ((f"`{name}`", _summary(item)) for name, item in tests.items()))


def render_faults(part: str) -> str:
    """Return one part of the table of faults, which the tests of each row hold true."""
    return _table(_FAULT_HEADS, map(_fault_cells, _faults().TABLE[part]))


def render_races() -> str:
    """Return the table of races."""
    heads = ("What happens", "Result", "Text", "Pages listed", "Answer within")
    races = _test_tables("e2e.races")
    return _table(heads, (_race_cells(race, races.SECONDS) for race in races.RACES))


def render_odd_names() -> str:
    """Return the table of unusual keys."""
    rows = (
        (row.what, ", ".join(map(_key, row.names)), _result(IntegrityError if row.fault else None), row.text)
        for row in _test_tables("e2e.odd_data").NAMES
    )
    return _table(("What is there", "Keys below the prefix", "Result", "Text"), rows)


def render_odd_amounts() -> str:
    """Return the table of unusual numbers and sizes of objects."""
    rows = (
        (_with_settings(row), _result(row.error), row.text, f"{row.seconds:g} s")
        for row in _test_tables("e2e.odd_data").AMOUNTS
    )
    return _table(("What is there", "Result", "Text", "Answer within"), rows)


def render_machine() -> str:
    """Return the table of what fails in the machine."""
    machine = _test_tables("e2e.machine_faults")
    signals = (
        (row.what, _signal_result(row.code), row.text, _NOT_COUNTED, f"{row.seconds:g} s") for row in machine.SIGNALS
    )
    return _table(_FAULT_HEADS, chain(map(_fault_cells, machine.ROWS), signals))


def render_machine_settings() -> str:
    """Return what the rows of the machine run with."""
    return f"A row runs with {_variables(_test_tables('e2e.machine_faults').SETTINGS)}."


def render_fault_settings() -> str:
    """Return what the rows of the table of faults run with."""
    return f"A row runs with {_variables(_faults().SETTINGS)}, unless it says otherwise."


def render_multi_part() -> str:
    """Return the table of the keys that each source of a ``multi-source.yaml`` has beside its backend's own."""
    from cmp_backend_multi.source import Part  # noqa: PLC0415  # the only model that is no whole trigger file

    return _keys_table(Part)


def render_fsspec_settings() -> str:
    """Return the table of what the operator sets for the fsspec backend."""
    from cmp_backend_fsspec.settings import NAME, FsspecSettings  # noqa: PLC0415  # the only backend with settings

    rows = (
        (f"`{key}`", f"`{variable_of(BACKENDS, NAME, key)}`", str(schema["description"]), _example_of(schema))
        for key, schema in _properties(FsspecSettings).items()
    )
    return _table(("Key", "Variable", "Meaning", "For example"), rows)


def render_fsspec_refused() -> str:
    """Return the table of the protocols that the fsspec backend never reads."""
    from cmp_backend_fsspec.protocols import REFUSED  # noqa: PLC0415  # a table of that backend

    names: dict[str, list[str]] = {}
    for name, clause in REFUSED.items():
        names.setdefault(clause, []).append(f"`{name}`")
    return _table(("Protocol", "Because it"), ((", ".join(items), clause) for clause, items in names.items()))


def render_go_mended() -> str:
    """Return the table of what Argo CD would refuse or lose, and cmp-core brings through."""
    rows = _test_tables("e2e.dialects").MENDED_ROWS
    return _table(("What stands in the file", "Argo CD alone"), ((_sentence(row.what), row.alone) for row in rows))


def render_go_refused(reason: str) -> str:
    """Return the table of what Argo CD accepts and cmp-core refuses for a reason."""
    rows = _test_tables("e2e.dialects").REFUSED[reason]
    return _table(("What stands in the file", "Because"), ((_sentence(row.what), row.because) for row in rows))


def render_suite() -> str:
    """Return the table of what an author may tell the contract suite besides the four methods that are required."""
    rows = ((f"`{name}`", _summary(getattr(testing.Suite, name))) for name in _TOLD_BY_AUTHORS)
    return _table(("Method", "What it does"), rows)


BLOCKS: dict[str, Callable[[], str]] = {
    "commands": render_commands,
    "contract": render_contract,
    "contract-methods": render_suite,
    "diagnosis-contract": lambda: render_contract(testing.DiagnosisContract),
    "errors": render_errors,
    "error-texts": render_error_texts,
    "faults-amounts": render_odd_amounts,
    "faults-answers": lambda: render_faults("answers"),
    "faults-machine": render_machine,
    "faults-machine-settings": render_machine_settings,
    "faults-names": render_odd_names,
    "faults-races": render_races,
    "faults-service": lambda: render_faults("service"),
    "faults-settings": render_fault_settings,
    "faults-wire": lambda: render_faults("wire"),
    "fsspec-keys": lambda: _keys_table(_model("fsspec"), without=Source.model_fields),
    "fsspec-refused": render_fsspec_refused,
    "fsspec-settings": render_fsspec_settings,
    "go-bounds": lambda: render_go_refused("bound"),
    "go-impossible": lambda: render_go_refused("impossible"),
    "go-lost": lambda: render_go_refused("lost"),
    "go-mended": render_go_mended,
    "go-undefined": lambda: render_go_refused("undefined"),
    "helm-keys": lambda: _keys_table(_model("helm"), without=Source.model_fields),
    "hooks": render_hooks,
    "limits": lambda: _keys_table(SourceLimits),
    "multi-keys": lambda: _keys_table(_model("multi"), without=Source.model_fields),
    "multi-part-keys": render_multi_part,
    "names": lambda: _names_table(cmp_core),
    "programs-names": lambda: _names_table(programs),
    "s3-keys": lambda: _keys_table(_model("s3"), without=Source.model_fields),
    "s3-overrides": render_s3_overrides,
    "settings": render_settings,
    "settings-file": render_settings_file,
    "source-keys": lambda: _keys_table(Source),
    "store-names": lambda: _names_table(store),
    "tarball-keys": lambda: _keys_table(_model("tarball"), without=Source.model_fields),
    "transfer-names": lambda: _names_table(transfer),
}
"""What fills a block, by the block's name."""


def _fill(block: re.Match[str]) -> str:
    return f"{block['head']}\n{BLOCKS[block['name']]()}\n\n{block['tail']}"


def _join(parts: Iterable[str]) -> str:
    return "\n\n".join(parts)


def _fence(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    table = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in table)


def _commands() -> dict[str, argparse.ArgumentParser]:
    # argparse offers no public way to list what a parser knows.
    actions = cli.build_parser()._actions  # noqa: SLF001  # see above
    return next(dict(action.choices) for action in actions if isinstance(action.choices, dict))


def _command(name: str, command: argparse.ArgumentParser) -> Iterator[str]:
    actions = [action for action in command._actions if action.dest != "help"]  # noqa: SLF001  # as in _commands
    yield f"## `cmp-core {name}`"
    yield str(command.description)
    yield _fence("text", " ".join(["cmp-core", name, *(_usage(action) for action in actions)]))
    if actions:
        yield _table(("Argument", "Meaning"), ((_argument(action), str(action.help)) for action in actions))
    yield _fence("sh", str(command.epilog).removeprefix("example: "))


def _value(action: argparse.Action) -> str:
    return str(action.metavar) if action.metavar else f"{{{','.join(map(str, action.choices or ()))}}}"


def _usage(action: argparse.Action) -> str:
    if action.option_strings:
        return f"[{action.option_strings[0]} {_value(action)}]"
    if action.required:
        return _value(action)
    return f"[{_value(action)} …]" if action.nargs == "*" else f"[{_value(action)}]"


def _argument(action: argparse.Action) -> str:
    options = [f"`{option} {_value(action)}`" for option in action.option_strings]
    return ", ".join(options) or f"`{_value(action)}`"


def _error_cells(item: type[CmpError]) -> tuple[str, str, str]:
    parent = next(base for base in item.__bases__)
    return (
        f"`{item.__name__}`",
        f"`{parent.__name__}`" if parent in vars(errors).values() else "",
        "yes" if item.retryable else "no",
    )


def _told(told: tuple[str, str]) -> tuple[str, str]:
    text, part = told
    code_and_prose = (
        piece if number % 2 else escape(piece, quote=False) for number, piece in enumerate(text.split("`"))
    )
    return "`".join(code_and_prose), part


def _settings() -> Iterator[tuple[str, str, Schema]]:
    """Yield every setting's key, its variable and its schema; the limits stand in place of the map that holds them."""
    schemas = _properties(Settings) | {f"limits.{key}": schema for key, schema in _properties(Limits).items()}
    for name, keys in setting_variables().items():
        key = ".".join(map(str, keys))
        yield key, name, schemas[key]


def _model(backend: str) -> type[Source]:
    return load_backend(find_backend(backend, installed_backends())).model


def _properties(model: type[StrictModel]) -> dict[str, Schema]:
    """Return the JSON Schema of every key of the model, and whether the key is required."""
    schema = model.model_json_schema(by_alias=True)
    required = schema.get("required", ())
    return {key: {**value, "required": key in required} for key, value in schema["properties"].items()}


def _keys_table(model: type[StrictModel], without: Iterable[str] = ()) -> str:
    left_out = {model.model_fields[name].alias for name in without}
    rows = ((f"`{key}`", *_describe(schema)) for key, schema in _properties(model).items() if key not in left_out)
    return _table(("Key", "Value", "Default", "Meaning"), rows)


def _describe(schema: Schema) -> tuple[str, str, str]:
    """Return a key's kind of value, its default, and its meaning."""
    examples = ", ".join(f"`{_flow(value)}`" for value in schema.get("examples", ()) if not isinstance(value, bool))
    example = f" For example {examples}." if examples else ""
    return _kind(schema), _default(schema), f"{schema.get('description', '')}{example}"


def _example_of(schema: Schema) -> str:
    return ", ".join(f"`{_flow(value)}`" for value in schema.get("examples", ()))


def _kind(schema: Schema) -> str:
    variants = (variant for variant in schema.get("anyOf", [schema]) if variant.get("type") != "null")
    only = next(variants)
    bounds = [text.format(only[bound]) for bound, text in _BOUNDS.items() if bound in only]
    return ", ".join([_kind_name(only), *bounds])


def _kind_name(schema: Schema) -> str:
    kind = schema.get("type")
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if isinstance(kind, list):
        return "bytes" if "integer" in kind else "text"
    if kind == "array":
        items = schema.get("items", {})
        texts = "list of names" if "minLength" in items else "list of patterns"
        return texts if items.get("type") == "string" else "list of maps"
    names = {"boolean": "`true` or `false`", "integer": "whole number", "string": "text"}
    return names.get(str(kind), str(kind)) if kind else "map"


def _default(schema: Schema) -> str:
    value = schema.get("default")
    if schema["required"]:
        return "required"
    return f"`{_plain(value, schema)}`" if isinstance(value, str | int | float) else ""


def _faults() -> ModuleType:
    return _test_tables("e2e.faults")


def _test_tables(name: str) -> ModuleType:
    """Return a module of tables, which lies with the tests that each row is."""
    if str(TESTS) not in sys.path:
        sys.path.append(str(TESTS))
    return import_module(name)


def _sentence(text: str) -> str:
    """Return a text with a capital where a sentence begins."""
    return text[:1].upper() + text[1:]


def _fault_cells(row: Any) -> tuple[str, ...]:
    asked = _NOT_COUNTED if row.asked is None else f"{row.asked:,}"
    return _with_settings(row), _result(row.error), row.text.replace("\n", "<br>"), asked, f"{row.seconds:g} s"


def _race_cells(race: Any, seconds: float) -> tuple[str, ...]:
    state = ", ".join(f"`{name}` {version}" for name, version in sorted((race.after or {}).items()))
    result = _result(race.error) if race.error else f"the manifests: {state}"
    return _with_settings(race), result, race.text, str(race.pages), f"{seconds:g} s"


def _with_settings(row: Any) -> str:
    return f"{row.what} ({_variables(row.settings)})" if row.settings else row.what


def _result(error: type[CmpError] | None) -> str:
    return f"{error.exit_code}, `{error.__name__}`" if error else "the manifests"


def _signal_result(code: int) -> str:
    return f"{code}, nothing on stdout" if code > 0 else "no exit code, nothing on stdout"


def _key(name: str) -> str:
    """Return an object's key as code in which each character is seen, and none means anything to Markdown."""
    if len(name) > _LONGEST_KEY:
        return f"{_key(name[:20] + '…')} ({len(name.encode()):,} bytes)"
    shown = re.sub(r"^ | $", r"\\x20", name)
    return f"<code>{''.join(map(_shown, shown))}</code>" if name else "the prefix itself"


def _shown(letter: str) -> str:
    if not letter.isprintable() or unicodedata.combining(letter):
        return "".join(map(_shown, letter.encode("unicode-escape").decode()))
    return f"&#{ord(letter)};" if letter in string.punctuation and letter not in _PLAIN_SIGNS else letter


def _variables(settings: Mapping[str, str]) -> str:
    return ", ".join(f"`{name}={value}`" for name, value in settings.items())


def _plain(value: object, schema: Schema) -> str:
    """Return a default as YAML writes it, bytes with their unit."""
    if isinstance(value, int) and "string" in schema["type"]:
        fitting = (f"{value // size}{unit}" for unit, size in _UNITS.items() if value and value % size == 0)
        return next(fitting, str(value))
    return f"{value:g}" if isinstance(value, float) else _flow(value)


def _flow(value: object) -> str:
    """Return a value as YAML writes it on one line."""
    if isinstance(value, list):
        return f"[{', '.join(json.dumps(item) if '*' in item else _flow(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_flow(item)}' for key, item in value.items())}}}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _signature(name: str, function: Callable[..., object]) -> str:
    """Return the head of a function as its source has it, whatever Python makes of its annotations."""
    node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(node, ast.FunctionDef)  # noqa: S101  # hooks are plain functions
    arguments = [f"{item.arg}: {ast.unparse(item.annotation)}" for item in node.args.args if item.annotation]
    if node.args.kwonlyargs:
        defaults = (f" = {ast.unparse(value)}" if value else "" for value in node.args.kw_defaults)
        named = zip(node.args.kwonlyargs, defaults, strict=True)
        arguments += ["*", *(f"{ast.unparse(item)}{default}" for item, default in named)]
    returns = ast.unparse(node.returns) if node.returns else "None"
    one_line = f"def {name}({', '.join(arguments)}) -> {returns}: ..."
    lines = "".join(f"    {argument},\n" for argument in arguments)
    return one_line if len(one_line) <= 88 else f"def {name}(\n{lines}) -> {returns}: ..."


def _markdown(item: object) -> str:
    """Return an item's Google docstring as Markdown: sections become lists, double backticks single ones."""
    blocks = (inspect.getdoc(item) or "").replace("``", "`").split("\n\n")
    return _join(_section(block) if block.partition(":\n")[0] in _SECTIONS else block for block in blocks)


def _section(block: str) -> str:
    name, _, body = block.partition(":\n")
    items = re.sub(r"\n\s+", " ", textwrap.dedent(body)).splitlines()
    if name == "Returns":
        return f"**{name}**: {' '.join(items)}"
    return f"**{name}**\n\n" + "\n".join(re.sub(r"^(\w+): ", r"- `\1`: ", item) for item in items)


def _summary(item: object) -> str:
    return _markdown(item).split("\n\n")[0].replace("\n", " ")


def _names_table(module: ModuleType) -> str:
    documented = ((name, _name_summary(module, name)) for name in module.__all__)
    return _table(("Name", "What it is"), ((f"`{name}`", summary) for name, summary in documented if summary))


def _name_summary(module: ModuleType, name: str) -> str:
    """Return the first sentence on a public name; of what is no class and no function, what stands below it."""
    item = getattr(module, name)
    if inspect.isclass(item) or inspect.isfunction(item):
        return _summary(item)
    home = import_module(f"cmp_core.{cmp_core._HOMES[name]}") if module is cmp_core else module  # noqa: SLF001  # where it is
    statements = ast.parse(inspect.getsource(home)).body
    for statement, text in pairwise(statements):
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            value = text.value if isinstance(text, ast.Expr) else None
            return " ".join(str(value.value).split()) if isinstance(value, ast.Constant) else ""
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
