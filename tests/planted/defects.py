"""The defects that are planted in the sound backend, and for each of them the tests of the contract that must fail."""

from typing import NamedTuple

_IMPORTS = "import hashlib\n"
_AFTER_FETCH = '    log.debug("copied %d files", len(files))\n'
_RETURN = "    return Artifact.from_directory(destination, revision=revision_of(files))\n"
_MISSING = 'raise SourceNotFoundError(f"{source.location} does not exist: check its name")'
_SELECT = "files = select_files(list_shelf(shelf, environment), source, limits)"
_LIMITS = "limits = source.limits.under(environment.settings.limits)"
_TARGET = "target = destination / file.path"
_READ = "content = (shelf / file.path).read_bytes()"
_WRITE = "target.write_bytes(content)"
_DELEGATE = 'return fetch_nested(source.base, destination, key="base")'
_DIAGNOSE = '    yield Finding("folder", "ok", f"{environment.variables[\'SHELVES\']} is there")\n'
_FAILED = 'yield Finding.of_error("shelf", error)'
_RENDER = """

@hookimpl
def render(artifact: Artifact) -> Iterable[Document]:
    {body}
    return [Document(b"a: b\\n", path, 1) for path in artifact.files]
"""


class Defect(NamedTuple):
    """One defect.

    Attributes:
        name: What is wrong, in a few words with hyphens between them.
        tests: The tests of the contract that must fail, among others.
        old: A text of the sound backend; empty for its end.
        new: What stands in its place.
        suite: The suite that shows it.
        sound: A test that it must not fail: it breaks what it is meant to break, not everything.
    """

    name: str
    tests: tuple[str, ...]
    old: str
    new: str
    suite: str = "ShelfSuite"
    sound: str = "test_the_same_content_gives_the_same_artifact"


def _writes(what: str) -> str:
    """Return the end of a fetch that adds a file with something that is no part of the content."""
    return f'    (destination / "added").write_text({what})\n    return Artifact.from_directory(destination)\n'


LIGHT = "test_importing_it_loads_no_sdk_and_opens_no_socket"
ARRIVES = "test_what_was_published_arrives_byte_for_byte"
SAME = "test_the_same_content_gives_the_same_artifact"
AGAIN = "test_another_order_of_writing_gives_the_same_content"
ELSEWHERE = "test_another_process_brings_and_renders_the_same"
OUTSIDE = "test_nothing_is_written_outside_the_destination"
NAMES = "test_a_hostile_name_arrives_as_it_is_or_is_refused"
TWICE = "test_rendering_it_twice_gives_the_same"
BEFORE = "test_a_limit_is_honoured_before_bytes_are_kept"
NEVER = "test_no_file_ever_grows_beyond_its_limit"
OWN = "test_the_trigger_files_own_limits_hold_to_the_byte"
TIME = "test_time_that_runs_out_ends_a_fetch"
TWENTY = "test_twenty_fetches_at_once_agree"
MISSING = "test_a_missing_source_is_not_found"
DENIED = "test_a_denied_source_is_an_access_error"
OUTAGE = "test_an_outage_is_worth_another_try"
SECRET = "test_no_secret_is_told_or_logged"
INSIDE = "test_inside_another_source_it_brings_the_same"
PLACE = "test_inside_another_source_its_error_tells_the_place"
SIBLINGS = "test_what_its_siblings_have_brought_is_taken_from_its_limits"
REFUSED = "test_what_the_operator_does_not_allow_is_refused"
OTHERS = "test_it_reads_from_other_backends_only_as_the_operator_allows"
DIAGNOSED = "test_a_source_that_fails_is_diagnosed_with_its_error"
FINDINGS = "test_no_finding_tells_a_secret"

