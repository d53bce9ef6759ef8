"""Write ``docs/deploy/constraints.txt``: the exact versions of all that ``pip install xdsaudit`` brings, as in this environment.

``--check`` says whether the file still names what the dependencies bring, and versions that they allow.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "docs" / "deploy" / "constraints.txt"
_HEAD = "# Made by tools/constraints.py: what the image holds, version by version.\n"


def plain() -> list[Requirement]:
    """The plain dependencies of pyproject.toml."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [Requirement(line) for line in project["dependencies"]]


def closure() -> dict[str, str]:
    """Every distribution that the plain dependencies bring, and its version here."""
    found: dict[str, str] = {}
    left = plain()
    while left:
        wanted = left.pop()
        name = canonicalize_name(wanted.name)
        if name in found or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
            continue
        distribution = metadata.distribution(name)
        found[name] = distribution.version
        for line in distribution.requires or ():
            below = Requirement(line)
            extras = [{"extra": extra} for extra in (*wanted.extras, "")]
            if below.marker is None or any(below.marker.evaluate(extra) for extra in extras):
                below.marker = None
                left.append(below)
    return dict(sorted(found.items()))


def pinned() -> dict[str, str]:
    """What the file says."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)$", PLACE.read_text(encoding="utf-8"), re.MULTILINE))


def problems() -> list[str]:
    """What is wrong with the file."""
    said, brought = pinned(), set(closure())
    found = [f"{name} is brought and not pinned" for name in sorted(brought - set(said))]
    found += [f"{name} is pinned and not brought" for name in sorted(set(said) - brought)]
    for wanted in plain():
        version = said.get(canonicalize_name(wanted.name))
        if version is not None and not wanted.specifier.contains(version):
            found.append(f"{wanted} does not allow {version}")
    return found


def main() -> int:
    """Write, or check."""
    if "--check" in sys.argv[1:]:
        found = problems()
        print("\n".join(found) or "constraints.txt is whole")
        return 1 if found else 0
    PLACE.write_text(_HEAD + "".join(f"{n}=={v}\n" for n, v in closure().items()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
