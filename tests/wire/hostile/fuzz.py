"""Random damage to everything that reads a peer's bytes: `tools/fuzz --inputs N --seed S`.

Input number `n` of a target and a seed is always the same, so that a finding is (target, seed, n); it is printed with
the command that runs it again. What must hold for an input is said in `loops` and `decoders`.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import time
from collections.abc import Awaitable, Callable

import trio

from tests.wire.hostile import decoders, loops
from tests.wire.hostile.loops import Finding

# Each with its share of the inputs.
TARGETS: dict[str, tuple[Callable[[random.Random], Awaitable[None]], float]] = {
    "http1": (loops.http1, 0.35),
    "http2": (loops.http2, 0.35),
    "header-block": (decoders.header_block, 0.1),
    "body": (decoders.body, 0.08),
    "patch": (decoders.patch, 0.05),
    "query": (decoders.query, 0.05),
    "tls": (decoders.tls, 0.02),
}
SHOW_EVERY_S = 30.0


class ErrorRecorder(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(logging.Formatter().format(record))


async def fuzz(target: str, seed: int, numbers: range, *, show: bool = False) -> tuple[float, int]:
    """Runs the inputs `numbers` of a seed; the slowest's seconds and its number. Raises Finding."""
    run, _ = TARGETS[target]
    errors = ErrorRecorder()
    logging.getLogger("ledger").addHandler(errors)
    slowest = (0.0, numbers.start)
    begun = shown = time.monotonic()
    try:
        for number in numbers:
            at = time.monotonic()
            try:
                await run(random.Random(f"{target} {seed} {number}"))
                if errors.records:
                    raise Finding("logged as an error:\n" + "\n".join(errors.records))
            except Exception as error:
                again = f"tools/fuzz --target {target} --seed {seed} --first {number} --inputs 1"
                said = error if isinstance(error, Finding) else repr(error)
                raise Finding(f"{said}\nagain: {again}") from error
            slowest = max(slowest, (time.monotonic() - at, number))
            if show and time.monotonic() - shown > SHOW_EVERY_S:
                shown = time.monotonic()
                done = number - numbers.start + 1
                print(f"{target}: {done} inputs, {done / (shown - begun):.0f}/s", file=sys.stderr)
    finally:
        logging.getLogger("ledger").removeHandler(errors)
    return slowest


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="tools/fuzz", description="Feeds damaged input to all that reads a peer's bytes."
    )
    parser.add_argument("--seed", type=int, default=None, help="default: from the clock")
    parser.add_argument("--first", type=int, default=0, help="number of each target's first input")
    parser.add_argument("--inputs", type=int, default=100_000, help="inputs in total")
    parser.add_argument("--target", choices=(*TARGETS, "all"), default="all")
    given = parser.parse_args()
    seed = int(time.time()) if given.seed is None else given.seed
    shares = TARGETS if given.target == "all" else {given.target: (None, 1.0)}
    print(f"seed {seed}, {given.inputs} inputs", flush=True)
    for target, (_, share) in shares.items():
        count = max(1, round(given.inputs * share))
        try:
            taken, slowest = trio.run(lambda: fuzz(target, seed, range(given.first, given.first + count), show=True))  # noqa: B023
        except Finding as finding:
            sys.exit(f"found in {target}: {finding}")
        print(
            f"{target}: {count} inputs, nothing found; the slowest, {slowest}, took {taken * 1000:.0f} ms", flush=True
        )


if __name__ == "__main__":
    main()
