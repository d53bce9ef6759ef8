"""The shape of a code: one row per thing an audit can say, with what it means and what heals it."""

from __future__ import annotations

from typing import NamedTuple

from xdsaudit.model.verdict import Severity


class Code(NamedTuple):
    """One code.

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
