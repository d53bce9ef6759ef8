"""The container file, read as a builder would: two stages, pinned, nobody's, and with all that it copies."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import xdsaudit

ROOT = Path(__file__).parent.parent.parent
FILE = ROOT / "docs" / "deploy" / "Containerfile"


def instructions() -> list[tuple[str, str]]:
    """Instruction and arguments of each line; lines that go on are joined."""
    text = FILE.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for each in instructions():
        if each[0] == "FROM":
            found.append([])
        if found:
            found[-1].append(each)
    return found


def test_every_instruction_is_one() -> None:
    assert {name for name, _ in instructions()} <= {
        *("ARG", "FROM", "WORKDIR", "ENV", "RUN", "COPY", "USER", "STOPSIGNAL", "ENTRYPOINT", "CMD")
    }


def test_both_stages_stand_on_one_pinned_image() -> None:
    (base,) = [value for name, value in instructions() if name == "ARG"]
    assert re.fullmatch(r"BASE=python:3\.\d+\.\d+-slim-[a-z]+(@sha256:[0-9a-f]{64})?", base), "not latest, not musl"
    assert [stage[0][1] for stage in stages()] == ["${BASE} AS build", "${BASE}"]


def test_it_runs_as_nobody_and_holds_no_sources() -> None:
    _, last = stages()
    names = [name for name, _ in last]
    assert "RUN" not in names, "nothing is installed in what is shipped"
    assert [value for name, value in last if name == "COPY"] == ["--from=build /opt/xdsaudit /opt/xdsaudit"]
    (user,) = [value for name, value in last if name == "USER"]
    assert all(int(part) >= 10000 for part in user.split(":")), (
        "a number, or Kubernetes cannot tell that it is not root"
    )
    assert names.index("USER") < names.index("ENTRYPOINT")


def test_what_it_copies_exists_and_is_let_through() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert ignored[0] == "*"
    let = {line[1:] for line in ignored if line.startswith("!")}
    copied = {source for name, value in stages()[0] if name == "COPY" for source in value.split()[:-1]}
    assert copied == let
    assert all((ROOT / source).exists() for source in copied)
    # What the build backend reads must be among them, or the wheel cannot be built in there.
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    hook = project["tool"]["hatch"]["metadata"]["hooks"]["custom"]["path"]
    assert {hook, "README.md", *project["project"]["license-files"]} <= copied


def test_the_version_in_its_example_is_this_one() -> None:
    assert f"-t xdsaudit:{xdsaudit.__version__} ." in FILE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "line", tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
)
def test_what_it_installs_is_pinned_and_allowed(line: str) -> None:
    wanted = Requirement(line)
    text = (ROOT / "docs" / "deploy" / "constraints.txt").read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([a-z0-9-]+)==(\S+)$", text, re.MULTILINE))
    assert wanted.specifier.contains(pinned[canonicalize_name(wanted.name)])
