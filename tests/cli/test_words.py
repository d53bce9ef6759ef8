"""What users mistype: durations as kubectl takes them, and what they may have meant."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from xdsaudit.cli.main import run
from xdsaudit.cli.values import Seconds
from xdsaudit.errors import did_you_mean

BATCH = str(Path(__file__).parent.parent / "recordings" / "batch-loss")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1.5", 1.5), ("500ms", 0.5), ("2m", 120), ("1h30m", 5400), ("90s", 90), ("0", 0)]
)
def test_spans_of_time(text: str, seconds: float) -> None:
    assert Seconds().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "-1", "2x", "m", "1m x", "nan", "inf", "1e9", "2 m", "1.2.3", "٣"])
def test_no_spans_of_time(text: str) -> None:
    with pytest.raises(click.BadParameter, match="1h30m"):
        Seconds().convert(text, None, None)


def test_a_span_may_have_a_least() -> None:
    assert Seconds(0.1).convert("100ms", None, None) == 0.1
    with pytest.raises(click.BadParameter, match="too short"):
        Seconds(0.1).convert("50ms", None, None)


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["dif"], "Did you mean diff?"),
        (["explain", "stale-route"], "did you mean stale-route-cache?"),
        (["diff", "--skip", "stale-rout-cache", "--snapshot", BATCH], "did you mean stale-route-cache"),
        (["diff", "--fail-on", "los", "--snapshot", BATCH], "did you mean lost?"),
        (["diff", "app-10061", "--snapshot", BATCH], "did you mean live/app-10061?"),
        (["diff", "live/app-1006", "--snapshot", BATCH], "did you mean live/app-1006"),
        (["routes", "live/app-1006", "--snapshot", BATCH], "did you mean live/app-1006"),
    ],
)
def test_what_was_meant(arguments: list[str], meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert meant in " ".join(capsys.readouterr().err.split())


def test_a_host_that_is_near(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["routes", "wss.live.tst", "--snapshot", BATCH]) == 1
    assert "did you mean wss.live.test?" in capsys.readouterr().err


def test_nothing_near_is_nothing_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert did_you_mean("zzz", ["diff", "wait"]) == ""
    assert run(["frobnicate"]) == 2
    assert "mean" not in capsys.readouterr().err


def test_all_namespaces_and_one_contradict_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["diff", "-A", "-n", "live", "--snapshot", BATCH]) == 2
    assert "contradict" in capsys.readouterr().err
    assert run(["diff", "-A", "--snapshot", BATCH]) == 1


def test_a_port_that_is_not_the_gateways_is_said_to_be_taken_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    run(["explain", "http://wss.live.test:8080/10061", "--snapshot", BATCH])
    assert (
        "port 8080 of the URL is taken to be the gateway's port 80 (--http-port changes that)"
        in capsys.readouterr().err
    )
    for url in ("http://wss.live.test/10061", "http://wss.live.test:80/10061"):
        run(["explain", url, "--snapshot", BATCH])
        assert "is taken for" not in capsys.readouterr().err
