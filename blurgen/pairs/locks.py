"""Locks on open files, where the file system has them."""

from __future__ import annotations

import errno
import fcntl
from enum import Enum, auto

_ABSENT = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}


class Lock(Enum):
    """What became of asking for a lock."""

    HELD = auto()
    TAKEN = auto()  # another process has it
    ABSENT = auto()  # the file system knows no locks


def lock(file: int, *, shared: bool = False) -> Lock:
    """Ask for a lock on an open file, alone or together with others that share it, until the file is closed.

    A lock that is held already is exchanged for the one that is asked for.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return Lock.TAKEN
    except OSError as error:
        if error.errno in _ABSENT:
            return Lock.ABSENT
        raise
    return Lock.HELD
