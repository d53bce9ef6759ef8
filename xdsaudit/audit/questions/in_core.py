"""Which rules higress-core serves: asked round after round to time them, apart from the verdicts."""

from __future__ import annotations

from collections.abc import Mapping

from xdsaudit.audit.case import World, unmodelled_names
from xdsaudit.audit.compare.align import Comparer
from xdsaudit.audit.compare.view import judge_core
from xdsaudit.audit.memory import Aging, Asked
from xdsaudit.errors import ReadError
from xdsaudit.ingress.expectation import Expectation
from xdsaudit.model.verdict import Rule

Cores = Mapping[str, tuple[bytes, ...]]
"""Raw MCP responses by core."""


class CoreSight:
    """What every core serves; looked at anew only when a core said something else or something else is asked for."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._decoded = Aging[tuple[str, object]]()
        self._cores: Cores = {}
        self._expected: Expectation | None = None
        self._held: frozenset[Rule] | None = None

    def see(self, world: World, cores: Cores) -> frozenset[Rule] | None:
        """The rules whose routes every core has; None where no core was read or what it said cannot be decoded."""
        if world.expectation is not self._expected or cores != self._cores:
            self._cores, self._expected = dict(cores), world.expectation
            self._decoded.turn()
            try:
                self._held = _held(world.expectation, cores, Asked(self._decoded)) if cores else None
            except ReadError:
                self._held = None
        return self._held


def _held(expectation: Expectation, cores: Cores, decoded: Asked[tuple[str, object]]) -> frozenset[Rule]:
    from xdsaudit.xds.core import read_core

    wanted = {index for routes in expectation.tables.values() for route in routes for index in route.rules}
    names = unmodelled_names(expectation)
    for replica, responses in cores.items():
        judgement = judge_core(
            read_core(responses, replica=replica, decoded=decoded), expectation, Comparer(), tolerated=names
        )
        wanted -= judgement.missing.keys() | judgement.changed.keys()
    return frozenset(expectation.plans[index].rule for index in wanted)
