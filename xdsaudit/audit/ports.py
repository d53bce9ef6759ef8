"""Which ports a rule has routes on."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from itertools import chain
from typing import Final

from xdsaudit.ingress.expectation import Expectation, ExpectedRoute, RuleIndex
from xdsaudit.model.verdict import Rule

_Numbers = frozenset[RuleIndex]
_PORTS: Final = {
    (False, False): frozenset[bool](),
    (True, False): frozenset({False}),
    (False, True): frozenset({True}),
    (True, True): frozenset({False, True}),
}
"""What is said of a rule, by whether it has routes on the plain and on the TLS port."""


class Ports:
    """Asks the tables of an expectation, those of the rule's own host first: most audits ask for a few rules."""

    def __init__(self, expectation: Expectation) -> None:
        """Ask this one."""
        self._tables = expectation.tables
        self._http, self._https = expectation.profile.http_port, expectation.profile.https_port
        self._of_hosts: dict[str, tuple[_Numbers, _Numbers]] = {}

    def of(self, index: RuleIndex, rule: Rule) -> frozenset[bool]:
        """Whether a rule has routes on the plain (False) and on the TLS port (True)."""
        # A defaultBackend stands in for every host of its Ingress.
        plain, secure = self._all if rule.path_type == "DefaultBackend" else self._at(rule.host)
        return _PORTS[index in plain, index in secure]

    def _at(self, host: str) -> tuple[_Numbers, _Numbers]:
        """Numbers of the rules that have routes of a host on either port, gathered once: a host may have as many rules as all others."""
        found = self._of_hosts.get(host)
        if found is None:
            plain, secure = (self._tables.get((port, host), ()) for port in (self._http, self._https))
            found = self._of_hosts[host] = _numbers([plain]), _numbers([secure])
        return found

    @cached_property
    def _all(self) -> tuple[_Numbers, _Numbers]:
        plain, secure = (
            [routes for place, routes in self._tables.items() if place[0] == port] for port in (self._http, self._https)
        )
        return _numbers(plain), _numbers(secure)


def _numbers(tables: Iterable[Iterable[ExpectedRoute]]) -> _Numbers:
    return frozenset(chain.from_iterable([route.rules for routes in tables for route in routes]))
