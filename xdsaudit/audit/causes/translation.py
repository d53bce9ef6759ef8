"""Translation: rules that the controller refuses, hides or does not translate, and what stops it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from xdsaudit.audit.causes.cause import Cause, Command
from xdsaudit.audit.causes.commands import CONTROLLER_LOG, EDIT, RESTART_CONTROLLER, SHOW_WINNER, TOUCH
from xdsaudit.model.refusal import Refusal
from xdsaudit.model.verdict import Concern, Finding, Severity
from xdsaudit.model.view import ViewName

if TYPE_CHECKING:
    from xdsaudit.audit.case import World


EMPTY_RULE = Cause(
    code="XA201",
    slug=Refusal.EMPTY_RULE.value,
    severity=Severity.ERROR,
    title="The Ingress or rule holds no path",
    meaning="An Ingress without rules and defaultBackend, or a rule without paths, becomes no route. The controller only logs it.",
    remedy="Give the rule a path and a backend, or the Ingress a defaultBackend.",
    shows="404 NR for the host; core has nothing.",
    prevention="xdsaudit check names the Ingress and line.",
    fix=(EDIT,),
)
INVALID_BACKEND_SERVICE = Cause(
    code="XA202",
    slug=Refusal.INVALID_BACKEND_SERVICE.value,
    severity=Severity.ERROR,
    title="The backend is neither a Service nor a usable resource",
    meaning="A resource backend needs the annotation higress.io/destination, and one bad line in it drops every path. The controller counts a metric and logs nothing.",
    remedy="Name a Service, or give the Ingress a valid higress.io/destination.",
    shows="404 NR for every path of the Ingress; core has nothing.",
    prevention="xdsaudit check names the line.",
    fix=(EDIT,),
)
PORT_NAME_RESOLVE_ERROR = Cause(
    code="XA203",
    slug=Refusal.PORT_NAME_RESOLVE_ERROR.value,
    severity=Severity.ERROR,
    title="The Service has no port of that name",
    meaning="A port name is looked up while the Ingress is translated. A Service that comes later starts no new translation, so the rule stays out until some Ingress changes.",
    remedy="Create the Service before its Ingress or use the port number; then touch the Ingress, for example with an annotation.",
    shows="404 NR until some later Ingress changes; looks like XA401, but core lacks the route too.",
    prevention="Apply Services before Ingresses, or use port numbers.",
    issues=("higress#1547",),
    fix=(TOUCH,),
)
DUPLICATED_ROUTE = Cause(
    code="XA204",
    slug=Refusal.DUPLICATED_ROUTE.value,
    severity=Severity.ERROR,
    title="An older rule already owns this host and path",
    meaning="Rules of one host, path type, path and match annotations exclude each other: the oldest Ingress wins, then name.namespace in alphabetical order. The winner may itself be invalid and still hide this rule.",
    remedy="Remove one of the two rules, or change its path.",
    shows="The path answers with another team's backend.",
    prevention="xdsaudit check compares a batch with the live rules.",
    fix=(
        SHOW_WINNER,
        Command(
            "Delete the Ingress: all of its rules are duplicates", "kubectl -n {namespace} delete ingress {duplicate}"
        ),
        Command("Take the rule out", "kubectl -n {namespace} edit ingress {partly}"),
    ),
)
ORPHAN_CANARY = Cause(
    code="XA205",
    slug=Refusal.ORPHAN_CANARY.value,
    severity=Severity.ERROR,
    title="The canary has no base route",
    meaning="A canary applies to the rule of the same host, path, effective path type and match annotations. Without one it is dropped without a trace.",
    remedy="Give the canary the same path, pathType, use-regex, rewrite-target and match-* annotations as its base.",
    shows="All traffic goes to the base; or 404 where only the canary exists.",
    prevention="xdsaudit check names the canary.",
    fix=(EDIT,),
)
DEFAULT_BACKEND_UNREACHABLE = Cause(
    code="XA206",
    slug=Refusal.DEFAULT_BACKEND_UNREACHABLE.value,
    severity=Severity.ERROR,
    title="The default backend answers for no host",
    meaning="A defaultBackend makes no gateway for the host *, and yields where a rule for / was written or another Ingress's default backend won. That of a canary Ingress is ignored.",
    remedy="Write a rule without host for /, or remove the defaultBackend that wins.",
    shows="Requests for unknown hosts get 404 NR.",
    prevention="Write the catch-all as a rule without host.",
    fix=(EDIT,),
)
BEHIND_CATCH_ALL = Cause(
    code="XA207",
    slug=Refusal.BEHIND_CATCH_ALL.value,
    severity=Severity.ERROR,
    title="The route stands behind one that takes every request",
    meaning="Routes of a host end at the first / without conditions; those behind it are never sent to a gateway. A match-method without a valid method counts as no condition.",
    remedy="Give the winning rule a condition or another path.",
    shows="The path answers with the backend of /.",
    prevention="Give catch-all rules no method condition that is misspelt.",
    fix=(SHOW_WINNER, EDIT),
)
NOT_TRANSLATED = Cause(
    code="XA208",
    slug="not-translated",
    severity=Severity.ERROR,
    title="The controller did not translate the rule",
    meaning="The rule is valid and higress-core serves no such route.",
    remedy="Read the controller's log; touch the Ingress; restart the controller if others are missing too.",
    shows="404 NR; core lacks a rule that is valid.",
    prevention="Watch the controller's memory and its RBAC: a list that fails skips Ingresses silently.",
    issues=("higress#3114",),
    fix=(CONTROLLER_LOG, TOUCH, RESTART_CONTROLLER),
)
TLS_IGNORED = Cause(
    code="XA209",
    slug="tls-ignored",
    severity=Severity.WARNING,
    title="The Ingress asks for TLS and its host gets none",
    meaning="A host is served over HTTPS only where spec.tls lists it letter for letter (a wildcard there does not cover it), or the ConfigMap higress-https does.",
    remedy="List the rule's host in spec.tls[].hosts as the rule spells it.",
    shows="HTTP works, HTTPS fails in the handshake.",
    prevention="xdsaudit check names the host and line.",
    fix=(EDIT,),
)
CONTROLLER_CRASH_KEY = Cause(
    code="XA210",
    slug="controller-crash-key",
    severity=Severity.ERROR,
    title="An annotation key stops the controller",
    meaning="A key that holds match-header, match-pseudo-header or match-query before its eleventh character, or at its end, makes the controller panic whenever it translates. Pilot goes on serving its old tables and nothing new reaches a gateway.",
    remedy="Remove that annotation key from the Ingress; the controller recovers by itself.",
    shows="Everything that was applied later is missing; the controller restarts or logs a panic.",
    prevention="xdsaudit check refuses the key before it is applied.",
    fix=(EDIT,),
)
CERTIFICATES_INVALID = Cause(
    code="XA211",
    slug="certificates-invalid",
    severity=Severity.WARNING,
    title="The ConfigMap higress-https is invalid",
    meaning="Higress checks the ConfigMap higress-https as a whole: one bad entry, or text that is not what it reads, and no certificate of it applies to any host. Only the controller's log says so.",
    remedy="Correct the entry that is named. With automaticHttps on, acmeIssuer needs a valid e-mail; turn automaticHttps off where certificates are your own.",
    shows="HTTPS of hosts that rely on it fails in the handshake or is not served; HTTP goes on.",
    prevention="Check the ConfigMap in the pipeline with xdsaudit check.",
    fix=(Command("Edit the ConfigMap of certificates", "kubectl -n {system} edit configmap higress-https"),),
)


def findings(world: World) -> Iterator[Finding]:
    """What stops the controller, or the certificates of all hosts."""
    yield from _crashes(world)
    yield from _certificates(world)


def _crashes(world: World) -> Iterator[Finding]:
    for namespace, ingress, what in world.expectation.crashes:
        yield CONTROLLER_CRASH_KEY.finding(
            f"Ingress {namespace}/{ingress} carries {what}, which makes the controller panic: "
            "nothing that changes after it reaches a gateway",
            Concern(ViewName.INGRESS, None, None, namespace, ingress),
        )


def _certificates(world: World) -> Iterator[Finding]:
    why = world.expectation.certificates
    if why is not None:
        namespace = world.expectation.profile.system_namespace
        yield CERTIFICATES_INVALID.finding(
            f"ConfigMap {namespace}/higress-https is invalid, and no certificate of it applies: {why}",
            Concern(ViewName.INGRESS, None, f"configmap/{namespace}/higress-https"),
        )
