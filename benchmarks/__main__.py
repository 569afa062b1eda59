"""Own the benchmark: cmp-core against the AWS CLI, whole processes, both in one run against one server."""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import measure
from benchmarks.crowd import Crowd
from benchmarks.report import Comparison, Footprint, describe_machine, put_into_page, write_report
from benchmarks.scenario import OBJECT_BYTES, Bench
from benchmarks.servers import run_server
from tools.processes import tell
from tools.wheel_smoke import build_wheels, install

PAGE = Path("docs/explanation/performance.md")


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the tables, and put them into the documentation."""
    options = parse(arguments)
    with tempfile.TemporaryDirectory(prefix="cmp-core-benchmark-") as name:
        folder = Path(name)
        cmp_core = install(build_wheels(folder / "wheels"), folder / "environment")
        with run_server(folder) as server:
            bench = Bench(cmp_core, options.aws.absolute(), server, folder)
            report = run_all(bench, options)
    print(report)
    if options.page:
        put_into_page(options.page, report)
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the options; the defaults are what the documentation's figures are made with."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure cmp-core against the AWS CLI.")
    parser.add_argument("--aws", type=Path, required=True, metavar="FILE", help="the AWS CLI to compare with")
    parser.add_argument("--runs", type=int, default=7, metavar="N", help="how often each side is measured (default: 7)")
    parser.add_argument(
        "--many", type=int, default=1000, metavar="N", help="the objects of the large case (default: 1000)"
    )
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="*",
        default=[1000, 5000, 10_000],
        metavar="N",
        help="the objects to tell the memory of",
    )
    parser.add_argument(
        "--crowd", type=int, default=30, metavar="N", help="the requests that come at once (default: 30)"
    )
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE", help=f"the page to write (default: {PAGE})")
    parser.add_argument("--no-page", dest="page", action="store_const", const=None, help="only print the tables")
    return parser.parse_args(arguments)


def run_all(bench: Bench, options: argparse.Namespace) -> str:
    """Fill the bucket, measure everything, and return the report."""
    bench.create_bucket()
    for objects in sorted({2, options.many, *options.sizes}):
        tell(f"Putting {objects} objects into {bench.server.name}")
        bench.fill(objects)
    comparisons = [
        compare_copies(bench, options.many, options.runs, target=0.8),
        compare_copies(bench, 2, options.runs, target=2.0),
        *compare_starts(bench, options.runs),
    ]
    footprints = [footprint(bench, objects, max(3, options.runs // 2)) for objects in options.sizes]
    crowds = list(compare_crowds(bench, options.crowd, options.many))
    surroundings = [
        *describe_machine(),
        f"server: {bench.server.name}, on the loopback interface",
        *bench.versions(),
        "store off, so that every run fetches; what fetches nothing ran without settings, which it would have to check",
    ]
    return write_report(comparisons, footprints, crowds, surroundings)


def compare_crowds(bench: Bench, requests: int, objects: int) -> Iterator[Crowd]:
    """Measure many requests at once: bounded by default, and not at all."""
    bounds = {"the default, twice the cores": {}, "all (`maxConcurrency: 1000`)": {"CMP_MAX_CONCURRENCY": "1000"}}
    for what, settings in bounds.items():
        tell(f"{requests} requests of {objects} objects at once, of which work: {what}")
        yield bench.crowd(what, requests, objects, **settings)


def compare_copies(bench: Bench, objects: int, runs: int, *, target: float) -> Comparison:
    """Compare `init` and `generate` with a recursive copy of the same objects."""
    what = f"`init` + `generate` of {objects:,} objects of {OBJECT_BYTES / 1000} kB, against `aws s3 cp --recursive`"
    tell(what)
    ours, theirs = measure.compare(
        runs, lambda: bench.render_in_all(objects), lambda: bench.copy(objects), between=tell
    )
    return Comparison(what, ours, theirs, target)


def compare_starts(bench: Bench, runs: int) -> list[Comparison]:
    """Compare the commands that fetch nothing with the AWS CLI's quickest answer, all in turns."""
    targets = {"version": 0.3, "discover": 0.3, "validate": 0.6, "parameters": 0.6}
    tell("`" + "`, `".join(targets) + "`, against `aws --version`")
    with tempfile.TemporaryDirectory(dir=bench.folder) as name:
        application = bench.application(Path(name), 2)
        ours = [lambda command=command: bench.cmp(command, application) for command in targets]
        theirs, *others = measure.compare(max(runs, 11), bench.aws_version, *ours)
    return [
        Comparison(f"`{command}`, against `aws --version`", usages, theirs, target)
        for (command, target), usages in zip(targets.items(), others, strict=True)
    ]


def footprint(bench: Bench, objects: int, runs: int) -> Footprint:
    """Measure the memory that a number of objects takes."""
    tell(f"The memory of {objects:,} objects")
    init, generate = zip(*(bench.render(objects) for _ in range(runs)), strict=True)
    return Footprint(objects, init, generate)


if __name__ == "__main__":
    sys.exit(main())
