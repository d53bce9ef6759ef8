"""Hypothesis strategies for Ingresses, for property tests of our own and of users. Needs hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from xdsaudit.testing.builders import Json, ingress

_HOSTS = ("foo.test", "bar.test", "*.foo.test", "x.foo.test", None)
_PATHS = ("/", "/a", "/a/", "/a/b", "/ab", "/v1.0", "/A")
_KINDS = ("Prefix", "Exact", "ImplementationSpecific")
_NOTES = {
    "higress.io/match-method": ("GET", "GET POST", "nope"),
    "higress.io/exact-match-header-x": ("1", "2"),
    "higress.io/timeout": ("5", "bad"),
    "higress.io/ignore-path-case": ("true", "maybe"),
    "nginx.ingress.kubernetes.io/rewrite-target": ("/new", "/$1", ""),
    "nginx.ingress.kubernetes.io/use-regex": ("true",),
    "nginx.ingress.kubernetes.io/canary": ("true", "yes"),
    "nginx.ingress.kubernetes.io/canary-weight": ("0", "30", "100"),
    "nginx.ingress.kubernetes.io/canary-by-header": ("x-canary",),
    "nginx.ingress.kubernetes.io/ssl-redirect": ("true",),
    "nginx.ingress.kubernetes.io/app-root": ("/home",),
    "nginx.ingress.kubernetes.io/enable-cors": ("true",),
}


@st.composite
def ingresses(draw: st.DrawFn, *, plain: bool = False) -> Json:
    """Ingresses that conflict often: few hosts and paths, equal ages, valid and invalid annotations.

    Args:
        draw: passed by Hypothesis.
        plain: without annotations.
    """
    notes = {} if plain else draw(st.dictionaries(st.sampled_from(sorted(_NOTES)), st.integers(0, 2), max_size=3))
    paths = draw(
        st.lists(st.tuples(st.sampled_from(_PATHS), st.sampled_from(_KINDS)), min_size=1, max_size=4, unique=True)
    )
    return ingress(
        f"i{draw(st.integers(0, 30))}",
        draw(st.sampled_from(_HOSTS)),
        *paths,
        namespace=draw(st.sampled_from(("alpha", "beta", "higress-system"))),
        annotations={k: _NOTES[k][v % len(_NOTES[k])] for k, v in notes.items()},
        created=f"2026-01-0{draw(st.integers(1, 3))}T00:00:00Z",
        tls=draw(st.sampled_from((None, None, "cert"))),
    )
