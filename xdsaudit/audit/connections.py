"""Which gateway is connected to which pilot, according to pilots' debug pages; nothing where none was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xdsaudit.audit.compare.view import Judgement


def node_id(gateway: Judgement) -> str:
    """``pod.namespace`` of a gateway, from the node id that it shows (``router~IP~POD.NS~DOMAIN``); "" if unknown."""
    parts = gateway.view.own.node.split("~")
    return parts[2] if len(parts) == 4 else ""


def attachments(
    gateways: Sequence[Judgement], pilots: Sequence[Judgement]
) -> Mapping[str | None, tuple[str | None, ...]]:
    """Pilots by gateway replica; a gateway that no read page lists has no entry.

    A gateway may be listed by two pilots for a moment, after it moved from one to the other.
    """
    attached: dict[str | None, tuple[str | None, ...]] = {}
    for gateway in gateways:
        node = node_id(gateway)
        listed = tuple(p.view.replica for p in pilots if node and node in p.view.proxies)
        if listed:
            attached[gateway.view.replica] = listed
    return attached
