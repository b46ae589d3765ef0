"""The signals that ask a process to stop."""

from __future__ import annotations

import signal


def stop_signals() -> tuple[signal.Signals, ...]:
    """Returns SIGTERM, SIGINT and SIGHUP, which a closed terminal sends.

    A process that was started to outlive its terminal (`nohup`) ignores SIGHUP, and goes on to.
    """
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return signal.SIGTERM, signal.SIGINT
    return signal.SIGTERM, signal.SIGINT, signal.SIGHUP
