"""Damaged input for every decoder: each raises its own errors and nothing else, in time."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.__main__ import executed, fuzzed
from tests.fuzz.mutate import damaged_bytes, damaged_json, damaged_message
from tests.fuzz.targets import TARGETS, Target, pilot_answers

EXECUTIONS = {"whole": 40, "ingresses": 150, "config_dump": 600, "pilot": 800, "core": 800, "documents": 3000}


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_damaged_input_raises_what_is_declared(target: Target) -> None:
    (result,) = fuzzed((target,), seconds=30, executions=EXECUTIONS.get(target.name, 4000), seed=7)
    assert result[1] > 0
    assert result[2] == []


def test_a_decoder_that_raises_anything_else_is_found() -> None:
    target = Target("own", lambda: [b'{"a": [1]}'], lambda d: {}[d], damaged_json)
    fault = executed(target, target.seeds(), 1)
    assert fault is not None
    assert fault.kind == "KeyError"


def test_damages_reach_inner_messages_and_are_drawn_by_the_seed() -> None:
    data = pilot_answers()[0]
    made = {damaged_message(data, random.Random(n)) for n in range(50)}
    assert len(made) > 40
    assert damaged_message(data, random.Random(3)) == damaged_message(data, random.Random(3))
    assert damaged_bytes(b"", random.Random(1)) is not None
