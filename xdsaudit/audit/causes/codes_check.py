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
    Code(
        "XA221",
        "value-without-effect",
        _W,
        "The value of an annotation has no effect",
        "Higress reads the key and can make nothing of its value, or not of all of it: no Go boolean (yes, on), a number with a unit (10s), an unknown word, a key whose switch is missing. It goes on with its default, and most often logs nothing.",
        "Write the value as the message says.",
        "The gateway does as if the annotation were not there.",
        "Run xdsaudit check in the repository: it knows what each parser accepts.",
        ("higress#1837", "higress#2015"),
    ),
    Code(
        "XA222",
        "breaks-requests",
        _W,
        "An annotation makes requests that go wrong",
        "The annotation does what it says, and what it says is not what a request can bear: a path with two slashes or without one, a scheme in the Host header, a header name with a colon, a variable of nginx in a redirect, $1 where no group is read.",
        "Write the value as the message says.",
        "The backend answers 404 or 400 for paths and hosts nobody asked for, or Envoy 503.",
        "Try rewrites with xdsaudit explain URL before they are applied.",
        ("higress#1077", "higress#2550"),
    ),
    Code(
        "XA223",
        "redirects-to-nothing",
        _W,
        "A redirect to https of a host without TLS",
        "ssl-redirect and force-ssl-redirect answer 308 whatever TLS the host has. ingress-nginx redirects for ssl-redirect only where there is a certificate.",
        "Give the host a certificate in spec.tls, or remove the annotation. Where a load balancer before the gateway ends TLS, redirect there: here it would be a loop.",
        "308 to https, and then a connection that fails.",
        "xdsaudit check names the host.",
        ("higress#2386", "higress#2905"),
    ),
    Code(
        "XA225",
        "reference-missing",
        _W,
        "An annotation names what is not there",
        "default-backend, mirror-target-service or proxy-ssl-secret name a Service or Secret that does not exist, or a text that can be none. Higress leaves out what the annotation is for and serves the route without it.",
        "Write [NAMESPACE/]NAME of what exists; default-backend takes no port, and its Service must have one.",
        "No fallback page, no mirrored request, no TLS to the backend.",
        "Apply what is named together with the Ingress, and check both.",
        ("higress#231",),
    ),
    Code(
        "XA226",
        "destination-unregistered",
        _E,
        "No registry offers the destination",
        "higress.io/destination names a service NAME.TYPE:PORT of a registry of the McpBridge named default in Higress's own namespace. Another McpBridge, another port, a missing suffix (.dns, .static, .nacos) or a registry whose domain is not valid makes no such service, and pilot no cluster.",
        "Write the destination as the message says, or add the registry to the McpBridge default.",
        "503 NC.",
        "Check Ingresses together with the McpBridge.",
        ("higress#2783", "higress#1984"),
    ),
    Code(
        "XA227",
        "annotation-misplaced",
        _W,
        "An annotation of Ingresses on another object",
        "Higress reads these annotations on Ingresses alone.",
        "Move them to the Ingress.",
        "The gateway does as if the annotation were not there.",
        "Check Services together with their Ingresses.",
        ("higress#3617",),
    ),
    Code(
        "XA228",
        "live-rule-changed",
        _W,
        "The batch changes what a live rule does",
        "A rule that the batch does not hold goes on to answer, and does so differently: the first Ingress with a traffic policy decides for a backend that several share, a weight canary of the batch takes its share, a fallback or a certificate is another.",
        "Make sure that it is meant. What Ingresses share (backends, hosts) belongs into one of them.",
        "Requests of another team's route are answered differently from then on.",
        "xdsaudit compare -f shows every kind of request that a batch changes.",
        (),
    ),
    Code(
        "XA224",
        "pattern-taken-literally",
        _W,
        "A pattern in a path that is none",
        "Paths of type Prefix and Exact are text. A star or a regular expression in them counts as itself unless use-regex, full-path-regex or a rewrite-target makes the path a regular expression; only a path without a pathType loses a /* or .* at its end.",
        "Write the path without the pattern (Prefix /api covers all below it), or set higress.io/use-regex.",
        "404 NR for every path that is meant.",
        "xdsaudit check names the path.",
        (),
    ),
)
