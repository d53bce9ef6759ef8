"""What a snapshot says of its controller, in the types it may be written in."""

from __future__ import annotations

import pytest

from xdsaudit.errors import ReadError
from xdsaudit.ingress.profile import Profile, profile_of


@pytest.mark.parametrize(("written", "read"), [("1", True), ("t", True), ("FALSE", False), ("0", False), (True, True)])
def test_a_switch_of_the_environment_is_read_as_go_reads_it(written: str | bool, read: bool) -> None:
    assert profile_of({"on_demand_rds": written}).on_demand_rds is read
    assert profile_of({"scoped_rds": written}).scoped_rds is read


def test_what_is_no_switch_is_not_set() -> None:
    told, silent = (profile_of(c) for c in ({"host_rds_merge_subset": "yes"}, {}))
    assert told == silent
    assert told.merge_subset is Profile().merge_subset


@pytest.mark.parametrize(("key", "value"), [("http_port", "x"), ("ingress_class", 5), ("scoped_rds", 1.5)])
def test_an_option_of_another_type_is_named(key: str, value: str | float) -> None:
    with pytest.raises(ReadError, match=rf"snapshot.json: .* controller .*\$\.{key}.*; correct it"):
        profile_of({key: value})
