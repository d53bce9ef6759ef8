"""Before the controller: manifests that cannot be read or would be refused, and what the API holds of them."""

from __future__ import annotations

from typing import TypeVar

from xdsaudit.audit.causes.cause import Cause, Command
from xdsaudit.audit.causes.commands import APPLY
from xdsaudit.model.plugin_verdict import PluginVerdict
from xdsaudit.model.verdict import FieldDelta, Origin, RuleVerdict, Severity, Stage, Verdict
from xdsaudit.model.view import ViewName

V = TypeVar("V", RuleVerdict, PluginVerdict)

NOT_APPLIED = Cause(
    code="XA110",
    slug="not-applied",
    severity=Severity.ERROR,
    title="The API does not hold what the manifest asks for",
    meaning="A manifest has the rule, and the Kubernetes API has no such Ingress, or an Ingress without that rule: it was never applied, it was applied to another cluster, it was refused, or something put an older object back.",
    remedy="Apply the manifest to this cluster (kubectl apply -f), and look at what reverts it if it was applied: an operator, a GitOps controller, an admission webhook.",
    shows="404 NR; nothing after the API can know the rule.",
    prevention="Wait with the manifests themselves, xdsaudit wait -f, rather than with names.",
    fix=(APPLY,),
)
APPLIED_DIFFERENTLY = Cause(
    code="XA111",
    slug="applied-differently",
    severity=Severity.ERROR,
    title="The Ingress in the API differs from the manifest",
    meaning="An Ingress of that name is there, and what it says of the rule differs from the manifest: backend, path type, class, TLS, or an annotation that Higress reads. An older or newer object was applied, or something changed it on the way in.",
    remedy="Apply the manifest again, and look for what changes it if the difference stays: a mutating webhook, a GitOps controller, a second source of the same Ingress.",
    shows="Requests are answered as the older or other object says.",
    prevention="Keep one source for each Ingress; wait with the manifests themselves, xdsaudit wait -f.",
    fix=(Command("See what differs", "kubectl diff -f {file}"), APPLY),
)
MANIFEST_UNREADABLE = Cause(
    code="XA112",
    slug="manifest-unreadable",
    severity=Severity.ERROR,
    title="A manifest cannot be read",
    meaning="The document is not YAML or JSON, refers to itself, is nested too deeply, or holds a value of the wrong type: a port in quotes, an annotation value without them. The API would not take it, and what it asks for is not judged.",
    remedy="Correct the place that is named.",
    shows="kubectl apply refuses the document, often after it has applied those before it.",
    prevention="Run xdsaudit check -f in the pipeline, before the batch is applied.",
)
REFUSED_BY_API = Cause(
    code="XA113",
    slug="refused-by-api",
    severity=Severity.ERROR,
    title="The API server would refuse the object",
    meaning="A name, host, path, path type, port or backend breaks a rule of the Kubernetes API itself, whatever gateway reads it.",
    remedy="Correct the place that is named.",
    shows="kubectl apply says 'is invalid', and the object stays as it was before or does not exist.",
    prevention="Run xdsaudit check -f in the pipeline, before the batch is applied.",
)
UNKNOWN_FIELD = Cause(
    code="XA114",
    slug="unknown-field",
    severity=Severity.ERROR,
    title="The kind has no such field",
    meaning="kubectl refuses a field that the kind does not have, and a key that is written twice; other clients silently drop it, and the object does not mean what it says.",
    remedy="Correct the spelling; fields are case-sensitive.",
    shows="kubectl apply says 'unknown field', or the setting has no effect.",
    prevention="Run xdsaudit check -f in the pipeline, before the batch is applied.",
)
OBJECT_REPEATED = Cause(
    code="XA115",
    slug="object-repeated",
    severity=Severity.WARNING,
    title="Two manifests define the same object",
    meaning="Two documents have the same kind, namespace and name: the later one replaces the earlier as it is applied.",
    remedy="Keep one of them, or give one another name.",
    shows="Rules of the earlier document are gone as soon as the later one is applied.",
    prevention="Give each Ingress one file.",
)


def asked_by(origin: Origin | None) -> str:
    """Who asks for what the API lacks or holds differently: the place in the manifest, where it is known."""
    return f"{origin or 'the manifest'} asks for it"


def applied_differently(verdict: V, fields: tuple[FieldDelta, ...], evidence: tuple[str, ...]) -> V:
    """The verdict of what the API holds with other fields than the manifest, whatever later stages say of it."""
    return verdict._replace(
        verdict=Verdict.CHANGED,
        stage=Stage.APPLY,
        last_seen=ViewName.MANIFEST,
        first_missing=ViewName.INGRESS,
        code=APPLIED_DIFFERENTLY.code,
        slug=APPLIED_DIFFERENTLY.slug,
        by=None,
        fields=fields,
        evidence=evidence,
        remedy=APPLIED_DIFFERENTLY.remedy,
    )
