"""Run the simulated feed in the foreground, for the command line."""

import signal
import sys
from contextlib import suppress
from queue import Empty, SimpleQueue

from miso_archive.simulate.faults import parse_faults
from miso_archive.simulate.server import SimulatedFeed


def run(port: int, speed: float, faults: str, seed: int) -> int:
    """Serve the simulated feed on 127.0.0.1 until SIGINT or SIGTERM, from the main thread.

    Args:
        port: the port to listen on; 0 takes a free one, which the line on standard error names.
        speed: simulated seconds per real second; 0 serves one interval for ever.
        faults: `name=rate` items separated by commas, as `parse_faults` reads them.
        seed: names the simulated market and the sequence of faults.

    Returns:
        The exit code 0.

    Raises:
        ValueError: `faults` or `speed` is mistaken.
        OSError: the port cannot be listened on.
    """
    signals: SimpleQueue[int] = SimpleQueue()  # unlike an Event, safe to use from a signal handler
    with SimulatedFeed(port=port, speed=speed, faults=parse_faults(faults), seed=seed) as feed:
        previous = {
            number: signal.signal(number, lambda received, _: signals.put(received))
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            print(f"simulated feed (seed {seed}): {feed.url}", file=sys.stderr, flush=True)  # noqa: T201 - its output
            # A signal that comes just as a wait begins is handled when it ends.
            while True:
                with suppress(Empty):
                    signals.get(timeout=1.0)
                    break
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
    return 0
