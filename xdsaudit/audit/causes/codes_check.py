"""Codes of what Ingresses ask for in vain: protection, values, references, and what breaks requests."""

from __future__ import annotations

from typing import Final

from xdsaudit.audit.causes.code import Code
from xdsaudit.model.verdict import Severity

_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO

CODES: Final = (
    Code(
        "XA212",
        "protection-not-applied",
        _E,
        "The Ingress asks for protection that does not apply",
        "Annotations ask for authentication, a client's certificate or known addresses, and this Higress ignores them: it does not know the key (auth-url, denylist-source-range), has dropped it (auth-type from 2.0.7 on), or cannot read its value. It then serves the route to everybody.",
        "Protect the route by what the evidence names: the plugins basic-auth, key-auth, jwt-auth, ext-auth, ip-restriction or waf, a readable whitelist-source-range, or the right auth-tls-secret. Remove the annotation then. Where a plugin protects the route already, say so with the annotation xdsaudit.io/ignore: XA212.",
        "Requests without credentials get 200.",
        "Run xdsaudit check on what comes from ingress-nginx before it is applied.",
        ("higress#1008", "ingress-nginx#4736"),
    ),
)
