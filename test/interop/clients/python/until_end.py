"""Told to stop by the end of stdin."""

import sys
import threading

stopped = threading.Event()


def watch() -> None:
    def read() -> None:
        while sys.stdin.read(1):
            pass
        stopped.set()

    threading.Thread(target=read, daemon=True).start()


def say(*words) -> None:
    print(*words, flush=True)
