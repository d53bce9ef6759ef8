"""Parts of plain data: absent is empty, and another shape is an error that says both."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from xdsaudit.model.plain import as_list, as_mapping, as_mappings, as_text, part

DOCUMENT = {"spec": {"rules": [{"host": "a.test"}, None], "name": None}}


def test_what_is_absent_is_empty() -> None:
    assert (as_mapping(None), as_list(None), as_mappings(None), as_text(None)) == ({}, (), [], "")
    assert part(DOCUMENT, "spec", "no", "such") is None
    assert part(None, "spec") is None


def test_parts_are_reached_as_they_are() -> None:
    assert [as_text(rule.get("host")) for rule in as_mappings(part(DOCUMENT, "spec", "rules"))] == ["a.test", ""]
    assert as_text(part(DOCUMENT, "spec", "name")) == ""


@pytest.mark.parametrize(
    ("take", "value", "said"),
    [
        (as_mapping, ["x"], "expected an object, not a list"),
        (as_mapping, "", "expected an object, not text"),
        (as_list, "abc", "expected a list, not text"),
        (as_list, {}, "expected a list, not an object"),
        (as_mappings, [{}, 5], "expected an object, not a number"),
        (as_text, 5, "expected text, not a number"),
        (as_text, False, "expected text, not a boolean"),
    ],
)
def test_another_shape_is_never_taken_for_absent(take: Callable[[object], object], value: object, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}$"):
        take(value)


def test_a_key_of_what_has_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected an object, not a list"):
        part(DOCUMENT, "spec", "rules", "host")
