"""The process and its surroundings: closed and full streams, encodings, bad arguments, signals, bugs and what they show."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import worlds
from xdsaudit import errors
from xdsaudit.cli.main import run
from xdsaudit.testing import ControlPlane, ingress, ingress_list

pytestmark = pytest.mark.slow

ITEMS = [ingress("a", "foo.test", "/a")]
MAIN = "from xdsaudit.cli.main import main; main()"


def shell(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command line as ``X`` in a shell's line."""
    function = f'X() {{ "{sys.executable}" -c "{MAIN}" "$@"; }}; {script}'
    return subprocess.run(
        ["bash", "-c", function, "bash", *arguments],
        check=False,
        capture_output=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


@pytest.fixture
def manifest(tmp_path: Path) -> str:
    place = tmp_path / "i.json"
    place.write_bytes(ingress_list(ITEMS))
    return str(place)


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ('X check -f "$1" 2>&-', 0, b""),
        ('X check -f "$1" >&-', 2, b"standard output: it is closed"),
        ('X check -f "$1" > /dev/full', 2, b"standard output: No space left on device"),
        ("X check -f - <&-", 2, b"standard input is closed"),
        ('X check -f "$1" 0<&- 1>&- 2>&-', 2, b""),
        ('PYTHONIOENCODING=latin-1 X check -f "$1" -o html', 0, b""),
        ('PYTHONIOENCODING=latin-1 X check -f "$1" -o wide', 0, b""),
    ],
)
def test_streams_that_are_closed_full_or_narrow(manifest: str, script: str, code: int, said: bytes) -> None:
    done = shell(script, manifest)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    if "html" in script:
        done.stdout.decode("utf-8")


LONG = "/" + "a/" * 3000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--gateway", "http://[::1"], "--gateway"),
        (["--gateway", "http://user:CANARY@h:1"], "user or password"),
        (["--gateway", "ftp://h:1"], "is not an http:// URL"),
        (["--ads", "127.0.0.1:²"], "write HOST:PORT"),
        (["--ads", "http://127.0.0.1:15010"], "without http://"),
        (["--ads", "http://user:CANARY@127.0.0.1:15010"], "without http://"),
        (["--ads", "::1:15010"], "[::1]:15010"),
        (["--core", "127.0.0.1:"], "write HOST:PORT"),
        (["--ads", "127.0.0.1:1", "--ads-debug", "127.0.0.1:15014"], "is not an http:// URL"),
        (["--ads", "127.0.0.1:1", "--ads-tls", "--cert", "c.pem"], "--key"),
        (["--ads", "127.0.0.1:1", "--ads-tls", "--key", "k.pem"], "--cert"),
        (["--ads", "127.0.0.1:1", "--max-bytes", "many"], "is not a size"),
        (["--ads", "127.0.0.1:1", "--max-bytes", "0"], "is not a size"),
        (["-f", LONG], "File name too long"),
        (["--snapshot", LONG], "File name too long"),
        (["--ads", "127.0.0.1:1", "--ads-tls", "--token-file", LONG], "File name too long"),
        (["--kubeconfig", "/nowhere/config"], "No such file"),
    ],
)
def test_bad_arguments_are_2_and_repeat_no_secret(capsys, manifest: str, arguments: list[str], said: str) -> None:
    given = [] if {"-f", "--snapshot", "--kubeconfig"} & {*arguments} else ["-f", manifest]
    assert run(["diff", *given, *arguments]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "CANARY" not in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe\x00", "does not contain a token"),
        (b"two\nlines\n", "does not contain a token"),
        (b"", "does not contain a token"),
    ],
)
def test_a_token_file_that_holds_none(capsys, manifest: str, tmp_path: Path, content: bytes, said: str) -> None:
    place = tmp_path / "token"
    place.write_bytes(content)
    arguments = ["diff", "-f", manifest, "--ads", "127.0.0.1:1", "--ads-tls", "--token-file", str(place)]
    assert run(arguments) == 2
    assert said in capsys.readouterr().err


def test_keys_that_are_none_never_reach_grpc(manifest: str, tmp_path: Path) -> None:
    """gRPC would write lines of its own, or abort."""
    bad = tmp_path / "bad.pem"
    bad.write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    for options in (f"--ca {bad}", f"--cert {bad} --key {bad}"):
        done = shell(f'X diff -f "$1" --ads 127.0.0.1:1 --ads-tls {options} --timeout 1', manifest)
        assert done.returncode == 2
        assert done.stderr.count(b"\n") == 1, done.stderr


CONFIG = """
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: SERVER}}]
users: [{name: u, user: {token: "TOKEN"}}]
"""


@pytest.mark.parametrize(
    ("server", "token", "code", "said"),
    [
        ("http://127.0.0.1:1", "CANARY\\n", 3, "cannot be reached"),
        ("http://127.0.0.1:1", "CAN\\nARY", 2, "its token contains invalid characters"),
        ("http://127.0.0.1:1", "CANARYé", 2, "its token contains invalid characters"),
        ("http://u:CANARY@127.0.0.1:1", "t", 3, "http://127.0.0.1:1"),
        ("5", "t", 2, "cannot be read"),
        ("'http://[::1'", "t", 2, "cannot be read"),
        ("ftp://127.0.0.1", "t", 2, "its server is not a valid URL"),
        ("[1, 2]", "t", 2, "kubeconfig"),
    ],
)
def test_kubeconfigs(capsys, tmp_path: Path, server: str, token: str, code: int, said: str) -> None:
    place = tmp_path / "config"
    place.write_text(CONFIG.replace("SERVER", server).replace("TOKEN", token))
    assert run(["diff", "--kubeconfig", str(place), "--timeout", "1"]) == code
    err = capsys.readouterr().err
    assert said in err
    assert "CANARY" not in err
    assert "CAN" not in err.replace("CANNOT", "")


