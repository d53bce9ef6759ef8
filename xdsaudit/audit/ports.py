"""Which ports a rule has routes on."""

from __future__ import annotations

from functools import cached_property

from xdsaudit.ingress.expectation import Expectation
from xdsaudit.model.verdict import Rule


class Ports:
    """Asks the tables of an expectation, those of the rule's own host first: most audits ask for a few rules."""

    def __init__(self, expectation: Expectation) -> None:
        """Ask this one."""
        self._tables, self._profile = expectation.tables, expectation.profile

    def of(self, number: int, rule: Rule) -> set[bool]:
        """Whether a rule has routes on the plain (False) and on the TLS port (True)."""
        if rule.path_type == "DefaultBackend":  # stands in for every host of its Ingress
            return self._all.get(number, set())
        both = ((False, self._profile.http_port), (True, self._profile.https_port))
        return {s for s, port in both if any(number in r.rules for r in self._tables.get((port, rule.host), ()))}

    @cached_property
    def _all(self) -> dict[int, set[bool]]:
        ports: dict[int, set[bool]] = {}
        for place, routes in self._tables.items():
            secure = place[0] == self._profile.https_port
            for route in routes:
                for rule in route.rules:
                    ports.setdefault(rule, set()).add(secure)
        return ports
