"""What a local worker of a cluster loads first: Ctrl-C is for who started it."""

import signal


def dask_setup(_: object) -> None:
    """Ignore Ctrl-C; Dask calls this in each worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
