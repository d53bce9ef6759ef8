"""What heals a cause, here: the catalogue's words, made to fit the version and what else the same gateway suffers from.

A gateway that refuses what it is served loses its old tables in a restart, so nothing told of it may ask for one.
"""

from __future__ import annotations

from typing import Final

from xdsaudit.audit.causes.catalogue import BY_SLUG
from xdsaudit.audit.stage import Rejection
from xdsaudit.ingress.profile import ROUTE_CACHE_RACE, Profile
from xdsaudit.model.view import View

_RESTARTS: Final = frozenset({"not-delivered", "table-not-fetched", "scope-not-applied"})
"""Slugs whose remedy is to restart the gateway."""


def refusal_of(gateway: View, rejected: dict[str | None, Rejection]) -> str:
    """The slug of what this gateway refuses, "" when it refuses nothing."""
    if gateway.replica in rejected:
        return "envoy-rejected"
    return "listener-rejected" if any(li.error for li in gateway.listeners or ()) else ""


def remedy_of(slug: str, profile: Profile, refused: str = "") -> str:
    """The remedy of a cause.

    Args:
        slug: of the cause.
        profile: of the controller, since remedies name the version that carries a fix.
        refused: slug of what the gateway in question refuses, "" for nothing.
    """
    text = BY_SLUG[slug].remedy
    if slug == "stale-route-cache" and profile.has(ROUTE_CACHE_RACE):
        return f"{text} Higress 2.0.4 and later carry the fix."
    if not refused or slug == refused:
        return text
    first = f"{BY_SLUG[refused].code} {refused} of this gateway"
    if slug in _RESTARTS:
        return f"Heal {first} first: it holds the gateway's updates back. Then look again."
    if slug == "gateway-disconnected":
        return f"Restore the connection from the gateway to the controller (port 15012 or 15010). Do not restart the pod before {first} is healed."
    return text
