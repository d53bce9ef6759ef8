"""``make fuzz``: damages every decoder's seeds until the time or the number is used up, and prints what was not declared.

    python -m tests.fuzz [--seconds S] [--executions N] [--seed N] [--target NAME]

Exit code 1 when a decoder raised what it does not declare, or took longer than five seconds; each is printed once with the seed that
finds it again.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from tests.fuzz.targets import TARGETS, Target
from xdsaudit.errors import XdsauditError, place_of

SLOW_SECONDS = 5.0


class Fault(NamedTuple):
    """What a decoder raised that it does not declare."""

    target: str
    kind: str
    place: str
    text: str
    seed: int


def executed(target: Target, seeds: list[bytes], seed: int) -> Fault | None:
    """One execution: the seed decides which bytes are damaged and how."""
    draw = random.Random(seed)
    data = target.damage(draw.choice(seeds), draw)
    begun = time.monotonic()
    try:
        target.run(data)
    except XdsauditError:
        pass
    except Exception as error:
        return Fault(target.name, type(error).__name__, place_of(error), str(error)[:100], seed)
    took = time.monotonic() - begun
    return Fault(target.name, "slow", "", f"{took:.1f} s", seed) if took > SLOW_SECONDS else None


def fuzzed(
    targets: tuple[Target, ...], *, seconds: float, executions: int, seed: int
) -> Iterator[tuple[str, int, list[Fault]]]:
    """Each target's name, how often it was run and its distinct faults; time and executions are shared out evenly."""
    for target in targets:
        seeds = target.seeds()
        faults: dict[tuple[str, str], Fault] = {}
        ends = time.monotonic() + seconds / len(targets)
        count = 0
        while count < executions / len(targets) and time.monotonic() < ends:
            found = executed(target, seeds, seed + count)
            count += 1
            if found is not None:
                faults.setdefault((found.kind, found.place), found)
        yield target.name, count, list(faults.values())


def main() -> int:
    """Run, print, and say whether there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--executions", type=int, default=10**9)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--target", action="append", choices=[t.name for t in TARGETS])
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**9)
    chosen = tuple(t for t in TARGETS if given.target is None or t.name in given.target)
    total: Counter[str] = Counter()
    faulty = False
    for name, count, faults in fuzzed(chosen, seconds=given.seconds, executions=given.executions, seed=seed):
        total[name] = count
        print(f"{name:<14} {count:>9,} executions, {len(faults)} faults", flush=True)
        for fault in faults:
            faulty = True
            print(f"  {fault.kind} at {fault.place}: {fault.text!r} (--target {name} --seed {fault.seed})", flush=True)
    print(f"{'all':<14} {sum(total.values()):>9,} executions, seed {seed}")
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
