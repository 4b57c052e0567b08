"""Functions the sandbox's tests run in workers: each ends its own way."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from monitor.base.errors import TooLarge

MIB = 1024**2


def add(left: int, right: int) -> int:
    return left + right


def pid() -> int:
    return os.getpid()


def zeros(size: int) -> bytes:
    return bytes(size)


def size(data: bytes) -> int:
    return len(data)


def wait_for(path: Path) -> str:
    while not path.exists():
        time.sleep(0.02)
    return path.read_text()


def touch_and_hang(path: Path) -> None:
    path.write_text(str(os.getpid()))
    hang()


def hang() -> None:
    while True:
        pass


def touch_and_hang_in_c(path: Path) -> None:
    path.write_text(str(os.getpid()))
    ctypes.CDLL(None).pause()  # no Python code runs here: only a signal's default action ends it


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def segfault() -> None:
    ctypes.string_at(0)


def abort() -> None:
    os.abort()


def leave(status: int) -> None:
    os._exit(status)


def sys_exit() -> None:
    sys.exit(3)


def memory_error() -> None:
    bytearray(10 * 1024 * MIB)


def interrupted() -> None:
    raise KeyboardInterrupt


def refused(path: Path) -> None:
    raise TooLarge(path, "it has more pixels than allowed.", "Scale it down")


class UnpicklableError(Exception):
    def __init__(self) -> None:
        super().__init__("holds a lock")
        self.lock = threading.Lock()


class PicksWronglyError(Exception):
    """Pickles, but cannot be read back: its arguments are not those of its constructor."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


class LockedError(TooLarge):
    """A SosieError that cannot be pickled."""

    def __init__(self) -> None:
        super().__init__("clip", "it is locked", "Unlock it")
        self.lock = threading.Lock()


def raise_unpicklable() -> None:
    raise UnpicklableError


def raise_picks_wrongly() -> None:
    raise PicksWronglyError("no", "frame")


def raise_locked() -> None:
    raise LockedError


def raise_escape_codes() -> None:
    raise ValueError("\x1b[2Jgone\nsecond line")


def unpicklable_result() -> Any:
    return lambda: None


class OddAnswer:
    """Pickles, and cannot be read back."""

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("not a number",)


def answer_oddly() -> OddAnswer:
    return OddAnswer()


def real_time_signal() -> None:
    os.kill(os.getpid(), signal.SIGRTMIN + 3)


def imported(names: list[str]) -> list[str]:
    return [name for name in names if name in sys.modules]


def main_file() -> str | None:
    return getattr(sys.modules.get("__mp_main__", sys.modules["__main__"]), "__file__", None)


def surroundings() -> dict[str, Any]:
    print("a decoder's chatter")
    return {
        "stdin": sys.stdin.read(),
        "fd0": os.read(0, 10),
        "omp": os.environ.get("OMP_NUM_THREADS"),
        "settings": [name for name in os.environ if name.startswith("SOSIE_")],
        "memory": resource.getrlimit(resource.RLIMIT_AS)[1],
        "core": resource.getrlimit(resource.RLIMIT_CORE)[1],
        "files": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        "file_bytes": resource.getrlimit(resource.RLIMIT_FSIZE)[1],
        "cpu": resource.getrlimit(resource.RLIMIT_CPU)[0],
    }


def library_threads() -> tuple[int, int]:
    import cv2
    import torch

    return cv2.getNumThreads(), torch.get_num_threads()


def connect(port: int) -> str:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError as error:
        return type(error).__name__
    return "connected"


def burn_cpu_without_a_parent_to_kill_it(seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
    hang()
