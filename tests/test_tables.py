"""Tables that name the same things for different readers must agree."""

from __future__ import annotations

from importlib import import_module
from typing import get_args

from xdsaudit.collect import kube
from xdsaudit.ingress import objects
from xdsaudit.report import _WRITERS
from xdsaudit.testing.control_plane import _ORDER
from xdsaudit.xds.pool import TYPES, WHOLE, Short


def test_the_kinds_that_are_listed_are_kinds_that_are_decoded() -> None:
    listed = {kind.plural: kind.kind for kind in kube.LISTED}
    assert listed == {plural: kind for plural, (kind, _) in objects.KINDS.items() if plural in listed}
    assert objects.KINDS.keys() - listed.keys() == {"configmaps"}  # read by name, never listed


def test_every_resource_type_has_a_url_and_a_place_in_the_order_of_answers() -> None:
    assert set(get_args(Short)) == set(TYPES) == set(_ORDER)
    assert set(TYPES) > WHOLE


def test_every_format_has_its_writer() -> None:
    for place in _WRITERS.values():
        module, _, name = place.partition(":")
        assert callable(getattr(import_module(f"xdsaudit.report.{module}"), name))
