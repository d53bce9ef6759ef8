"""Extension configurations that a gateway refuses.

Envoy, or the agent beside it, refuses a whole ECDS answer for one bad resource: every plugin of it keeps its old configuration,
and one that is new has none (measured on Envoy 1.40). Nothing of it shows in the config dump but the absence, and
``extension_config_discovery.http_filter.<name>.update_rejected`` counts for all plugins of the answer and never falls: it proves
something beside a difference that stands, and never names the culprit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from xdsaudit.audit.case import World
from xdsaudit.model.plain import as_text
from xdsaudit.model.plugin import WASM, Plugin, same_code
from xdsaudit.model.view import View, ViewName


class PluginRejection(NamedTuple):
    """What a gateway refuses.

    Attributes:
        gateway: the view.
        held: names of the plugins that are held back.
        suspects: those of them that may make Envoy refuse the answer.
        why: what makes them suspects, for people.
    """

    gateway: View
    held: tuple[str, ...]
    suspects: tuple[str, ...]
    why: str

    @property
    def culprit(self) -> str | None:
        """The one suspect, None when there are several."""
        return self.suspects[0] if len(self.suspects) == 1 else None


def refusals(world: World) -> dict[str | None, PluginRejection]:
    """What gateways refuse, by their replica."""
    by_replica = {}
    for judged in world.read(ViewName.GATEWAY):
        gateway = judged.view
        counted = gateway.own.extensions_rejected
        if gateway.plugins is None or gateway.connected is False or not counted:
            continue
        slots = {s.name for c in gateway.chains for s in c.slots}
        served = {n: p for n, p in _served(world, gateway).items() if n in slots}
        bare = {n for n in slots if n not in gateway.plugins}
        stale = {n for n, p in served.items() if n not in bare and _differs(gateway.plugins[n], p)}
        held = {n for n in bare | stale if counted.get(n)}
        if held:
            suspects, why = _suspects(held, bare, served)
            by_replica[gateway.replica] = PluginRejection(gateway, tuple(sorted(held)), suspects, why)
    return by_replica


def _served(world: World, gateway: View) -> Mapping[str, Plugin]:
    """Plugins that the gateway's pilots serve."""
    feeding = world.attached.get(gateway.replica)
    served: dict[str, Plugin] = {}
    for judged in world.read(ViewName.PILOT):
        if not feeding or judged.view.replica in feeding:
            served |= judged.view.plugins or {}
    return served


def _differs(held: Plugin, served: Plugin) -> bool:
    """Whether a gateway runs something else than it is served; what either does not tell is no difference."""
    if held.kind != WASM or held.settings is None or served.settings is None:
        return False
    if held.settings != served.settings:
        return True
    file = held.fields.get("file")
    if file is not None and "url" in served.fields:
        url, digest = as_text(served.fields["url"]), as_text(served.fields["sha256"])
        if not same_code(url, digest, as_text(file)):
            return True
    same = ("root_id", "fail_open", "file", "env", "host_env")
    return any(n in held.fields and n in served.fields and held.fields[n] != served.fields[n] for n in same)


def _suspects(held: Iterable[str], bare: Iterable[str], served: Mapping[str, Plugin]) -> tuple[tuple[str, ...], str]:
    """The narrowest set that must hold the culprit, as far as it can be told from outside."""
    listed = sorted(held)
    fetched = [n for n in listed if n in served and "url" in served[n].fields]
    never = [n for n in fetched if n in set(bare)]
    if never:
        return tuple(never), "its code has to be fetched and never ran here"
    if fetched:
        return tuple(fetched), "its code has to be fetched"
    return tuple(listed), "it is among what is held back"
