"""First-match semantics, against a brute-force matcher over sampled requests."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import worlds
from xdsaudit import audit
from xdsaudit.audit.compare.shadowing import _hides, matches_all_of, shadows
from xdsaudit.audit.requests.needs import needs
from xdsaudit.audit.requests.patterns import compiled, literal_prefix
from xdsaudit.model.route import HeaderMatch, MatchKey, Route
from xdsaudit.model.verdict import Verdict
from xdsaudit.testing import ingress

PATHS = ("/", "/a", "/a/", "/a/b", "/ab", "/A", "/b/c")
KEYS = st.builds(
    MatchKey,
    st.sampled_from(("path", "prefix", "safe_regex")),
    st.sampled_from(
        ("/", "/a", "/a/", "/a.*", "/.*", "/b/c", "/[ab]", "/a(/|$)(.*)", "(?i)/a.*", "/(a|b/c)", "/a|/b/c", r"/a\./b")
    ),
    st.booleans(),
    st.sampled_from(((), (HeaderMatch("x", "exact", "1"),))),
)


def matches(key: MatchKey, path: str, headers: dict[str, str]) -> bool:
    value, given_path = (
        (key.value.lower(), path.lower()) if key.ignore_case and key.kind != "safe_regex" else (key.value, path)
    )
    fits = {
        "path": lambda: given_path == value,
        "prefix": lambda: given_path.startswith(value),
        "safe_regex": lambda: re.fullmatch(key.value, path) is not None,
    }[key.kind]()
    return fits and all(headers.get(h.name) == h.value for h in key.headers)


REQUESTS = [(p, h) for p in (*PATHS, "/a/b/c", "/x", "/ab/c", "/A/b") for h in ({}, {"x": "1"})]


@given(st.lists(KEYS, max_size=6))
def test_a_shadowed_route_answers_no_request(keys: list[MatchKey]) -> None:
    routes = [Route(k, f"r{n}", {}, f"c{n}") for n, k in enumerate(keys)]
    hidden = shadows(routes)
    for path, headers in REQUESTS:
        first = next((n for n, k in enumerate(keys) if matches(k, path, headers)), None)
        assert first not in hidden


@given(KEYS, KEYS)
def test_covers_is_sound(one: MatchKey, other: MatchKey) -> None:
    if matches_all_of(one, other):
        assert all(matches(one, p, h) for p, h in REQUESTS if matches(other, p, h))


@pytest.mark.parametrize(
    ("regex", "text"),
    [
        ("/a.*", "/a"),
        ("/a/b", "/a/b"),
        ("/a?b", "/"),
        ("(?i)/a", "/"),
        ("(?s)/a", ""),
        ("/a|/b", ""),
        ("/a/(.*)", "/a/"),
        ("/b(/|$)(.*)", "/b"),
        ("^/b/(x|y)", "/b/"),
        (r"/v1\.0/.*", "/v1.0/"),
        (r"/x\|y/[a-z]", ""),
        (r"/a\(b|/c", ""),
        (r"/a\d", "/a"),
        ("/a+", "/a"),
        ("/a{2}", "/"),
        (r"/x\Q(\E|/y", ""),
        ("/[(]a|/b", ""),
    ],
)
def test_literal_prefix(regex: str, text: str) -> None:
    assert literal_prefix(regex) == text


def test_a_copy_behind_its_twin_is_not_shadowed() -> None:
    key = MatchKey("prefix", "/")
    assert shadows([Route(key, "a", {}, "c"), Route(key, "a", {}, "c")]) == {}
    assert shadows([Route(key, "a", {}, "c"), Route(key, "b", {}, "c")]) == {1: 0}


CONDITIONS = st.lists(
    st.sampled_from(
        [
            *(HeaderMatch("x", "exact", v) for v in "123"),
            HeaderMatch("x", "regex", "1|2"),
            HeaderMatch("x", "prefix", "1"),
            HeaderMatch("x", "present"),
            HeaderMatch("y", "exact", "1"),
            HeaderMatch("x", "exact", "1", inverted=True),
        ]
    ),
    unique=True,
    max_size=3,
)
ROUTES = st.builds(
    lambda key, headers, query, other, name: Route(
        key._replace(headers=tuple(sorted(headers)), query=tuple(sorted(query)), other=other), name, {}, "c"
    ),
    KEYS,
    CONDITIONS,
    CONDITIONS,
    st.sampled_from(("", '{"grpc":{}}')),
    st.sampled_from("ab"),
)


def _by_every_pair(routes: list[Route]) -> dict[int, int]:
    """What is shadowed by which, the first of them, by asking every pair."""
    return {
        later: earlier
        for later in range(len(routes))
        if (earlier := next((e for e in range(later) if _hides(routes[e], routes[later])), None)) is not None
    }


@given(st.lists(ROUTES, max_size=12))
def test_looking_up_finds_what_asking_every_pair_finds(routes: list[Route]) -> None:
    assert shadows(routes) == _by_every_pair(routes)


MANY = st.builds(
    lambda kind, template, one, two, conditions: MatchKey(
        kind,
        template.format(one, two) if kind == "safe_regex" else f"/a/{one}{two}",
        headers=tuple(sorted(conditions)),
    ),
    st.sampled_from(("path", "safe_regex", "safe_regex")),
    st.sampled_from(
        (
            "/a/[ab]*{0}",
            "/a/({0}|{1}b?)",
            "(?i)/a/{0}.*",
            "/a/{0}+{1}",
            "/a/(?:[ab]|{0}{1})?{1}",
            "/a/.*{0}(b|{1})",
            "/a/",
        )
    ),
    st.sampled_from(("a", "b", "ab", "ba", "B")),
    st.sampled_from(("a", "b", "ab", "bb", "A")),
    st.lists(
        st.builds(
            HeaderMatch,
            st.sampled_from("xy"),
            st.sampled_from(("exact", "prefix", "suffix", "contains", "exact_i", "prefix_i", "regex", "present")),
            st.sampled_from(("", "a", "b", "ab", "aB", "a|b", "a.*")),
        ),
        max_size=3,
        unique=True,
    ),
)


@given(st.lists(MANY, min_size=20, max_size=50, unique=True))
def test_looking_up_among_many_finds_what_asking_every_pair_finds(keys: list[MatchKey]) -> None:
    routes = [Route(key, f"r{n}", {}, "c") for n, key in enumerate(keys)]
    assert shadows(routes) == _by_every_pair(routes)


@pytest.mark.parametrize(
    ("regex", "texts"),
    [
        ("/a/[0-9]+/b", [{"/a/"}, {"/b"}]),
        ("(?i)/A/(b|cd)", [{"/a/"}, {"b", "cd"}]),
        ("/a(b)?c", [{"/a"}, {"c"}]),
        ("/a(bc)+d{0,2}", [{"/a"}, {"bc"}]),
        (r"/v1\.0/.*", [{"/v1.0/"}]),
        ("/a|/bc|.*", []),
        (r"/\pN/a", []),
        ("/[[:alpha:]]/a", []),
        ("/a(", []),
    ],
)
def test_what_a_regex_needs(regex: str, texts: list[set[str]]) -> None:
    assert needs(regex) == texts


@given(
    st.text(st.sampled_from("/aAb.()|*?+[]^$\\iQE{2}-:d"), max_size=12),
    st.lists(st.sampled_from("/aAb.|(2Q"), max_size=6),
)
def test_every_match_of_a_regex_contains_what_it_needs(tail: str, letters: list[str]) -> None:
    path = "".join(letters)
    for regex in (tail, f"/{tail}", f"(?i)/{tail}"):
        machine = compiled(regex)
        if machine is not None and machine.fullmatch(path) is not None:
            assert all(any(text in path.casefold() for text in need) for need in needs(regex))


def test_where_regexes_are_too_many_to_be_run_the_audit_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    items = [
        ingress("exact", "foo.test", ("/foo", "Exact"), annotations={"higress.io/exact-match-header-x": "a"}),
        ingress("regex", "foo.test", ("/foo", "Exact"), annotations={"higress.io/regex-match-header-x": "b.*"}),
    ]
    assert not any("more rules may be shadowed" in note for note in audit(worlds.world(items)).notes)
    monkeypatch.setattr("xdsaudit.audit.compare.lookups.MOST_RUNS", 0)
    notes = [note for note in audit(worlds.world(items)).notes if "more rules may be shadowed" in note]
    assert notes
    assert all("foo.test on port 80" in note for note in notes)


@pytest.mark.parametrize(
    ("regex", "taken"),
    [("/foo$", True), ("^/foo$", True), ("/foo", True), ("/foo.$", False), ("/fooo$", False), ("(?i)/foo$", False)],
)
def test_a_regex_without_signs_is_hidden_by_its_exact_path(regex: str, taken: bool) -> None:
    routes = [Route(MatchKey("path", "/foo"), "exact", {}, "a"), Route(MatchKey("safe_regex", regex), "regex", {}, "b")]
    assert shadows(routes) == ({1: 0} if taken else {})
    assert shadows(routes[::-1]) == ({1: 0} if regex in ("/foo$", "^/foo$", "/foo", "(?i)/foo$") else {})


def test_a_full_path_regex_behind_its_exact_path_is_told() -> None:
    notes = {"higress.io/full-path-regex": "true"}
    items = [
        ingress("exact", "foo.test", ("/foo", "Exact")),
        ingress("regex", "foo.test", ("/foo", "Exact"), annotations=notes),
    ]
    found = {r.rule.ingress: r for r in audit(worlds.world(items)).rules}
    assert found["exact"].verdict is Verdict.IN_SYNC
    assert (found["regex"].verdict, found["regex"].by) == (Verdict.SHADOWED, found["exact"].rule)
    items[1] = ingress("regex", "foo.test", ("/foo.", "Exact"), annotations=notes)
    assert {r.verdict for r in audit(worlds.world(items)).rules} == {Verdict.IN_SYNC}


PLAIN = st.builds(
    MatchKey,
    st.sampled_from(("path", "prefix")),
    st.sampled_from((*PATHS, "/a/b/", "/ab/", "/a/b/c")),
)


@given(st.lists(PLAIN, max_size=8), st.booleans())
def test_plain_paths_are_shadowed_by_what_asking_every_pair_finds(keys: list[MatchKey], longest_first: bool) -> None:
    ordered = sorted(keys, key=lambda k: -len(k.value)) if longest_first else keys
    routes = [Route(k, f"r{n}", {}, "c") for n, k in enumerate(ordered)]
    assert shadows(routes) == _by_every_pair(routes)


@pytest.mark.parametrize(
    ("earlier", "later", "taken"),
    [
        ("/", "/b(/|$)(.*)", True),
        ("/b", "/b(/|$)(.*)", True),
        ("/b/", "/b(/|$)(.*)", False),
        ("/", "(?i)/a.*", True),
        ("/a", "(?i)/a.*", False),
        ("/", "/a|/b", False),
        ("/v1.0/", r"/v1\.0/(.*)", True),
    ],
)
def test_a_regex_with_a_choice_or_in_any_case_is_hidden_by_the_prefix_of_all_its_matches(
    earlier: str, later: str, taken: bool
) -> None:
    assert matches_all_of(MatchKey("prefix", earlier), MatchKey("safe_regex", later)) is taken


@given(
    st.text(st.sampled_from("/ab.()|*?+[]^$\\iQE{2}"), max_size=10), st.lists(st.sampled_from("/aAb.|(2Q"), max_size=6)
)
def test_every_match_of_a_regex_begins_with_its_literal_prefix(tail: str, letters: list[str]) -> None:
    path = "".join(letters)
    for regex in (tail, f"/{tail}", f"(?i)/{tail}"):
        machine = compiled(regex)
        if machine is not None and machine.fullmatch(path) is not None:
            assert path.startswith(literal_prefix(regex))


@pytest.mark.parametrize(
    ("one", "other", "implied"),
    [
        (HeaderMatch(":method", "regex", "GET"), HeaderMatch(":method", "regex", "GET|POST"), True),
        (HeaderMatch(":method", "regex", "GET|PUT"), HeaderMatch(":method", "regex", "GET|POST"), False),
        (HeaderMatch("x", "exact", "12"), HeaderMatch("x", "prefix", "1"), True),
        (HeaderMatch("x", "prefix", "12"), HeaderMatch("x", "prefix", "1"), True),
        (HeaderMatch("x", "prefix", "1"), HeaderMatch("x", "prefix", "12"), False),
        (HeaderMatch("x", "regex", "a.*"), HeaderMatch("x", "present"), True),
        (HeaderMatch("x", "exact", "1"), HeaderMatch("x", "present", "no"), False),
        (HeaderMatch("x", "exact", "1", inverted=True), HeaderMatch("x", "present"), False),
        (HeaderMatch("x", "exact", "1"), HeaderMatch("y", "exact", "1"), False),
        (HeaderMatch("x", "exact", "1"), HeaderMatch("x", "exact", "2", inverted=True), False),
    ],
)
def test_a_condition_may_imply_another(one: HeaderMatch, other: HeaderMatch, implied: bool) -> None:
    earlier, later = (MatchKey("prefix", "/", False, (c,)) for c in (other, one))
    assert matches_all_of(earlier, later) is implied
    assert bool(shadows([Route(earlier, "a", {}, "c"), Route(later, "b", {}, "c")])) is implied
