"""Retries: ``proxy-next-upstream`` and its companions, and the retry policy that pilot makes of them.

higress@v2.0.1 pkg/ingress/kube/annotations/retry.go; higress-group/istio@d380470e53
pilot/pkg/networking/core/v1alpha3/route/retry/retry.go. Nothing here knows another annotation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from xdsaudit.ingress.annotations import has, integer, integer32, items, look, text
from xdsaudit.ingress.go import atoi, fields, has_status_text, trim_space
from xdsaudit.ingress.http_route import Work
from xdsaudit.model.canonical import TYPE_PREFIX
from xdsaudit.model.plain import Plain

Annotations = Mapping[str, str]
_DEFAULT_RETRY_ON: Final = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
_PREVIOUS_HOSTS: Final[Plain] = {
    "name": "envoy.retry_host_predicates.previous_hosts",
    "typed_config": {"@type": TYPE_PREFIX + "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
}
_NO_WRITES: Final[Plain] = {
    "name": ":method",
    "invert_match": True,
    "string_match": {"safe_regex": {"regex": "POST|PATCH|LOCK"}},
}


def retry_policy(
    attempts: int = 2,
    retry_on: str = _DEFAULT_RETRY_ON,
    codes: tuple[int, ...] = (503,),
    *,
    idempotent_only: bool = True,
    per_try: int | None = None,
) -> dict[str, Plain]:
    """A retry policy as pilot writes it."""
    policy: dict[str, Plain] = {
        "retry_on": retry_on,
        "num_retries": attempts,
        "retry_host_predicate": [_PREVIOUS_HOSTS],
        "host_selection_retry_max_attempts": "5",
    }
    if codes:
        policy["retriable_status_codes"] = list(codes)
    if idempotent_only:
        policy["retriable_request_headers"] = [_NO_WRITES]
    if per_try is not None:
        policy["per_try_timeout"] = f"{per_try}s"
    return policy


def retry(route: Work, annotations: Annotations) -> None:
    """Retries of a route; without any of the three annotations the mesh's own."""
    if not has(annotations, "proxy-next-upstream", "proxy-next-upstream-tries", "proxy-next-upstream-timeout"):
        route.fields["retry_policy"] = DEFAULT_RETRY
        return
    attempts = look(annotations, "proxy-next-upstream-tries", integer32)
    attempts = 3 if attempts is None else attempts
    per_try = look(annotations, "proxy-next-upstream-timeout", integer) or 0
    written = look(annotations, "proxy-next-upstream", text) or ""
    words = items(written) if "," in written else fields(written)
    if "off" in words or attempts <= 0:
        return
    retry_on, codes = _retry_on(words) if words else ("5xx", ())
    if not retry_on:
        retry_on, codes = _DEFAULT_RETRY_ON, (503,)
    route.fields["retry_policy"] = retry_policy(
        attempts,
        retry_on,
        codes,
        idempotent_only="non_idempotent" not in retry_on.split(","),
        per_try=per_try,
    )


def _retry_on(words: list[str]) -> tuple[str, tuple[int, ...]]:
    """Conditions and status codes of a retry policy: Higress's text, as pilot's parseRetryOn reads it.

    A code that Go's ``http.StatusText`` does not know stays a word.
    """
    parts = ["5xx"] if {"error", "timeout", "invalid_header"} & {*words} else []
    if "non_idempotent" in words:
        parts.append("non_idempotent")
    named = [w.removeprefix("http_") for w in words if w.startswith("http_")]
    if named:
        parts += ["retriable-status-codes", *named]
    kept, codes = [], []
    for part in (trim_space(p) for p in ",".join(parts).split(",")):
        code = atoi(part)
        if code is not None and has_status_text(code):
            codes.append(code)
        elif part:
            kept.append(part)
    return ",".join(kept), tuple(codes)


DEFAULT_RETRY: Final = retry_policy()
