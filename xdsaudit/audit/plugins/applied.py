"""WasmPlugins that manifests ask for and the API lacks or holds otherwise: the stage before translation."""

from __future__ import annotations

from collections.abc import Sequence

from xdsaudit.audit.causes import auditor, manifest
from xdsaudit.audit.plugins.sight import differences
from xdsaudit.ingress.objects import decode_list
from xdsaudit.ingress.plugin_objects import WasmPlugin
from xdsaudit.ingress.plugins import PluginPlan, plan_plugins
from xdsaudit.ingress.profile import Profile
from xdsaudit.model.plain import Plain
from xdsaudit.model.plugin_verdict import PluginVerdict
from xdsaudit.model.sensitive import Masks
from xdsaudit.model.snapshot import Snapshot
from xdsaudit.model.verdict import FieldDelta, Stage, Verdict
from xdsaudit.model.view import ViewName


def plugins_with_manifest(
    snapshot: Snapshot, profile: Profile, plans: Sequence[PluginPlan] | None, verdicts: Sequence[PluginVerdict]
) -> tuple[PluginVerdict, ...]:
    """The verdicts with what was wanted and is not in the API.

    Args:
        snapshot: its manifest is what was wanted.
        profile: of the controller.
        plans: of the WasmPlugins that the API holds; None where nobody could list them.
        verdicts: of those, in their order.

    Raises:
        ReadError: the manifests' list of WasmPlugins cannot be decoded.
    """
    data = snapshot.manifest.get("wasmplugins")
    if data is None:
        return tuple(verdicts)
    found = {v.ref: v for v in verdicts}
    held = {p.ref: p for p in plans or ()}
    for wanted in plan_plugins(decode_list(data, WasmPlugin), profile):
        asked = manifest.asked_by(snapshot.origins.get((f"wasmplugin/{wanted.ref}", "", "")))
        if plans is None:
            found[wanted.ref] = _unknown(wanted, asked)
        elif wanted.ref not in held:
            found[wanted.ref] = _lost(wanted, asked)
        else:
            found[wanted.ref] = _changed(found[wanted.ref], wanted, held[wanted.ref], asked)
    return tuple(found[ref] for ref in sorted(found))


def _unknown(wanted: PluginPlan, asked: str) -> PluginVerdict:
    cause = auditor.UNREADABLE
    said = "the API's WasmPlugins could not be listed: allow list and watch of wasmplugins.extensions.higress.io"
    return PluginVerdict(
        wanted.namespace,
        wanted.name,
        Verdict.UNKNOWN,
        code=cause.code,
        slug=cause.slug,
        evidence=(asked, said),
        remedy=cause.remedy,
    )


def _lost(wanted: PluginPlan, asked: str) -> PluginVerdict:
    cause = manifest.NOT_APPLIED
    return PluginVerdict(
        wanted.namespace,
        wanted.name,
        Verdict.LOST,
        Stage.APPLY,
        ViewName.MANIFEST,
        ViewName.INGRESS,
        cause.code,
        cause.slug,
        evidence=(asked, f"the API holds no WasmPlugin {wanted.ref}"),
        remedy=cause.remedy,
    )


def _changed(verdict: PluginVerdict, wanted: PluginPlan, held: PluginPlan, asked: str) -> PluginVerdict:
    names = _differing(wanted, held)
    if not names:
        return verdict
    said = (asked, f"the API differs in {', '.join(d.field for d in names)}")
    if verdict.verdict in (Verdict.REFUSED, Verdict.LOST, Verdict.NOT_SELECTED):
        return verdict._replace(fields=(*verdict.fields, *names), evidence=(*verdict.evidence, *said))
    return manifest.applied_differently(verdict, names, said)


def _differing(wanted: PluginPlan, held: PluginPlan) -> tuple[FieldDelta, ...]:
    """What of the API's plugin acts otherwise than the manifest's; no defaults, and no value of a configuration."""

    def delta(name: str, mine: Plain, theirs: Plain) -> FieldDelta:
        return FieldDelta(name, ViewName.INGRESS, None, mine, theirs)

    if wanted.expected is not None and held.expected is not None:
        listed = differences(wanted.expected, held.expected, wanted, Masks())
        return tuple(delta(*each) for each in listed)
    mine, theirs = (p.refusal or p.unknown or "is served" for p in (wanted, held))
    if mine != theirs:
        return (delta("spec", mine, theirs),)
    return () if wanted.rules == held.rules else (delta("matchRules", len(wanted.rules), len(held.rules)),)
