"""A process that obeys no signal that it may ignore: ``python -m tests.stubborn``.

It starts another one in a session of its own, and prints its number. With ``--obedient`` it is only that one that
does not obey.
"""

from __future__ import annotations

import signal
import subprocess
import sys


def main() -> None:
    """Ignore signals, start the other one, and wait for ever."""
    if "--obedient" not in sys.argv:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
    if "--alone" not in sys.argv:
        command = [sys.executable, "-m", "tests.stubborn", "--alone"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as child:
            assert child.stdout is not None
            child.stdout.readline()
            sys.stdout.write(f"{child.pid}\n")
            sys.stdout.flush()
            signal.pause()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    main()
