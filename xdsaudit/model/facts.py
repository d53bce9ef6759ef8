"""What replicas report about themselves and each other, besides what they serve: evidence, never content.

None means "not read", as in a view; nothing here makes a rule lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

_NO_COUNTS: Final[Mapping[str, int]] = MappingProxyType({})


class ProxyState(NamedTuple):
    """One proxy as its pilot sees it.

    Attributes:
        node: ``pod.namespace``.
        unacknowledged: short types whose last response the proxy has not accepted: rejected, or still on its way.
        connected_at: when it connected (RFC 3339), "" if unknown.
    """

    node: str
    unacknowledged: tuple[str, ...] = ()
    connected_at: str = ""


class PilotFacts(NamedTuple):
    """What a pilot's debug pages report.

    Attributes:
        proxies: the proxies connected to it, by node (``/debug/syncz``, ``/debug/adsz``); None if neither page was read.
        rejects: short types that each node refused (``/metrics``); None if that page was not read.
    """

    proxies: Mapping[str, ProxyState] | None = None
    rejects: Mapping[str, frozenset[str]] | None = None


class GatewayFacts(NamedTuple):
    """What an Envoy reports about itself; each text is "" if unknown.

    Attributes:
        updated: time of its newest route table (RFC 3339), from the config dump.
        node: its node id, ``router~IP~POD.NAMESPACE~DOMAIN`` (``/server_info``).
        version: Envoy's version (``/server_info``).
        state: ``LIVE``, ``INITIALIZING``, … (``/server_info``).
        extensions_rejected: ``update_rejected`` counters above zero, by plugin (``/stats``).
    """

    updated: str = ""
    node: str = ""
    version: str = ""
    state: str = ""
    extensions_rejected: Mapping[str, int] = _NO_COUNTS


class CoreFacts(NamedTuple):
    """What core serves besides VirtualServices.

    Attributes:
        service_entries: hosts of the ServiceEntries.
        destination_rules: hosts of the DestinationRules.
        credentials: the Gateways' certificate names by host.
    """

    service_entries: frozenset[str]
    destination_rules: frozenset[str]
    credentials: Mapping[str, str]