DEFECTS = (
    # Offline: the import, the schema, the announcements.
    Defect("loads-an-sdk", (LIGHT,), _IMPORTS, "import fsspec\nimport hashlib\n"),
    Defect("opens-a-socket", (LIGHT,), _IMPORTS, "import hashlib\nimport socket\nsocket.socket().close()\n"),
    Defect("trusts-the-repository", (LIGHT,), _IMPORTS, "import hashlib\nimport sys\nsys.path.insert(0, '')\n"),
    Defect("needs-a-home", (LIGHT,), _IMPORTS, "import hashlib\nimport os\nHOME = os.environ['HOME']\n"),
    Defect(
        "describes-nothing",
        ("test_its_schema_describes_every_key",),
        'Field(description="The shelf\'s name.", ',
        "Field(",
    ),
    Defect(
        "shares-a-variable",
        ("test_its_parameters_are_what_argo_cd_reads",),
        "    base: Annotated",
        '    na_me: Annotated[str, Field(description="Another.")] = ""\n    base: Annotated',
    ),
    Defect(
        "ignores-unknown-keys",
        ("test_an_unknown_key_is_refused", "test_its_schema_describes_every_key"),
        '    """One shelf."""\n',
        '    """One shelf."""\n\n    model_config = {"extra": "ignore"}\n',
    ),
    Defect("tells-no-location", ("test_it_names_its_location",), 'return f"shelf:{self.name}"', 'return ""'),
    Defect(
        "tells-its-password",
        ("test_it_names_its_location",),
        'return f"shelf:{self.name}"',
        'return f"shelf://token-of-the-shelves-4711@{self.name}"',
    ),
    # Content and determinism.
    Defect(
        "leaves-files-out", (ARRIVES,), "for name in names:", "for name in [n for n in names if n.endswith('.yaml')]:"
    ),
    Defect("changes-line-ends", (ARRIVES,), _READ, f'{_READ}.replace(b"\\n", b"\\r\\n")'),
    Defect("counts-fetches", (SAME,), "revision_of(files)", "f'{time.monotonic_ns()}'", sound=ARRIVES),
    Defect("keeps-one-revision", ("test_other_content_gives_another_revision",), "revision_of(files)", "'sha256:1'"),
    Defect("dates-the-content", (AGAIN,), _RETURN, _writes("str(sorted(p.stat().st_mtime for p in shelf.rglob('*')))")),
    Defect("lists-as-the-disk-does", (ELSEWHERE,), _RETURN, _writes("str(os.listdir(shelf))")),
    Defect("tells-the-time", (ELSEWHERE,), _RETURN, _writes("str(int(time.time()) // 3600)")),
    Defect("tells-the-time-of-day", (ELSEWHERE,), _RETURN, _writes("time.strftime('%z')")),
    Defect("depends-on-the-seed", (ELSEWHERE,), _RETURN, _writes("str(hash('shelf'))")),
    Defect(
        "renders-in-any-order",
        (TWICE,),
        "",
        _RENDER.format(body="artifact.files and log.__dict__.setdefault('n', []).append(1)").replace(
            'b"a: b\\n"', 'b"n: %d\\n" % len(log.n)'
        ),
    ),
    Defect(
        "renders-once",
        (TWICE,),
        "",
        _RENDER.format(body="(artifact.root / artifact.files[0]).write_bytes(b'rendered: 1')"),
    ),
    Defect("writes-where-it-stands", (OUTSIDE,), _AFTER_FETCH, "    Path('cache').write_text('x')\n"),
    Defect("writes-beside", (OUTSIDE,), _AFTER_FETCH, "    destination.with_suffix('.tmp').write_text('x')\n"),
    # Hostile names.
    Defect("trims-names", (NAMES,), _TARGET, f"{_TARGET}.strip()"),
    Defect(
        "decodes-names", (NAMES,), _TARGET, "target = destination / __import__('urllib.parse').parse.unquote(file.path)"
    ),
    Defect("folds-names", (NAMES,), _TARGET, f"{_TARGET}.lower()"),
    Defect(
        "normalises-names",
        (NAMES,),
        _TARGET,
        "target = destination / __import__('unicodedata').normalize('NFC', file.path)",
    ),
    Defect("expands-names", (NAMES,), _TARGET, "target = destination / os.path.expandvars(file.path)"),
    Defect("hides-names", (NAMES,), "for name in names:", "for name in [n for n in names if n[0] not in '._']:"),
    Defect("takes-names-for-patterns", (NAMES,), _READ, "content = next(shelf.glob(file.path)).read_bytes()"),
    Defect("breaks-on-names", (NAMES,), "check_path(file.path)", "file.path.encode('ascii')"),
    # Limits, time and company.
    Defect("knows-no-limits", (BEFORE, NEVER, OWN, SIBLINGS), _LIMITS, "limits = type(environment.settings.limits)()"),
    Defect(
        "is-off-by-one",
        ("test_exactly_the_limits_are_allowed",),
        _LIMITS,
        f"{_LIMITS}; limits = limits.model_copy(update={{'object_bytes': limits.object_bytes - 1}})",
    ),
    Defect("knows-no-own-limits", (OWN,), _LIMITS, "limits = environment.settings.limits"),
    Defect(
        "measures-what-it-has-written",
        (NEVER,),
        _SELECT,
        "(destination / 'all').write_bytes(b''.join(p.read_bytes() for p in shelf.rglob('*') if p.is_file()))\n"
        f"    (destination / 'all').unlink()\n    {_SELECT}",
    ),
    Defect("never-looks-at-the-clock", (TIME,), "environment.deadline.check()", "pass"),
    Defect(
        "blames-the-service",
        (TIME,),
        "        environment.deadline.check()\n        target",
        "        if not environment.deadline.remaining():\n            raise TransientFetchError('late: try again')\n"
        "        target",
    ),
    Defect(
        "goes-on-in-silence",
        (TIME,),
        "        environment.deadline.check()\n        time.sleep(0.02)\n",
        "        try:\n            time.sleep(0.02)\n        except Exception:\n            pass\n",
    ),
    Defect(
        "leaves-a-file-open",
        (TIME,),
        _READ,
        f"{_READ}; log.__dict__.setdefault('kept', []).append(open(shelf / file.path))",
    ),
    Defect(
        "leaves-a-thread",
        (TIME,),
        _READ,
        f"{_READ}; __import__('threading').Thread(target=time.sleep, args=(20,), daemon=True).start()",
    ),
    Defect(
        "leaves-a-process",
        (TIME,),
        _READ,
        f"{_READ}; log.__dict__.setdefault('kept', []).append(__import__('subprocess').Popen(['sleep', '5']))",
    ),
    Defect(
        "shares-a-destination",
        (TWENTY,),
        "    for file in files:\n",
        "    log.__dict__['destination'] = destination\n    time.sleep(0.05)\n"
        "    destination = log.destination\n    for file in files:\n",
    ),
    # Failures and what they tell.
    Defect(
        "takes-missing-for-empty", (MISSING,), f"    if not (root / source.name).is_dir():\n        {_MISSING}\n", ""
    ),
    Defect("takes-denied-for-missing", (DENIED,), "raise SourceAccessError(", "raise SourceNotFoundError("),
    Defect("takes-down-for-ever", (OUTAGE,), "raise TransientFetchError(", "raise CmpError("),
    Defect("tells-a-story", (MISSING,), "does not exist: check its name", "does not exist:\\ncheck its name"),
    Defect("tells-no-remedy", (MISSING,), "does not exist: check its name", "does not exist"),
    Defect(
        "tells-its-token",
        (DENIED, SECRET),
        "may not be read: ask",
        "may not be read ({environment.variables['SHELVES_TOKEN']}): ask",
    ),
    Defect(
        "tells-its-variables",
        (OUTAGE, SECRET),
        "is out of reach: try",
        "is out of reach ({dict(environment.variables)!r:.900}): try",
    ),
    Defect(
        "tells-its-token-in-the-cause",
        (MISSING, SECRET),
        _MISSING,
        f"{_MISSING} from OSError(environment.variables['SHELVES_TOKEN'])",
    ),
    Defect(
        "tells-its-token-in-a-note",
        (MISSING, SECRET),
        _MISSING,
        f"error = {_MISSING.removeprefix('raise ')}\n        "
        "error.add_note(environment.variables['SHELVES_TOKEN'])\n        raise error",
    ),
    Defect(
        "logs-its-token", (SECRET,), _AFTER_FETCH, "    log.debug('used %s', environment.variables['SHELVES_TOKEN'])\n"
    ),
    # Composition and policy.
    Defect("depends-on-its-place", (INSIDE,), _RETURN, _writes("destination.name"), sound=DENIED),
    Defect(
        "has-an-error-of-its-own",
        (PLACE,),
        _MISSING,
        "raise type('NoShelf', (SourceNotFoundError,), {'__str__': lambda self: 'no such shelf: check its name'})()",
    ),
    Defect(
        "forgets-its-siblings",
        (SIBLINGS,),
        _LIMITS,
        "limits = environment.settings.limits.model_copy(update={'objects': 3, 'total_bytes': 10**6})",
    ),
    Defect(
        "lets-everybody-in",
        (REFUSED,),
        "if source.name == environment.variables.get",
        "if False and environment.variables.get",
    ),
    Defect("refuses-without-a-policy", (REFUSED,), "raise PolicyError(", "raise SourceAccessError("),
    Defect(
        "refuses-when-it-is-there",
        (REFUSED,),
        "    shelf = open_shelf(source, environment)\n",
        "    (destination / 'lock').write_text('x')\n    shelf = open_shelf(source, environment)\n",
    ),
    Defect(
        "reads-elsewhere-in-secret",
        (OTHERS,),
        "    shelf = open_shelf(source, environment)\n",
        "    shelf = open_shelf(source, environment)\n"
        "    fetch_nested({'backend': 'shelf', 'name': source.name}, destination / 'more')\n",
    ),
    Defect(
        "hides-a-refusal",
        (OTHERS,),
        _DELEGATE,
        f"try:\n            {_DELEGATE}\n        except PolicyError:\n"
        "            return Artifact.from_directory(destination)",
        "BaseSuite",
    ),
    Defect(
        "renames-a-refusal",
        (OTHERS,),
        _DELEGATE,
        f"try:\n            {_DELEGATE}\n        except PolicyError as error:\n"
        "            raise SourceNotFoundError(str(error)) from None",
        "BaseSuite",
    ),
    # Diagnosis.
    Defect("finds-nothing", ("test_a_sound_source_has_no_failure",), _DIAGNOSE, ""),
    Defect(
        "finds-another-error",
        (DIAGNOSED,),
        _FAILED,
        'yield Finding("shelf", "failed", "no shelf", "look for it", CmpError)',
    ),
    Defect(
        "finds-fault-with-nothing",
        ("test_the_sidecar_is_diagnosed_without_a_source",),
        "    if source:\n        try:",
        '    if not source:\n        yield Finding("shelf", "failed", "no shelf", "name one")\n    else:\n        try:',
    ),
    Defect("finds-its-token", (FINDINGS,), "['SHELVES']} is there", "['SHELVES_TOKEN']} is there"),
    Defect(
        "finds-and-writes",
        ("test_a_diagnosis_writes_nothing",),
        _DIAGNOSE,
        f"    Path('report').write_text('x')\n{_DIAGNOSE}",
    ),
)
