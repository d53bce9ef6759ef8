"""What Ingresses ask for in vain, or get otherwise than they mean: annotations, values, references, requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from xdsaudit.audit.causes.cause import Cause, Command
from xdsaudit.audit.signs import short
from xdsaudit.model.verdict import Concern, Finding, Severity
from xdsaudit.model.view import ViewName

if TYPE_CHECKING:
    from xdsaudit.audit.case import World


NGINX_DIFFERS = Cause(
    code="XA219",
    slug="nginx-differs",
    severity=Severity.WARNING,
    title="Higress behaves differently from ingress-nginx",
    meaning="Both read the annotation, or neither needs one, and requests come out differently: redirects to https by default, paths that are regular expressions for the whole host, rewrites of the whole path, text prefixes.",
    remedy="Write what the message names, or accept the difference.",
    shows="Requests are answered differently after the move.",
    prevention="xdsaudit check --from nginx before the class of an Ingress is changed.",
    issues=("ingress-nginx#9623",),
)
ANNOTATION_WITHOUT_EFFECT = Cause(
    code="XA220",
    slug="annotation-without-effect",
    severity=Severity.INFO,
    title="An annotation is not read by Higress",
    meaning="Keys that Higress does not know, or reads under another prefix, have no effect and raise no error.",
    remedy="Correct the key, or remove it.",
    shows="Nothing happens: the annotation is ignored.",
    prevention="xdsaudit check lists such keys.",
    fix=(Command("Remove the annotation", "kubectl -n {namespace} annotate ingress {ingress} {key}-"),),
)
VALUE_WITHOUT_EFFECT = Cause(
    code="XA221",
    slug="value-without-effect",
    severity=Severity.WARNING,
    title="The value of an annotation has no effect",
    meaning="Higress reads the key but cannot use its value, or not all of it: a word that is not a Go boolean (yes, on), a number with a unit (10s), an unknown word, a key whose switch is missing. It falls back to its default, and usually logs nothing.",
    remedy="Write the value as the message says.",
    shows="The gateway behaves as if the annotation were not there.",
    prevention="Run xdsaudit check in the repository: it knows what each parser accepts.",
    issues=("higress#1837", "higress#2015"),
)
BREAKS_REQUESTS = Cause(
    code="XA222",
    slug="breaks-requests",
    severity=Severity.WARNING,
    title="An annotation breaks requests",
    meaning="The annotation does what it says, and what it says is not what a request can bear: a path with two slashes or without one, a scheme in the Host header, a header name with a colon, a variable of nginx in a redirect, $1 where no group is read.",
    remedy="Write the value as the message says.",
    shows="The backend answers 404 or 400 for paths and hosts nobody asked for, or Envoy 503.",
    prevention="Try rewrites with xdsaudit explain URL before they are applied.",
    issues=("higress#1077", "higress#2550"),
)
REDIRECTS_TO_NOTHING = Cause(
    code="XA223",
    slug="redirects-to-nothing",
    severity=Severity.WARNING,
    title="A redirect to https of a host without TLS",
    meaning="ssl-redirect and force-ssl-redirect answer 308 whatever TLS the host has. ingress-nginx redirects for ssl-redirect only where there is a certificate.",
    remedy="Give the host a certificate in spec.tls, or remove the annotation. Where a load balancer before the gateway ends TLS, redirect there: here it would be a loop.",
    shows="308 to https, and then a connection that fails.",
    prevention="xdsaudit check names the host.",
    issues=("higress#2386", "higress#2905"),
)
PATTERN_TAKEN_LITERALLY = Cause(
    code="XA224",
    slug="pattern-taken-literally",
    severity=Severity.WARNING,
    title="What looks like a pattern in a path is taken literally",
    meaning="Paths of type Prefix and Exact are text. A star or a regular expression in them counts as itself unless use-regex, full-path-regex or a rewrite-target makes the path a regular expression; only a path without a pathType loses a /* or .* at its end.",
    remedy="Write the path without the pattern (Prefix /api covers all below it), or set higress.io/use-regex.",
    shows="404 NR for every path that is meant.",
    prevention="xdsaudit check names the path.",
)
REFERENCE_MISSING = Cause(
    code="XA225",
    slug="reference-missing",
    severity=Severity.WARNING,
    title="An annotation names what is not there",
    meaning="default-backend, mirror-target-service or proxy-ssl-secret name a Service or Secret that does not exist, or a text that cannot be the name of one. Higress leaves out what the annotation is for and serves the route without it.",
    remedy="Write [NAMESPACE/]NAME of what exists; default-backend takes no port, and its Service must have one.",
    shows="No fallback page, no mirrored request, no TLS to the backend.",
    prevention="Apply what is named together with the Ingress, and check both.",
    issues=("higress#231",),
)
DESTINATION_UNREGISTERED = Cause(
    code="XA226",
    slug="destination-unregistered",
    severity=Severity.ERROR,
    title="No registry offers the destination",
    meaning="higress.io/destination names a service NAME.TYPE:PORT of a registry of the McpBridge named default in Higress's own namespace. Another McpBridge, another port, a missing suffix (.dns, .static, .nacos) or a registry whose domain is not valid makes no such service, and pilot no cluster.",
    remedy="Write the destination as the message says, or add the registry to the McpBridge default.",
    shows="503 NC.",
    prevention="Check Ingresses together with the McpBridge.",
    issues=("higress#2783", "higress#1984"),
)
ANNOTATION_MISPLACED = Cause(
    code="XA227",
    slug="annotation-misplaced",
    severity=Severity.WARNING,
    title="An annotation of Ingresses on another object",
    meaning="Higress reads these annotations on Ingresses alone.",
    remedy="Move them to the Ingress.",
    shows="The gateway behaves as if the annotation were not there.",
    prevention="Check Services together with their Ingresses.",
    issues=("higress#3617",),
)
LIVE_RULE_CHANGED = Cause(
    code="XA228",
    slug="live-rule-changed",
    severity=Severity.WARNING,
    title="The batch changes what a live rule does",
    meaning="A rule that the batch does not hold goes on to answer, and does so differently: the first Ingress with a traffic policy decides for a backend that several share, a weight canary of the batch takes its share, a fallback or a certificate is another.",
    remedy="Make sure that it is meant. What Ingresses share (backends, hosts) belongs in one of them.",
    shows="Requests of another team's route are answered differently from then on.",
    prevention="xdsaudit compare -f shows every kind of request that a batch changes.",
)
NGINX_ANNOTATION_LOST = Cause(
    code="XA229",
    slug="nginx-annotation-lost",
    severity=Severity.WARNING,
    title="An annotation of ingress-nginx that Higress does not read",
    meaning="ingress-nginx acts on it, and Higress silently ignores it. What is meant to protect a route is XA212.",
    remedy="Write what the message names in its place, or accept the loss.",
    shows="The gateway behaves as if the annotation were not there.",
    prevention="xdsaudit check --from nginx before the class of an Ingress is changed.",
    issues=("higress#569", "higress#715"),
)


def findings(world: World) -> Iterator[Finding]:
    """Annotations without effect: said once a key, however many Ingresses carry it."""
    by_key: dict[tuple[str, str], list[str]] = {}
    for namespace, ingress, key, said in world.expectation.meaningless:
        by_key.setdefault((key, said), []).append(f"{namespace}/{ingress}")
    for (key, said), refs in sorted(by_key.items()):
        who = refs[0] if len(refs) == 1 else f"{len(refs)} Ingresses, {refs[0]} among them"
        yield ANNOTATION_WITHOUT_EFFECT.finding(
            f"annotation {short(key)} of {who} has no effect: {said}",
            *(Concern(ViewName.INGRESS, None, key, *ref.split("/", 1)) for ref in refs[:20]),
        )
