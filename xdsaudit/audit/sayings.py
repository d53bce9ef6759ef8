"""Sentences that say the same of many replicas or many rules, made into one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from xdsaudit.model.view import State, ViewInfo

_PLURAL: Final = {
    "has": "have",
    "lacks": "lack",
    "differs": "differ",
    "holds": "hold",
    "rejects": "reject",
    "is": "are",
    "rejected": "rejected",
}
_ASIDES: Final = ("as gateways are served,", "private cache line,")
_READ: Final = frozenset({State.READ, State.PARTIAL})


class Likewise(NamedTuple):
    """Further replicas of which a sentence holds, and how many replicas of their view were read."""

    replicas: tuple[str, ...]
    of: int

    def __str__(self) -> str:
        """``likewise gw-1, gw-2, gw-3 and 13 more``, or nothing."""
        if not self.replicas:
            return ""
        if len(self.replicas) + 1 == self.of > 2:
            return f"likewise all {self.of}"
        return f"likewise {listed(self.replicas)}"


class _Said(NamedTuple):
    line: str
    view: str
    replica: str
    rest: str


class Labels(NamedTuple):
    """The replicas that sentences may begin with, and how many of each view were read."""

    names: Mapping[str, frozenset[str]]
    totals: Mapping[str, int]

    @classmethod
    def of(cls, views: Iterable[ViewInfo]) -> Labels:
        """The replicas of these views; the private line of a pilot goes by the pilot's name."""
        names: dict[str, set[str]] = {}
        totals: Counter[str] = Counter()
        for info in views:
            if info.replica and info.state in _READ:
                names.setdefault(info.name.removesuffix("_fresh"), set()).add(info.replica)
                totals[info.name] += 1
        return cls({view: frozenset(replicas) for view, replicas in names.items()}, totals)

    def total(self, view: str) -> int:
        """How many replicas of a view were read."""
        return self.totals.get(view, 0)

    def split(self, line: str) -> tuple[str, str, str] | None:
        """View, replica and the rest of a sentence that begins with a replica; None for any other."""
        view, _, behind = line.partition(" ")
        name, blank, rest = behind.partition(" ")
        replica = name.rstrip(",:")
        if not blank or replica not in self.names.get(view, ()):
            return None
        return view, replica, f"{name[len(replica) :]} {rest}"


def listed(names: Iterable[str], shown: int = 3) -> str:
    """Some names and how many more there are: ``a, b, c and 4 more``."""
    every = list(names)
    if len(every) <= shown + 1:
        return ", ".join(every)
    return f"{', '.join(every[:shown])} and {len(every) - shown} more"


def generic(line: str, host: str) -> str:
    """A sentence of a rule without what is this rule's alone: its host, its path and how many routes it has."""
    for before in (" for ", " leads to "):
        tail = f"{before}{host} on port "
        at = line.find(tail)
        if at < 0:
            continue
        head, verb, _ = line[:at].partition(" lacks ")
        port = line[at + len(tail) :].partition(" ")[0]
        return (
            f"{head} lacks the rule's routes on port {port}"
            if verb
            else f"{head}{before}the rule's host on port {port}"
        )
    return line


def folded(labels: Labels, lines: Iterable[str]) -> tuple[str, ...]:
    """Sentences in order, those of several replicas that say the same as one: ``17 of 20 gateways have it``."""
    alike: dict[object, list[_Said]] = {}
    for line in lines:
        said = _Said(line, *(labels.split(line) or ("", "", "")))
        alike.setdefault((said.view, said.rest) if said.view else line, []).append(said)
    return tuple(
        said[0].line if len(said) == 1 or not said[0].view else _many(labels, said[0], len({s.replica for s in said}))
        for said in alike.values()
    )


def _many(labels: Labels, said: _Said, count: int) -> str:
    view, rest = said.view, said.rest
    aside = next((f"{a} " for a in _ASIDES if rest.lstrip(", ").startswith(a)), "")
    total = labels.total("pilot_fresh" if aside.startswith("private") else view)
    who = f"all {total} {view}s" if count == total else f"{count} of {total} {view}s"
    if rest.startswith(":"):
        return f"{who}{rest}"
    verb, blank, end = rest.lstrip(", ").removeprefix(aside).partition(" ")
    comma = ", " if aside else " "
    return f"{who}{comma}{aside}{_PLURAL.get(verb, verb)}{blank}{end}"
