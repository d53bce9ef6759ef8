"""YAML and JSON text to values: what Kubernetes' own reader makes of it, where it stands, and what is refused in time."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from xdsaudit.collect.documents import Document, Trouble, parse


def only(text: str | bytes) -> Document:
    (found,) = parse(text if isinstance(text, bytes) else text.encode())
    assert isinstance(found, Document)
    return found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-13-45", "2024-13-45"),
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"),
        ("1:20:30", "1:20:30"),
        ("0x1F", 31),
        ("010", 8),
        ("0o10", 8),
        ("09", 9.0),
        ("1_000", 1000),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("yes", True),
        ("Off", False),
        ("~", None),
        ("", None),
        ('"80"', "80"),
        ("!!str 80", "80"),
        ("!!int '80'", 80),
        ("!custom 80", "80"),
        ("18446744073709551616", 18446744073709551616.0),
        ("9" * 5000, "9" * 5000),
        ("9" * 350, "9" * 350),
        (".inf", ".inf"),
        ("-", [None]),
    ],
)
def test_scalars_are_what_go_yaml_makes_of_them(text: str, value: Any) -> None:
    found = only(f"k: {text}" if text != "-" else "k:\n-").value["k"]
    assert found == value
    assert type(found) is type(value)


def test_keys_become_text_and_the_last_of_two_counts() -> None:
    found = only("80: a\ntrue: b\nx: 1\nx: 2\n")
    assert found.value == {"80": "a", "true": "b", "x": 2}
    assert found.twice == (("x",),)
    assert found.mark(("x",)) == (4, 1)


def test_merge_keys_give_way_to_what_is_written() -> None:
    assert only("a: &a {k: 1, l: 2}\nb: {k: 3, <<: *a}\nc: {<<: [*a, {m: 4}]}").value["b"] == {"k": 3, "l": 2}


@pytest.mark.parametrize("dump", [lambda v: json.dumps(v, indent=1).encode(), lambda v: yaml.safe_dump(v).encode()])
def test_places_lead_to_the_line(dump: Any) -> None:
    value = {"spec": {"rules": [{"host": "a"}, {"host": "rules", "http": {"x\ty": [1, 11, 1]}}]}, "z": 1}
    data = dump(value)
    mark = only(data).mark(("spec", "rules", 1, "http", "x\ty", 2))
    lines = data.decode().split("\n")
    assert lines[mark.line - 1].strip(" ,-") == "1"
    assert lines[mark.line - 2].strip(" ,-") == "11"
    assert only(data).mark(("spec", "rules", 1, "gone")).line == only(data).mark(("spec", "rules", 1)).line


def test_a_place_through_an_alias_is_the_alias() -> None:
    assert only("a: &a\n  k: 1\nb: *a").mark(("b", "k")) == (3, 1)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (b"a: [", 2, "not YAML"),
        (b"a: \xff", 1, "not YAML"),
        (b"a: 1\nb: &b [*b]", 2, "inside what it stands for"),
        (b"a: *b", 1, "without an anchor"),
        (b"[" * 500, 1, "nested deeper than 100"),
        (b'{"a":' * 500, 1, "nested deeper than 100"),
        (b"? [a]\n: b", 1, "a key that is not a text"),
        (b"a: {<<: 5}", 1, "merges"),
        (b"\x00", 1, "not YAML"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line_and_the_next_document_is_read(
    text: bytes, line: int, said: str
) -> None:
    first, second = parse(text + b"\n---\nb: 1\n")
    assert isinstance(first, Trouble)
    assert first.mark.line == line
    assert said in first.text
    assert isinstance(second, Document)
    assert second.value == {"b": 1}
    assert second.mark(("b",)).line == text.count(b"\n") + 3


def test_an_alias_bomb_ends_when_it_repeats_too_much() -> None:
    text = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    text += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40))
    (found,) = parse(text.encode())
    assert isinstance(found, Trouble)
    assert "through aliases" in found.text


def test_few_aliases_are_fine() -> None:
    assert only("a: &a {k: 1}\nb: [" + ", ".join(["*a"] * 1000) + "]").value["b"] == [{"k": 1}] * 1000


def test_a_file_of_nothing_but_bad_documents_ends() -> None:
    found = list(parse(b"a: [\n---\n" * 10_000))
    assert len(found) == 51
    assert "was not read" in found[-1].text  # type: ignore[union-attr]


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(plain)
def test_what_was_written_is_read(value: Any) -> None:
    assert only(json.dumps({"k": value})).value == {"k": value}
    assert only(yaml.safe_dump({"k": value}, allow_unicode=False)).value == {"k": value}


@given(st.binary(max_size=60) | st.text("[]{}&*a:-\n!<>|,' \t#%@0", max_size=60).map(str.encode))
def test_any_text_is_read_or_refused(data: bytes) -> None:
    for found in parse(data):
        assert isinstance(found, Document | Trouble)
        if isinstance(found, Document):
            assert not (isinstance(found.value, float) and math.isnan(found.value))
