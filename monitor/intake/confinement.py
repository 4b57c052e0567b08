"""What a decoding worker may do, enforced by the kernel before it sees the first untrusted byte.

Runs inside the worker. Each limit is set for good; only the CPU limit moves on, task by task.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import multiprocessing
import os
import resource
import signal
import sys
import time
from pathlib import Path

MAX_OPEN_FILES = 256
MAX_FILE_BYTES = 64 * 1024**2
CPU_SLACK_S = 5
"""CPU time beyond the wall-clock limit: the kernel's own end for a worker whose parent is too stuck to kill it."""

_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


def confine(memory_bytes: int) -> bool:
    """Confine this process for the rest of its life; true when it has no network.

    One thread per numeric library, `memory_bytes` of address space, few and small files, no core dump, no
    input, no settings (they hold the database's password), death with the parent's thread, first choice of
    the out-of-memory killer. Call it before anything heavy is imported and while there is one thread.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # at once, also in the middle of a C library's loop
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    for name in [name for name in os.environ if name.startswith("SOSIE_")]:
        del os.environ[name]
    sys.dont_write_bytecode = True
    _close_standard_streams()
    network_isolated = sys.platform == "linux" and _bind_to_parent_and_leave_network()
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, MAX_OPEN_FILES)
    _limit(resource.RLIMIT_FSIZE, MAX_FILE_BYTES)
    _limit(resource.RLIMIT_AS, memory_bytes)
    return network_isolated


def allow_cpu(seconds: float) -> None:
    """Let this process use `seconds` more CPU time, and a little slack, before SIGXCPU ends it."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = math.ceil(time.process_time() + seconds) + CPU_SLACK_S
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _close_standard_streams() -> None:
    """Make input read as empty and let output vanish: what a decoder prints must not mix with `--json` on the real output."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)


def _bind_to_parent_and_leave_network() -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    parent = multiprocessing.parent_process()
    if parent is None or os.getppid() != parent.pid:  # it died before the line above
        os._exit(1)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    if libc.unshare(_CLONE_NEWNET) == 0:  # root
        return True
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    with contextlib.suppress(OSError):  # an unmapped user cannot create files, nothing else
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    return True