def test_a_bug_names_its_place_and_hides_what_was_read(capsys, monkeypatch, manifest: str) -> None:
    monkeypatch.delenv("XDSAUDIT_DEBUG", raising=False)

    def broken(*_: object) -> None:
        int("CANARY")

    monkeypatch.setattr("xdsaudit.collect.connect.opened", broken)
    assert run(["diff", "-f", manifest, "--ads", "127.0.0.1:1"]) == 70
    err = capsys.readouterr().err
    assert "ValueError at xdsaudit.collect.connect:" in err
    assert "in snapshot_of" in err
    assert "report" in err
    assert "CANARY" not in err


def test_place_and_text_of_an_exception() -> None:
    from xdsaudit.xds.plain import digest

    with pytest.raises(TypeError) as caught:
        digest(5)  # type: ignore[arg-type]
    said = errors.outline(caught.value)
    assert said.startswith("TypeError: ")
    assert " at xdsaudit.xds.plain:" in said
    assert errors.outline(IndexError("list index out of range")) == "IndexError: list index out of range"


def test_escapes_of_a_server_do_not_reach_the_terminal(capsys, manifest: str) -> None:
    assert run(["diff", "-f", manifest, "--ads", "\x1b[31m\u202e:15010"]) == 2
    assert run(["diff", "--\x1b[31m"]) == 2
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert "\u202e" not in err


def started(*arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*prefix, sys.executable, "-c", MAIN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def ended(process: subprocess.Popen[bytes], how: int) -> bytes:
    try:
        process.send_signal(how)
        return process.communicate(timeout=10)[1]
    finally:
        process.kill()
        process.wait(5)


@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_end_a_watch_with_its_last_state(manifest: str, tmp_path: Path, how: int, code: int) -> None:
    metrics = tmp_path / "metrics.prom"
    with ControlPlane.of(worlds.world(ITEMS, fresh=worlds.expectation(ITEMS).tables)) as plane:
        process = started("watch", "-f", manifest, "--ads", plane.endpoint, "--textfile", str(metrics))
        deadline = time.monotonic() + 20
        while not metrics.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        err = ended(process, how)
    assert process.returncode == code
    assert b"ended after" in err
    assert b"Traceback" not in err
    assert not metrics.with_name("metrics.prom.part").exists()


def test_sigterm_as_process_1(manifest: str) -> None:
    prefix = ("unshare", "-r", "--fork", "--pid", "--kill-child", "--mount-proc")
    try:
        able = subprocess.run([*prefix, "true"], check=False, capture_output=True, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        able = False
    if not able:
        pytest.skip("no user namespaces here: unshare -r --pid is refused")
    with ControlPlane.of(worlds.world(ITEMS, fresh=worlds.expectation(ITEMS).tables)) as plane:
        process = started("watch", "-f", manifest, "--ads", plane.endpoint, prefix=prefix)
        try:
            time.sleep(2)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            os.kill(int(children[0]), signal.SIGTERM)
            process.communicate(timeout=10)
        finally:
            process.kill()
            process.wait(5)
    assert process.returncode == 143


def test_sigterm_ends_the_command_of_apply(manifest: str, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    script = tmp_path / "slow.py"
    script.write_text(f"import os, time; open({str(told)!r}, 'w').write(str(os.getpid())); time.sleep(60)")
    with ControlPlane.of(worlds.world(ITEMS, fresh=worlds.expectation(ITEMS).tables)) as plane:
        process = started("wait", "-f", manifest, "--ads", plane.endpoint, "--apply", f"{sys.executable} {script}")
        deadline = time.monotonic() + 20
        while not (told.exists() and told.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        ended(process, signal.SIGTERM)
    assert process.returncode == 143
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)


def test_a_report_is_written_whole_or_not_at_all(capsys, manifest: str, tmp_path: Path) -> None:
    from xdsaudit.cli.output import write_whole

    place = tmp_path / "report"
    write_whole(place, "one \udc80")
    assert place.read_bytes() == b"one \\udc80"
    link = tmp_path / "link"
    link.symlink_to(place)
    write_whole(link, "two")
    assert (link.is_symlink(), place.read_text()) == (True, "two")
    assert run(["check", "-f", manifest, "--report", f"json={tmp_path / 'no' / 'such'}"]) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["i.json", "link", "report"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc")
def test_a_process_that_goes_on_gives_large_buffers_back_whatever_it_has_freed_before() -> None:
    """A dump is written each second, by one thread after the other: kept in their heaps, it doubled the memory of watch in minutes."""
    script = """
import ctypes, sys
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]
mallinfo = getattr(ctypes.CDLL(None), "mallinfo2", None)
if mallinfo is None:
    sys.exit("77")
mallinfo.restype = Info
if sys.argv[1] == "lasting":
    from xdsaudit.cli.process import lasting
    lasting()
bytes(20_000_000)  # glibc learns from what is freed
before = mallinfo().hblkhd
held = bytes(20_000_000)
print(mallinfo().hblkhd - before)
"""

    def mapped(how: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", script, how], capture_output=True, text=True, check=False, timeout=60
        )
        if done.stderr.strip() == "77":
            pytest.skip("another C library than glibc, or an older one")
        return int(done.stdout)

    assert mapped("plain") < 1_000_000  # without it there is something to mend
    assert mapped("lasting") >= 20_000_000
