"""Which ports a rule has routes on."""

from __future__ import annotations

from functools import cached_property

from xdsaudit.ingress.expectation import Expectation, RuleIndex
from xdsaudit.model.route import Place
from xdsaudit.model.verdict import Rule


class Ports:
    """Asks the tables of an expectation, those of the rule's own host first: most audits ask for a few rules."""

    def __init__(self, expectation: Expectation) -> None:
        """Ask this one."""
        self._tables, self._profile = expectation.tables, expectation.profile
        self._ports = ((False, self._profile.http_port), (True, self._profile.https_port))
        self._indices: dict[Place, frozenset[RuleIndex]] = {}

    def of(self, index: RuleIndex, rule: Rule) -> set[bool]:
        """Whether a rule has routes on the plain (False) and on the TLS port (True)."""
        if rule.path_type == "DefaultBackend":  # stands in for every host of its Ingress
            return self._all.get(index, set())
        return {secure for secure, port in self._ports if index in self._at((port, rule.host))}

    def _at(self, place: Place) -> frozenset[RuleIndex]:
        """Numbers of the rules that have routes at a place, gathered once: a host may have as many rules as all others."""
        found = self._indices.get(place)
        if found is None:
            found = self._indices[place] = frozenset(i for r in self._tables.get(place, ()) for i in r.rules)
        return found

    @cached_property
    def _all(self) -> dict[RuleIndex, set[bool]]:
        ports: dict[RuleIndex, set[bool]] = {}
        for place, routes in self._tables.items():
            secure = place[0] == self._profile.https_port
            for route in routes:
                for index in route.rules:
                    ports.setdefault(index, set()).add(secure)
        return ports
