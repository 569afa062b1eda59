"""Own the bill of materials: every package in the image, of Debian, of Python and of Go, as CycloneDX."""

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from tools.image.contents import ENVIRONMENT, PROGRAMS, ROOT, debian_packages, go_modules, site_packages
from tools.release import read_project


def write_bill(root: Path, target: Path) -> None:
    """Write the bill of a root file system, once it is what CycloneDX' own schema asks for."""
    text = JsonV1Dot6(bill_of(root)).output_as_string(indent=2)
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise ValueError(f"the bill of materials is not valid CycloneDX: {error}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(f"{text}\n", encoding="utf-8")


def bill_of(root: Path) -> Bom:
    """Return the bill of a root file system."""
    bill = Bom()
    image = Component(
        name="cmp-core", version=read_project(ROOT)["version"], type=ComponentType.CONTAINER, bom_ref="image"
    )
    bill.metadata.component = image
    direct = [python(root), *python_packages(root), *debian(root)]
    for program in PROGRAMS:
        toolchain, (own, *others) = go_modules(root / program)
        name = Path(program).name
        application = component(
            PackageURL("golang", *split(own.path), own.version), type_=ComponentType.APPLICATION, ref=f"program:{name}"
        )
        modules = [component(PackageURL("golang", None, "stdlib", toolchain), ref=f"{name}:stdlib")]
        modules += [
            component(
                PackageURL("golang", *split(module.path), module.version), ref=f"{name}:{module.path}@{module.version}"
            )
            for module in others
        ]
        bill.components.update([application, *modules])
        bill.register_dependency(application, modules)
        direct.append(application)
    bill.components.update(direct)
    bill.register_dependency(image, direct)
    return bill


def python(root: Path) -> Component:
    """Return Python itself, of the version that the environment names."""
    found = re.search(r"^version = (\S+)$", (root / ENVIRONMENT / "pyvenv.cfg").read_text(), re.MULTILINE)
    if not found:
        raise ValueError("pyvenv.cfg names no version of Python")
    return component(PackageURL("generic", None, "python", found[1]), type_=ComponentType.PLATFORM)


def python_packages(root: Path) -> Iterator[Component]:
    """Give what is installed beside cmp-core, and cmp-core itself."""
    for distribution in sorted(distributions(path=[str(site_packages(root))]), key=name_of):
        yield component(PackageURL("pypi", None, name_of(distribution), distribution.version))


def debian(root: Path) -> Iterator[Component]:
    """Give the packages of Debian, and the version of Debian that they are of."""
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)', (root / "etc/os-release").read_text(), re.MULTILINE))
    for stanza in debian_packages(root):
        qualifiers = {"arch": stanza["Architecture"], "distro": f"{release['ID']}-{release['VERSION_ID']}"}
        yield component(PackageURL("deb", release["ID"], stanza["Package"], stanza["Version"], qualifiers))


def component(url: PackageURL, *, type_: ComponentType = ComponentType.LIBRARY, ref: str = "") -> Component:
    """Return a component for the package that the URL names."""
    name = f"{url.namespace}/{url.name}" if url.type == "golang" and url.namespace else url.name
    return Component(name=name, version=url.version, type=type_, purl=url, bom_ref=ref or url.to_string())


def split(module: str) -> tuple[str | None, str]:
    """Return a Go module's path as a package URL has it: all but the last part, and that."""
    namespace, _, name = module.rpartition("/")
    return namespace or None, name


def name_of(distribution: Distribution) -> str:
    """Return a distribution's name as indexes write it."""
    return re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
