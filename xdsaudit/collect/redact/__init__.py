"""Redaction: a snapshot keeps what the readers read, contains no credential, and gives the same audit.

**Keep by list.** Of every object, message and page only the fields that the readers decode are kept; unknown fields, unmodelled
filters and pages that are not read are dropped (a filter keeps its type).

**Hide by literal.** A credential's value becomes ``redacted:`` and the first 12 hex digits of an HMAC-SHA256 under a key made for
this capture and thrown away, the same in every view, so that equal values stay equal. A value hidden once is hidden everywhere:
in other annotations, in matchers, in messages. Names stay.

The laws (tested): ``audit(redact(s)) == audit(s)``; redacting twice changes nothing; no planted credential is in any byte.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace

from xdsaudit.collect.redact.kube import clean_list
from xdsaudit.collect.redact.literals import Literals
from xdsaudit.collect.redact.messages import clean_response
from xdsaudit.collect.redact.pages import GATEWAY_PAGES, PILOT_PAGES, Cleaner
from xdsaudit.model.snapshot import Snapshot

__all__ = ["redact"]


def redact(snapshot: Snapshot, key: bytes | None = None) -> Snapshot:
    """The snapshot without credentials.

    Args:
        snapshot: as it was read.
        key: for tests; by default a new one is made and forgotten.

    Returns:
        A snapshot that gives the same audit. Bytes that cannot be decoded are left out: what cannot be read cannot be cleaned.
    """
    literals = Literals(key or secrets.token_bytes(32))
    cleaned = _cleaned(snapshot, literals)
    if literals.seen:
        literals.scrub = True  # now that all credentials are known, replace them everywhere else
        cleaned = _cleaned(snapshot, literals)
    return cleaned


def _cleaned(snapshot: Snapshot, literals: Literals) -> Snapshot:
    return replace(
        snapshot,
        controller={k: literals.text(v) if isinstance(v, str) else v for k, v in snapshot.controller.items()},
        kube=_lists(snapshot.kube, literals),
        manifest=_lists(snapshot.manifest, literals),
        core={pod: tuple(clean_response(r, literals) for r in answers) for pod, answers in snapshot.core.items()},
        pilot={
            pod: replace(
                c,
                served=tuple(clean_response(r, literals) for r in c.served),
                fresh=None if c.fresh is None else tuple(clean_response(r, literals) for r in c.fresh),
                pages=_pages(c.pages, PILOT_PAGES, literals),
            )
            for pod, c in snapshot.pilot.items()
        },
        gateway={pod: _pages(pages, GATEWAY_PAGES, literals) for pod, pages in snapshot.gateway.items()},
        views=tuple(
            v._replace(why=v.why and literals.text(v.why), endpoint=v.endpoint and literals.text(v.endpoint))
            for v in snapshot.views
        ),
        story=snapshot.story and literals.text(snapshot.story),
        extra={k: v for k, v in snapshot.extra.items() if k in ("consistency", "tool")},
    )


def _lists(lists: Mapping[str, bytes], literals: Literals) -> dict[str, bytes]:
    return {plural: cleaned for plural, data in lists.items() if (cleaned := clean_list(plural, data, literals))}


def _pages(pages: Mapping[str, bytes], cleaners: Mapping[str, Cleaner], literals: Literals) -> dict[str, bytes]:
    return {name: cleaners[name](data, literals) for name, data in pages.items() if name in cleaners}
