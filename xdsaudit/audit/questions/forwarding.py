"""What a route does with a request: what its backend gets, what the client gets, by the route's own fields.

Values of credentials stay hidden. Must not look up a route.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from xdsaudit.audit.requests.patterns import compiled
from xdsaudit.audit.requests.request import Request
from xdsaudit.model.plain import Plain, as_list, as_mapping, as_mappings, as_text, part
from xdsaudit.model.route import Route, clusters_of_fields, fallback_config
from xdsaudit.model.sensitive import shown
from xdsaudit.model.view import View

_CODES: Final = {
    "MOVED_PERMANENTLY": 301,
    "FOUND": 302,
    "SEE_OTHER": 303,
    "TEMPORARY_REDIRECT": 307,
    "PERMANENT_REDIRECT": 308,
}


def effects(route: Route, request: Request, view: View) -> tuple[str, ...]:
    """What the route makes of the request, a line each: what it answers itself, or what goes to the backend and how."""
    redirect = as_mapping(route.get("redirect"))
    if redirect:
        return (_redirect(redirect, request),)
    answer = as_mapping(route.get("direct_response"))
    if answer:
        return (f"the client gets {answer.get('status', '')} from the gateway itself",)
    return (*_request(route, request), *_headers(route), *_patience(route), *_clusters(route, view))


def _redirect(redirect: Mapping[str, Plain], request: Request) -> str:
    """Envoy's RedirectAction: scheme, host, port and path are exchanged, the query stays unless it is stripped."""
    secure = redirect.get("https_redirect") or redirect.get("scheme_redirect") == "https"
    scheme = redirect.get("scheme_redirect") or ("https" if secure or request.secure else "http")
    host = redirect.get("host_redirect") or request.host
    port = redirect.get("port_redirect")
    path = as_text(redirect.get("path_redirect")) or request.path
    if redirect.get("prefix_rewrite") is not None or redirect.get("regex_rewrite"):
        path = _substituted(redirect.get("regex_rewrite"), request.path) or path
    query = "" if redirect.get("strip_query") or "?" in path else (request.target.partition("?")[2])
    target = f"{scheme}://{host}{f':{port}' if port else ''}{path}{'?' + query if query else ''}"
    code = _CODES.get(str(redirect.get("response_code", "MOVED_PERMANENTLY")), 301)
    here = f"{'https' if request.secure else 'http'}://{request.host}{request.path}"
    loop = " - the same URL again, for ever" if target.partition("?")[0] == here else ""
    return f"the client gets {code} to {target}{loop}"


def _substituted(rewrite: Plain, path: str) -> str | None:
    """The path after a regex_rewrite: every match is exchanged (Envoy's RegexMatchAndSubstitute), None where RE2 refuses."""
    if not rewrite:
        return None
    machine = compiled(as_text(part(rewrite, "pattern", "regex")), groups=True)
    if machine is None:
        return None
    try:
        return str(machine.sub(as_text(part(rewrite, "substitution")), path))
    except Exception:  # RE2's own error for a group that the pattern does not have
        return None


def _request(route: Route, request: Request) -> Iterator[str]:
    path = _substituted(route.get("regex_rewrite"), request.path)
    if route.get("prefix_rewrite") is not None:
        tail = request.path[len(route.key.value) :] if route.key.kind in ("path", "prefix") else ""
        path = f"{route.get('prefix_rewrite')}{tail}"
    host = route.get("host_rewrite_literal")
    if path is not None and path != request.path:
        odd = " - with two slashes at the start" if path.startswith("//") else ""
        yield f"the backend gets the path {path}{odd}"
    if host:
        yield f"the backend gets the Host {host}"


def _headers(route: Route) -> Iterator[str]:
    for side, whose in (("request", "the request"), ("response", "the answer")):
        headers = [as_mapping(h.get("header")) for h in as_mappings(route.get(f"{side}_headers_to_add"))]
        pairs = [(as_text(h.get("key")), as_text(h.get("value"))) for h in headers]
        added = [f"{key}: {shown(key, value)}" for key, value in pairs]
        removed = [as_text(name) for name in as_list(route.get(f"{side}_headers_to_remove"))]
        if added:
            yield f"{whose} gets the header{'s' * (len(added) > 1)} {', '.join(added)}"
        if removed:
            yield f"{whose} loses the header{'s' * (len(removed) > 1)} {', '.join(removed)}"


def _patience(route: Route) -> Iterator[str]:
    timeout, retries = as_text(route.get("timeout")), part(route.get("retry_policy"), "num_retries")
    words = []
    if timeout and timeout != "0s":
        words.append(f"times out after {timeout.removesuffix('s')} s")
    if retries:
        words.append(f"retried up to {retries} times")
    if words:
        yield ", ".join(words)


def _clusters(route: Route, view: View) -> Iterator[str]:
    names = (route.cluster,) if route.cluster is not None else clusters_of_fields(route.fields)
    for fallback in as_list(part(fallback_config(route.fields), "fallback_clusters")):
        yield f"{names[0] if names else 'its cluster'} is asked first, and {fallback} if that has no healthy endpoint"
    for name in names:
        if view.clusters is not None and name not in view.clusters:
            yield f"the cluster {name} does not exist: 503 NC"
    for mirror in as_mappings(route.get("request_mirror_policies")):
        yield f"a copy goes to {mirror.get('cluster', '')}"
