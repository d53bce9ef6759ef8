"""What single views show of themselves, and which reasons for a missing route are whose: what stages and causes are told by.

Loads nothing but the model. Must not compare views with each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xdsaudit.model.view import View

if TYPE_CHECKING:
    from xdsaudit.audit.compare.view import Judgement
    from xdsaudit.ingress.expectation import RuleIndex

LISTENER: Final = frozenset({"no-chain"})
"""Reasons for a missing route that no route table can be to blame for."""

UNSUBSCRIBED: Final = LISTENER | {"no-scope", "no-table", "not-fetched"}
"""Reasons that a refused listener explains: what it alone would ask for never comes."""

FORK: Final = "envoy.extensions.custom_cluster_plugins."
"""What the names of extensions begin with that only Higress's own Envoy has."""

FORK_FIELDS: Final = ("weighted_clusters.inline_cluster_specifier_plugin", "internal_active_redirect_policy")
"""Fields that only the protos of Higress's Envoy have: any other drops them without a word, and refuses nothing."""


def listener_error(gateway: View) -> str:
    """Envoy's words on a listener update that this gateway refused, "" where it refused none."""
    return next((li.error for li in gateway.listeners or () if li.error), "")


def dropped(judged: Judgement, index: RuleIndex) -> bool:
    """Whether an Envoy that is not Higress's own took the route and dropped the fields that only Higress's has."""
    extensions = judged.view.extensions
    deltas = judged.changed.get(index)
    if not deltas or index in judged.missing or extensions is None or any(FORK in e for e in extensions):
        return False
    return all(d.actual is None and d.field.startswith(FORK_FIELDS) for d in deltas)


def initializing(gateway: View) -> bool:
    """Whether an Envoy still waits for its first listeners; one that has some and waits for more is warming."""
    return not gateway.listeners and gateway.own.state in ("INITIALIZING", "PRE_INITIALIZING")


def silent(gateway: View, *, secure: bool) -> bool:
    """Whether no listener of a gateway takes any connection of a kind, plain or TLS."""
    return gateway.listeners is not None and not any(c.tls == secure for c in gateway.chains)


def single_label(host: str) -> bool:
    """Whether a host has a single label, which pilot expands to another name than the gateway keeps."""
    return host != "*" and "." not in host


def frozen_since(view: View) -> str:
    """When the newest route table of a gateway came, as the end of a sentence; empty where it does not tell."""
    updated = view.own.updated
    return f"; its newest route table is of {updated}" if updated else ""


def short(value: object) -> str:
    """A value cut to what fits a line."""
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 120 else text[:117] + "..."
