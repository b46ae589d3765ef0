"""The limit of open files and connections of a process."""

from __future__ import annotations

import resource
from typing import Final

_MOST: Final = 1 << 20
"""Linux accepts no more by default, and some libraries keep a table of this size."""


def raise_descriptor_limit() -> int:
    """Raises the soft limit of descriptors to the hard one; call it before threads are started.

    Sessions of Linux usually start with a soft limit of 1,024, for programs that call `select`.

    Returns:
        The limit afterwards.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # a system with a lower limit than it states
            return soft
        return wanted
    return soft
