"""Ctrl-C, wherever in the program it falls."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_LATER = 0.05  # seconds, in which the finaliser comes to its end


@contextmanager
def interrupts_come_through() -> Iterator[None]:
    """Meanwhile an interrupt that falls into an object's finaliser comes again.

    Python drops what is raised there, so that the program would go on as if nobody had asked it to
    end. It happens: imports create and finalise thousands of objects.
    """
    usual, coming = sys.unraisablehook, []

    def hook(dropped: Any) -> None:
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            usual(dropped)
            return
        again = threading.Timer(_LATER, _interrupt)
        again.daemon = True
        again.start()
        coming.append(again)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = usual
        for again in coming:
            again.cancel()


def _interrupt() -> None:
    if os.name == "posix":
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)  # which wakes it if it waits
    else:
        signal.raise_signal(signal.SIGINT)
