"""The shape of a cause: all that is known of one thing an audit can say, in one value.

Causes stand as constants in the families beside this module, each with what detects and proves it; ``catalogue`` gathers them.
Families load nothing but the model, so that the catalogue costs no audit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from xdsaudit.model.verdict import Concern, Finding, Origin, Rule, Severity

if TYPE_CHECKING:
    from xdsaudit.audit.case import World
    from xdsaudit.audit.stage import Rejection
    from xdsaudit.ingress.expectation import RuleIndex

    Evidence = Callable[[World, Mapping[str | None, Rejection], RuleIndex], Iterator[str]]


class Fault(NamedTuple):
    """Why a rule's requests cannot be answered: the cause, and a line of evidence."""

    cause: Cause
    evidence: str


class Command(NamedTuple):
    """A command with places in braces.

    Attributes:
        title: what it does, in the imperative.
        text: the command; ``{ingress}`` and so on are filled in.
        restarts: whether it ends a gateway's pod, which a gateway that refuses updates must not suffer.
    """

    title: str
    text: str
    restarts: bool = False


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Cause:
    """One cause.

    Attributes:
        code: ``XAnnn``; the first digit is where it happens: 1 intake, 2 translation, 3 and 4 the control plane, 5 and 6
            delivery, 7 upstream and shadowing, 8 replicas, 9 the auditor itself.
        slug: its name.
        severity: of a finding that carries it.
        title: one line.
        meaning: what it is and why it happens.
        remedy: what heals it, and what does not.
        shows: how it looks from outside.
        prevention: how it is kept from coming back.
        issues: public issues that tell of it, ``repository#number``.
        fix: commands that heal it, the likeliest first; none where the remedy is a thought.
        mended_in: the version of the controller that cannot suffer from it any more.
        while_refusing: the remedy where the same gateway refuses updates, with a place for what it refuses; "" where it stays the same.
        proven: whether no grace period excuses it: something shows that the rule will not come by itself.
        lasting: whether waiting longer changes nothing.
        dirty: whether it makes a test fail that must leave its gateway clean.
        divergence: whether it says that replicas disagree, and nothing of why.
        evidence: sentences that prove it for a rule, beside what each view has of it.
    """

    code: str
    slug: str
    severity: Severity
    title: str
    meaning: str
    remedy: str
    shows: str
    prevention: str
    issues: tuple[str, ...] = ()
    fix: tuple[Command, ...] = ()
    mended_in: tuple[int, int, int] | None = None
    while_refusing: str = ""
    proven: bool = False
    lasting: bool = False
    dirty: bool = False
    divergence: bool = False
    evidence: Evidence | None = None

    def plain(self) -> dict[str, object]:
        """Its texts as ``explain CODE -o json`` prints them; what is new is added at the end."""
        names = ("code", "slug", "severity", "title", "meaning", "remedy", "shows", "prevention", "issues")
        return {name: getattr(self, name) for name in names}

    def remedy_for(self, version: tuple[int, int, int], refused: Cause | None) -> str:
        """The remedy, made to fit the version and what else the same gateway suffers from.

        A gateway that refuses what it is served loses its old tables in a restart, so nothing told of it may ask for one.

        Args:
            version: of the controller.
            refused: why the gateway in question refuses updates, None when it refuses none.
        """
        if self.mended_in is not None and version < self.mended_in:
            return f"{self.remedy} Higress {'.'.join(map(str, self.mended_in))} and later carry the fix."
        if refused is None or refused is self or not self.while_refusing:
            return self.remedy
        return self.while_refusing.format(refusal=f"{refused.code} {refused.slug} of this gateway")

    def finding(
        self,
        message: str,
        *concerns: Concern,
        by: Rule | None = None,
        evidence: tuple[str, ...] = (),
        severity: Severity | None = None,
        at: Origin | None = None,
    ) -> Finding:
        """A finding of this cause.

        Args:
            message: a sentence.
            concerns: what it is about.
            by: who causes it.
            evidence: what proves it.
            severity: where it is not that of the cause.
            at: where it was written.
        """
        severity = severity or self.severity
        return Finding(self.code, self.slug, severity, message, concerns, by, evidence, self.remedy, at)
