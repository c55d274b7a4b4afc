"""What a process that serves does about SIGHUP: nothing, unless the terminal that it was begun at has gone."""

import signal
import sys


def outlive_hangup() -> None:
    """Go on at SIGHUP, which whoever rotates a log sends: there is no file to open anew, and no setting to read.

    What is begun behind this goes on as well. Where stderr is a terminal the signal ends it, as closing that one means.
    """
    if not sys.stderr.isatty():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
