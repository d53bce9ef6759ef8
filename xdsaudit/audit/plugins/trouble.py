"""Rules whose requests a plugin breaks: a filter without configuration answers 500 (measured on Envoy 1.40)."""

from __future__ import annotations

from collections.abc import Iterator

from xdsaudit.audit.case import World
from xdsaudit.audit.causes.cause import Fault
from xdsaudit.audit.causes.plugins import PLUGIN_WITHOUT_CONFIGURATION
from xdsaudit.ingress.expectation import RuleIndex
from xdsaudit.model.view import View, ViewName


def bare_filters(view: View) -> Iterator[tuple[bool, tuple[str, ...], str, str]]:
    """Filters of active listeners that have no configuration and none to fall back on.

    Yields:
        Whether the chain is one of TLS, its server names, the listener's name and the filter's.
    """
    if view.plugins is None:
        return
    for listener in view.listeners or ():
        if listener.state != "active":
            continue  # a listener that is new waits for its plugins before it takes a connection
        for chain in listener.chains:
            for slot in chain.slots:
                if not slot.open and slot.name not in view.plugins:
                    yield chain.tls, chain.server_names, listener.name, slot.name


def broken_rules(world: World) -> dict[str | None, dict[RuleIndex, Fault]]:
    """Rules whose requests get 500, by gateway replica and rule index."""
    every: dict[str | None, dict[RuleIndex, Fault]] = {}
    expectation = world.expectation
    for judged in world.read(ViewName.GATEWAY):
        view = judged.view
        plain: tuple[str, str] | None = None
        by_name: dict[str, tuple[str, str]] = {}
        for tls, hosts, listener, name in bare_filters(view):
            if not tls:
                plain = plain or (listener, name)
            for host in (hosts or ("*",)) if tls else ():
                by_name.setdefault(host, (listener, name))
        if plain is None and not by_name:
            continue
        found = every.setdefault(view.replica, {})
        named = {host for chain in view.chains if chain.tls for host in chain.server_names}
        for place, routes in expectation.tables.items():
            secure = place[0] == expectation.profile.https_port
            bad = by_name.get(place[1] if place[1] in named else "*") if secure else plain
            if bad is None:
                continue
            said = f"{view.label}: listener {bad[0]} asks for the plugin {bad[1]}, which has no configuration: requests get 500"
            for route in routes:
                for index in route.rules:
                    found.setdefault(index, Fault(PLUGIN_WITHOUT_CONFIGURATION, said))
    return every
