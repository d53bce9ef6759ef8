"""Which ports a rule has routes on."""

from __future__ import annotations

from functools import cached_property

from xdsaudit.ingress.expectation import Expectation
from xdsaudit.model.route import Place
from xdsaudit.model.verdict import Rule


class Ports:
    """Asks the tables of an expectation, those of the rule's own host first: most audits ask for a few rules."""

    def __init__(self, expectation: Expectation) -> None:
        """Ask this one."""
        self._tables, self._profile = expectation.tables, expectation.profile
        self._ports = ((False, self._profile.http_port), (True, self._profile.https_port))
        self._numbers: dict[Place, frozenset[int]] = {}

    def of(self, number: int, rule: Rule) -> set[bool]:
        """Whether a rule has routes on the plain (False) and on the TLS port (True)."""
        if rule.path_type == "DefaultBackend":  # stands in for every host of its Ingress
            return self._all.get(number, set())
        return {secure for secure, port in self._ports if number in self._at((port, rule.host))}

    def _at(self, place: Place) -> frozenset[int]:
        """Numbers of the rules that have routes at a place, gathered once: a host may have as many rules as all others."""
        found = self._numbers.get(place)
        if found is None:
            found = self._numbers[place] = frozenset(n for r in self._tables.get(place, ()) for n in r.rules)
        return found

    @cached_property
    def _all(self) -> dict[int, set[bool]]:
        ports: dict[int, set[bool]] = {}
        for place, routes in self._tables.items():
            secure = place[0] == self._profile.https_port
            for route in routes:
                for rule in route.rules:
                    ports.setdefault(rule, set()).add(secure)
        return ports
