"""Routes that are in place and that requests do not reach."""

from __future__ import annotations

from xdsaudit.audit.causes.cause import Cause
from xdsaudit.audit.causes.commands import EDIT, SHOW_WINNER
from xdsaudit.model.verdict import Severity

SHADOWED = Cause(
    code="XA751",
    slug="shadowed",
    severity=Severity.ERROR,
    title="An earlier route takes every request of this one",
    meaning="The route is in place and never reached.",
    remedy="Remove one of the two rules or make the winner's match narrower.",
    shows="The path answers with another backend; the route is in every dump.",
    prevention="xdsaudit check lists rules that would be shadowed.",
    fix=(SHOW_WINNER, EDIT),
)
PARTLY_SHADOWED = Cause(
    code="XA752",
    slug="partly-shadowed",
    severity=Severity.INFO,
    title="Earlier routes take some requests of this rule",
    meaning="Requests that an earlier route matches never reach this one. That is how precedence works, and a surprise where nobody meant it.",
    remedy="Nothing, if it is intended; otherwise make the earlier match narrower.",
    shows="Some requests answer with another backend.",
    prevention="xdsaudit explain NS/INGRESS shows an example request.",
)
UNMATCHABLE_PATH = Cause(
    code="XA753",
    slug="unmatchable-path",
    severity=Severity.ERROR,
    title="No request can have this path",
    meaning="Envoy normalises a path before it looks at any route: it cuts the query off, resolves dot segments, unescapes plain characters, and escapes what a path may not hold: braces, blanks, letters that are not ASCII. The route is in every table, and no request ever reaches it.",
    remedy="Write the path as it arrives: letters that are not ASCII as %XX in capitals; match a variable part such as {id} with higress.io/use-regex and [^/]+, and a query with higress.io/exact-match-query-NAME.",
    shows="404 NR, or another rule answers, whatever is sent; the route is in every dump.",
    prevention="xdsaudit check reports it before the batch is applied.",
    lasting=True,
)
