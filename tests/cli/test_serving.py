"""The HTTP port of a watch: page, events, metrics and health; read-only, local, and safe from strangers' names."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.audit.test_attribution import WITHOUT_B
from tests.live.test_watch import CUT, Script, world
from xdsaudit.cli.serving import Board, served
from xdsaudit.errors import InputError
from xdsaudit.live import Watcher
from xdsaudit.live.events import events

BROWSER = next((b for b in ("chromium", "chromium-browser", "google-chrome") if shutil.which(b)), None)


def free() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Stage:
    """A watch of a script, served."""

    def __init__(self, board: Board, watcher: Watcher, script: Script, url: str) -> None:
        self.board, self.watcher, self.script, self.url = board, watcher, script, url

    def rounds(self, count: int) -> None:
        for _ in range(count):
            self.board.update(list(events(self.watcher.round(), self.watcher.plugins)))

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        request = urllib.request.Request(self.url + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@contextmanager
def stage(host: str = "", clock=time.monotonic) -> Iterator[Stage]:
    script = Script(world(gateway=WITHOUT_B, served=CUT))
    watcher = Watcher(script, lambda: script.now)
    board = Board(watcher, 60.0, clock)
    port = free()
    with served(f"{host}{port}", board):
        yield Stage(board, watcher, script, f"http://127.0.0.1:{port}")


def test_the_page_is_a_snapshot_without_scripts() -> None:
    with stage() as found:
        assert "The first round is not over yet" in found.get("/")[1]
        assert found.get("/metrics")[0] == 404
        found.rounds(3)
        code, page = found.get("/")
        assert code == 200
        assert "3 rules in sync" in page
        assert "<svg" in page
        found.script.current = world(gateway=WITHOUT_B)
        found.rounds(3)
        page = found.get("/")[1]
        assert "1 of 3 rules lost" in page
        assert "stale-route-cache" in page
        assert "in sync -&gt; lost at stage cache (XA401 stale-route-cache)" in page
        assert 'xdsaudit_rules{verdict="lost"} 1' in found.get("/metrics")[1]


def test_the_latency_of_new_rules_is_shown() -> None:
    from tests.audit.test_attribution import ITEMS

    with stage() as found:
        found.script.current = world(items=ITEMS[:2])
        found.rounds(2)
        assert "How long a new rule takes" not in found.get("/")[1]
        found.script.current = world()
        found.rounds(2)
        page = found.get("/")[1]
        assert "to gateway: 1 rule, half within 0.0 s, 95 % within 0.0 s" in page


def test_each_round_is_an_event() -> None:
    with stage() as found:
        found.rounds(2)
        with urllib.request.urlopen(found.url + "/events", timeout=10) as stream:
            assert stream.headers["Content-Type"] == "text/event-stream"
            first = json.loads(stream.readline().decode().removeprefix("data: "))
            assert "3 rules in sync" in first["html"]
            stream.readline()
            found.script.current = world(gateway=WITHOUT_B)
            found.rounds(3)
            text = ""
            while "1 of 3 rules lost" not in text:
                line = stream.readline().decode()
                text = json.loads(line.removeprefix("data: "))["html"] if line.startswith("data: ") else ""


def test_health_tells_a_watch_that_hangs() -> None:
    now = [0.0]
    with stage(clock=lambda: now[0]) as found:
        found.rounds(1)
        assert found.get("/healthz") == (200, "ok, 1 rounds\n")
        now[0] = 61.0
        code, said = found.get("/healthz")
        assert (code, said) == (503, "no round has ended for 61 s\n")
        found.rounds(1)
        assert found.get("/healthz")[0] == 200


def test_a_local_port_answers_to_local_names_alone() -> None:
    with stage() as found:
        assert found.get("/", Host="evil.test:80")[0] == 403
        assert found.get("/", Host="localhost:1")[0] == 200
    with stage(host="0.0.0.0:") as found:
        assert found.get("/healthz", Host="xdsaudit.higress-system:9464")[0] == 200


def test_it_can_be_read_and_nothing_else() -> None:
    with stage() as found:
        request = urllib.request.Request(found.url + "/", data=b"x", method="POST")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
        assert refused.value.code == 501
        refused.value.close()
        assert found.get("/../etc/passwd")[0] == 404


def test_a_port_in_use_and_places_that_are_none() -> None:
    with stage() as found:
        port = found.url.rpartition(":")[2]
        for place in (port, "nowhere", "1.2.3.4.5:1", "99999"):
            with pytest.raises(InputError, match="--listen"), served(place, found.board):
                pass


def test_the_end_of_the_watch_ends_what_follows() -> None:
    with stage() as found:
        found.rounds(1)
        stream = urllib.request.urlopen(found.url + "/events", timeout=10)
        stream.readline()
    began = time.monotonic()
    stream.read()
    assert time.monotonic() - began < 5
    stream.close()


@pytest.mark.browser
@pytest.mark.skipif(BROWSER is None, reason="no chromium here: apt-get install chromium")
@pytest.mark.parametrize("width", [400, 1600])
def test_a_real_browser_follows(tmp_path: Path, width: int) -> None:
    assert BROWSER is not None
    with stage() as found:
        found.rounds(2)
        found.script.current = world(gateway=WITHOUT_B)

        with browsed(found.url, tmp_path, width) as ask:
            assert until(ask, "document.getElementById('state').textContent", "live")
            assert ask("document.querySelector('h1').textContent") == "3 rules in sync"
            found.rounds(3)
            assert until(ask, "document.querySelector('h1').textContent", "1 of 3 rules lost")
            assert ask("document.documentElement.scrollWidth - innerWidth") <= 0
            standing = ask("document.querySelector('.standing').getBoundingClientRect().width > 0")
            assert standing is (width == 400)
            found.board.close()
            assert until(ask, "document.getElementById('state').className", "bad")


def until(ask: Callable[[str], Any], expression: str, wanted: str) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if ask(expression) == wanted:
            return True
        time.sleep(0.05)
    return False


@contextmanager
def browsed(url: str, folder: Path, width: int) -> Iterator[Callable[[str], Any]]:
    """A page in a real browser, and what evaluates an expression in it (Chrome's DevTools protocol)."""
    import websocket

    assert BROWSER is not None
    profile = folder / "profile"
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-extensions", f"--user-data-dir={profile}",
        "--remote-debugging-port=0", "--remote-allow-origins=*", f"--window-size={width},1000", url,
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            place, deadline = profile / "DevToolsActivePort", time.monotonic() + 60
            while not (place.exists() and place.read_text().count("\n")) and time.monotonic() < deadline:
                time.sleep(0.05)
            port = place.read_text().splitlines()[0]
            pages: list[Any] = []
            while not pages and time.monotonic() < deadline:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=10) as answer:
                    listed = json.load(answer)
                pages = [p for p in listed if p["type"] == "page" and p["url"].startswith(url)]
            socket_ = websocket.create_connection(pages[0]["webSocketDebuggerUrl"], timeout=20)

            def ask(expression: str) -> Any:
                order = {
                    "id": 1,
                    "method": "Runtime.evaluate",
                    "params": {"expression": expression, "returnByValue": True},
                }
                socket_.send(json.dumps(order))
                answer = json.loads(socket_.recv())
                return answer["result"]["result"].get("value")

            try:
                yield ask
            finally:
                socket_.close()
        finally:
            process.terminate()
