"""The catalogue of codes: one row per thing an audit can say, with what it means and what heals it.

The first digit is where it happens: 1 intake, 2 translation, 3 and 4 the control plane, 5 and 6 delivery, 7 upstream,
75 shadowing, 8 replicas, 9 the auditor itself.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from xdsaudit.model.verdict import Severity


class Code(NamedTuple):
    """One code.

    ``meaning`` is what it is and why it happens; ``remedy`` what heals it, and what does not.
    """

    code: str
    slug: str
    severity: Severity
    title: str
    meaning: str
    remedy: str


_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO

CATALOGUE: Final[tuple[Code, ...]] = (
    Code(
        "XA201",
        "empty-rule",
        _E,
        "The Ingress or rule holds no path",
        "An Ingress without rules and defaultBackend, or a rule without paths, becomes no route. The controller only logs it.",
        "Give the rule a path and a backend, or the Ingress a defaultBackend.",
    ),
    Code(
        "XA202",
        "invalid-backend-service",
        _E,
        "The backend is neither a Service nor a usable resource",
        "A resource backend needs the annotation higress.io/destination, and one bad line in it drops every path. "
        "The controller counts a metric and logs nothing.",
        "Name a Service, or give the Ingress a valid higress.io/destination.",
    ),
    Code(
        "XA203",
        "port-name-resolve-error",
        _E,
        "The Service has no port of that name",
        "A port name is looked up while the Ingress is translated. A Service that comes later starts no new translation, so "
        "the rule stays out until some Ingress changes.",
        "Create the Service before its Ingress or use the port number; then touch the Ingress, for example with an annotation.",
    ),
    Code(
        "XA204",
        "duplicated-route",
        _E,
        "An older rule already owns this host and path",
        "Rules of one host, path type, path and match annotations exclude each other: the oldest Ingress wins, then "
        "name.namespace in alphabetical order. The winner may itself be invalid and still hide this rule.",
        "Remove one of the two rules, or change its path.",
    ),
    Code(
        "XA205",
        "orphan-canary",
        _E,
        "The canary has no base route",
        "A canary applies to the rule of the same host, path, effective path type and match annotations. Without one it is "
        "dropped without a trace.",
        "Give the canary the same path, pathType, use-regex, rewrite-target and match-* annotations as its base.",
    ),
    Code(
        "XA206",
        "default-backend-unreachable",
        _E,
        "The default backend answers for no host",
        "A defaultBackend makes no gateway for the host *, and yields where a rule for / was written or another Ingress's "
        "default backend won. That of a canary Ingress is ignored.",
        "Write a rule without host for /, or remove the defaultBackend that wins.",
    ),
    Code(
        "XA207",
        "behind-catch-all",
        _E,
        "The route stands behind one that takes every request",
        "Routes of a host end at the first / without conditions; those behind it are never sent to a gateway. A match-method "
        "without a valid method counts as no condition.",
        "Give the winning rule a condition or another path.",
    ),
    Code(
        "XA208",
        "not-translated",
        _E,
        "The controller did not translate the rule",
        "The rule is valid and higress-core serves no such route.",
        "Read the controller's log; touch the Ingress; restart the controller if others are missing too.",
    ),
    Code(
        "XA210",
        "controller-crash-key",
        _E,
        "An annotation key stops the controller",
        "A key that holds match-header, match-pseudo-header or match-query before its eleventh character, or at its end, makes "
        "the controller panic whenever it translates. Pilot goes on serving its old tables and nothing new reaches a gateway.",
        "Remove that annotation key from the Ingress; the controller recovers by itself.",
    ),
    Code(
        "XA220",
        "annotation-without-effect",
        _I,
        "An annotation is not read by Higress",
        "Keys that Higress does not know, or reads under another prefix, have no effect and raise no error.",
        "Correct the key, or remove it.",
    ),
    Code(
        "XA401",
        "stale-route-cache",
        _E,
        "Pilot serves an old route table from its cache",
        "Two pushes came close together, and the first wrote an old table into the cache after the second had cleared it "
        "(higress#1547, #1559). Every rule the last change added to that host is missing; all status pages say SYNCED.",
        "Touch any Ingress of the host, or restart the controller. Restarting the gateway does not help: it is served the "
        "same cache line. Higress 2.0.4 and later carry the fix.",
    ),
    Code(
        "XA403",
        "blackhole-table",
        _E,
        "Pilot binds no VirtualService to the host",
        "The route table is there with a virtual host named blackhole and no route. A host of a single label is one cause: "
        "pilot expands it to <host>.<system namespace>, while the gateway keeps it as written.",
        "Use a host with a dot. For other hosts, look for another Gateway that claims the host, and restart the controller.",
    ),
    Code(
        "XA404",
        "route-omitted",
        _E,
        "Pilot generates the table without this route",
        "Core has the route and an uncached generation lacks it.",
        "Read pilot's log for the VirtualService; look for an EnvoyFilter that changes the host's routes.",
    ),
    Code(
        "XA405",
        "scope-missing",
        _E,
        "Pilot serves no scope for the host and port",
        "Without its scope a gateway never asks for the host's table.",
        "Touch an Ingress of the host; restart the controller if that does not help.",
    ),
    Code(
        "XA410",
        "lost-in-pilot",
        _E,
        "Core has the route and pilot does not serve it",
        "Whether pilot failed to generate it or serves an old table from its cache was not looked at.",
        "Touch an Ingress of the host, which renews its table. Look again with --probe-cache to tell the cache from the rest.",
    ),
    Code(
        "XA420",
        "lost-in-control-plane",
        _E,
        "The control plane does not serve the rule",
        "Core was not read, so that the controller's translation and pilot's tables cannot be told apart.",
        "Read core too (--core HOST:15051). Touch the Ingress; restart the controller if many rules are missing.",
    ),
    Code(
        "XA430",
        "changed-in-control-plane",
        _E,
        "The control plane serves the rule differently",
        "Something that decides or shapes a request differs from what the Ingress asks for. A cached table that does not depend on "
        "a DestinationRule is one cause.",
        "Touch an Ingress of the host, which renews its table.",
    ),
    Code(
        "XA501",
        "envoy-rejected",
        _E,
        "Envoy rejected the table",
        "Envoy refuses a whole response for one bad resource and keeps its old tables, also those of innocent hosts. "
        "A gateway that restarts loses them.",
        "Correct or remove the Ingress that is named; the next push is then accepted. Do not restart the gateway before.",
    ),
    Code(
        "XA502",
        "listener-rejected",
        _E,
        "Envoy rejected the listener",
        "One bad filter chain makes Envoy refuse the listener for all its hosts.",
        "Correct the TLS settings of the Ingress that the error text names.",
    ),
    Code(
        "XA600",
        "not-delivered",
        _E,
        "Pilot serves the route and the gateway does not have it",
        "The gateway is connected, or was not asked, and nothing shows a rejection.",
        "Wait for the next push and look again; if it stays, restart the gateway pod that lacks it.",
    ),
    Code(
        "XA601",
        "listener-warming",
        _E,
        "A listener is warming and serves nothing yet",
        "A new listener waits for certificates or route tables before it takes its first connection.",
        "Create the certificates that are waited for. After the fetch timeout (15 s for certificates) it starts without them.",
    ),
    Code(
        "XA602",
        "table-not-fetched",
        _E,
        "The gateway has the scope but not its table",
        "The gateway lost its subscription to the route table.",
        "Restart the gateway pod, or wait for its next reconnect (30 minutes).",
    ),
    Code(
        "XA603",
        "scope-not-applied",
        _E,
        "The gateway lacks the host's scope",
        "Pilot serves the scope, and the gateway did not apply it.",
        "Restart the gateway pod that lacks it.",
    ),
    Code(
        "XA604",
        "gateway-disconnected",
        _E,
        "The gateway hangs on no control plane",
        "Its ADS stream is closed: everything in it is as old as the loss of the stream.",
        "Restore the connection from the gateway to the controller (port 15012 or 15010), or restart the gateway pod.",
    ),
    Code(
        "XA605",
        "certificate-warming",
        _E,
        "The host's certificate never arrived",
        "The filter chain waits for a Secret: HTTPS requests fail in the handshake, while the routes are right.",
        "Create the Secret in the Ingress's namespace, with keys tls.crt and tls.key. Pilot hands certificates only to a "
        "gateway that connects over TLS.",
    ),
    Code(
        "XA606",
        "no-filter-chain",
        _E,
        "No listener takes requests for the host",
        "The routes are there and no filter chain of a listener leads to them.",
        "Touch the Ingress; on Higress 2.0.5 and 2.0.6 switch PILOT_ENABLE_LDS_CACHE off.",
    ),
    Code(
        "XA610",
        "differs-in-gateway",
        _E,
        "The gateway does not run what the Ingress asks for",
        "Pilot was not read, so that a loss in the control plane and one on the way to the gateway cannot be told apart.",
        "Read pilot too: --ads HOST:15010.",
    ),
    Code(
        "XA701",
        "no-endpoints",
        _E,
        "The cluster has no healthy endpoint",
        "Requests get 503 no_healthy_upstream.",
        "Check that the Service's pods are ready and its selector matches them.",
    ),
    Code(
        "XA703",
        "cluster-absent",
        _E,
        "The route's cluster does not exist",
        "Pilot makes a cluster only of a Service and port that exist. Requests get 503 cluster_not_found.",
        "Create the Service with that port, or correct the backend of the Ingress.",
    ),
    Code(
        "XA751",
        "shadowed",
        _E,
        "An earlier route takes every request of this one",
        "The route is in place and never reached.",
        "Remove one of the two rules or make the winner's match narrower.",
    ),
    Code(
        "XA802",
        "replicas-disagree",
        _W,
        "Replicas of one view disagree",
        "Some replicas hold the rule and others do not: what a client sees depends on where its request lands.",
        "See the rules concerned; restart the replicas that lag behind only after reading why.",
    ),
    Code(
        "XA901",
        "unreadable",
        _W,
        "A view could not be read",
        "What only that view could tell stays unknown.",
        "See the reason beside it and look again.",
    ),
    Code(
        "XA904",
        "not-modelled",
        _I,
        "The Ingress uses something this version does not model",
        "Its routes are not judged.",
        "Check this rule by hand.",
    ),
    Code(
        "XA906",
        "other-origin",
        _I,
        "Routes were made of something else than Ingresses",
        "Gateway API, Istio objects and MCP servers share the gateway with the Ingresses. Their routes are not judged.",
        "Nothing to do.",
    ),
    Code(
        "XA907",
        "node-served-nothing",
        _W,
        "The control plane serves this node nothing",
        "The node's labels or namespace match no Gateway, so that an empty answer tells nothing of the rules.",
        "Give the identity of a real gateway: --node-from GATEWAY, or --node-id and its labels.",
    ),
)

BY_CODE: Final = {c.code: c for c in CATALOGUE}
BY_SLUG: Final = {c.slug: c for c in CATALOGUE}


def find(word: str) -> Code | None:
    """The code of that number or slug, in any case."""
    return BY_CODE.get(word.upper()) or BY_SLUG.get(word.lower())
