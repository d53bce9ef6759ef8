"""A batch shown to a real Envoy before it is applied: its answers as findings of the check.

How Envoy is asked is passed in; nothing here starts a program.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from xdsaudit.audit.causes.rejection import ENVOY_REJECTED
from xdsaudit.audit.causes.suppress import Ignored
from xdsaudit.audit.check.asked import Answer, Refuses, ask, questions, remarks_of
from xdsaudit.audit.check.case import Case
from xdsaudit.audit.questions.precheck import finding_of, ref_of
from xdsaudit.audit.questions.suppress import left_out
from xdsaudit.model.verdict import Audit, Finding


def with_envoy(result: Audit, case: Case, name: str, refuses: Refuses) -> Audit:
    """The result of a check, with what a real Envoy says of the batch's routes.

    Where our own validation and Envoy refuse the same rule, Envoy's words stand; where Envoy takes what we call refused, a
    note says so and the finding stays, since the gateway's Envoy may be of another version.

    Args:
        result: of ``precheck.checked``.
        case: what it rests on.
        name: of the Envoy, with its version.
        refuses: asks it.

    Raises:
        ReadError: as ``refuses`` raises it.
    """
    answer = ask(questions(case.after, case.refs), refuses)
    said = [finding_of(remark, result.origins) for remark in remarks_of(answer, case, name, refuses)]
    ignored = Ignored(case.mine.ingresses)
    hidden = [f for f in said if ignored.suppresses(ref_of(f), f)]
    shown = [f for f in said if f not in hidden]
    told = {_subject(f) for f in said}
    kept = [f for f in result.findings if f.slug != ENVOY_REJECTED.slug or _subject(f) not in told]
    doubted = tuple(f for f in kept if f.slug == ENVOY_REJECTED.slug)
    return replace(
        result,
        findings=(*shown, *kept),
        left_out=(*result.left_out, *left_out("ignore", ((f.code, f.message) for f in hidden))),
        notes=(*result.notes, *_notes(answer, name, doubted)),
    )


def _subject(finding: Finding) -> str:
    """What both our message and Envoy's begin with: the rule."""
    return finding.message.partition(" will be rejected")[0]


def _notes(answer: Answer, name: str, doubted: tuple[Finding, ...]) -> Iterator[str]:
    refused, count = len(answer.refused), answer.asked
    routes = f"{count:,} different route{'s' * (count != 1)}"
    yield f"{name} was asked about {routes}: it {f'refuses {refused:,} of them' if refused else 'refuses none'}"
    yield from _lacking(answer.lacking, name)
    for finding in doubted:
        yield f"{name} takes what {finding.code} says of {_subject(finding)}; the gateway's Envoy may be of another version"


def _lacking(lacking: Mapping[str, int], name: str) -> Iterator[str]:
    for what, count in sorted(lacking.items()):
        yield (
            f"{count:,} route{'s' * (count != 1)} could not be shown to {name}, which was not built with {what}: "
            "give the gateway's own binary with --envoy PATH"
        )
