"""Untrusted bytes are decoded and parsed here, in processes that can be killed.

`Sandbox.run(function, ...)` calls a top-level function in a spawned worker that is confined by
`monitor.intake.confinement`. What can go wrong, and what the caller gets:

- the function raises a SosieError                      that error, unchanged
- it raises anything else, or answers what cannot be pickled    UnreadableMedia
- it needs more than `memory_bytes` (MemoryError)       DecoderDied, with the limit
- the worker dies: signal, exit, abort in a C library   DecoderDied, with the signal
- it is not done in time                                DecoderTimeout; the worker is killed
- no worker starts, or the sandbox is closed meanwhile  SandboxUnavailable (transient)

Each worker has a pebble pool to itself: the workers of one pool share a pipe and its locks, and one that
is killed while it holds them would take its neighbours along. For the same reason a pool that lost its
worker is replaced, not mended.

The sandbox holds crashes, hangs, greed and network access. It does not hold a decoder that an attacker
has taken over completely: results come back as pickles.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing.context
import pickle
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import Any, Literal, Self, TypeVar, cast

from pebble import ProcessExpired, ProcessPool

from monitor.base.errors import DecoderDied, DecoderTimeout, SandboxUnavailable, SosieError, UnreadableMedia
from monitor.intake.confinement import allow_cpu, confine

TASKS_PER_WORKER = 100
"""A worker is replaced after so many tasks, so that what a decoder leaks does not add up."""

START_GRACE_S = 30.0
"""What a worker may take to start, on a busy machine, before its task counts as hung."""

_MIB = 1024**2
_PICKLE_PROTOCOL = 5
_log = logging.getLogger(__name__)
_spawning = threading.Lock()

R = TypeVar("R")


class Sandbox:
    """A fixed number of killable workers. Thread-safe; workers start with the first task.

    `memory_bytes` is the address space of one worker, `timeout_s` the wall clock of one task. Use as a
    context manager, or call `close`.
    """

    def __init__(self, workers: int, memory_bytes: int, timeout_s: float) -> None:
        self._memory_bytes = memory_bytes
        self._timeout_s = timeout_s
        self._slots = tuple(_Slot() for _ in range(workers))
        self._idle: queue.LifoQueue[_Slot] = queue.LifoQueue()
        for slot in self._slots:
            self._idle.put(slot)
        # Workers are started in this thread alone: the kernel ends a worker with the thread that started it,
        # and the caller's thread may be short-lived.
        self._keeper = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sosie-sandbox")
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._network_isolated: bool | None = None

    @property
    def network_isolated(self) -> bool | None:
        """Whether workers are cut off from the network; None until the first has answered."""
        return self._network_isolated

    def run(self, function: Callable[..., R], *args: Any, source: str, timeout_s: float | None = None) -> R:
        """Call `function(*args)` in a worker and return its result; blocks while all workers are busy.

        `function` is importable by name, arguments and result can be pickled. `source` names the input in
        errors. A task whose worker died before taking it is given to a second one; otherwise it runs once.
        Raises what the module's table says.
        """
        if function.__module__ == "__main__":
            raise TypeError(f"{function.__qualname__} stands in __main__, which workers do not import; move it to a module")
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        call = pickle.dumps((function, args), protocol=_PICKLE_PROTOCOL)
        slot = self._idle.get()
        try:
            reply = self._reply(slot, call, limit_s, source)
        finally:
            self._idle.put(slot)
        self._note_isolation(reply.network_isolated)
        return cast(R, self._open(reply, source))

    def close(self) -> None:
        """Kill every worker; tasks in flight end as SandboxUnavailable. Idempotent, and done in a few seconds."""
        if not self._closed.is_set():
            self._closed.set()
            self._keeper.submit(self._stop).result()  # after the last task it scheduled; it refuses later ones
        self._keeper.shutdown(wait=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _reply(self, slot: _Slot, call: bytes, limit_s: float, source: str) -> _Reply:
        for _ in range(2):
            try:
                future = self._keeper.submit(self._schedule, slot, call, limit_s).result()
                reply = future.result(limit_s + START_GRACE_S)
            except (ProcessExpired, TimeoutError, CancelledError, RuntimeError) as error:
                self._discard(slot)
                if self._closed.is_set():
                    raise SandboxUnavailable(source, "Sosie is stopping; the work was given up unfinished", "Scan it again") from None
                if isinstance(error, ProcessExpired):
                    raise self._died(error.exitcode, source) from None
                if isinstance(error, TimeoutError):
                    raise _timed_out(source, limit_s) from None
                # Else pebble's pool is broken: the worker died before it took the task.
            except BaseException:
                self._discard(slot)
                raise
            else:
                slot.tasks += 1
                if slot.tasks >= TASKS_PER_WORKER:
                    self._discard(slot)
                return reply
        raise SandboxUnavailable(
            source,
            "two decoding workers in a row died before they took the file",
            "Check the machine's memory and process limits; the lines above in the log say what the workers met",
        )

    def _schedule(self, slot: _Slot, call: bytes, limit_s: float) -> Future[_Reply]:
        """Hand the call to the slot's worker, starting one where there is none. Runs in the keeper thread."""
        if self._closed.is_set():
            raise RuntimeError("closed")
        if slot.pool is None:
            slot.pool = ProcessPool(max_workers=1, initializer=_start_worker, initargs=(self._memory_bytes,), context=_Context())
            slot.tasks = 0
        slot.future = slot.pool.schedule(_answer, args=(call, limit_s), timeout=limit_s)
        return slot.future

    def _stop(self) -> None:
        for slot in self._slots:
            if (future := slot.future) is not None:
                future.cancel()
            self._discard(slot)

    def _discard(self, slot: _Slot) -> None:
        with self._lock:
            pool, slot.pool, slot.future = slot.pool, None, None
        if pool is not None:
            pool.stop()
            pool.join()

    def _note_isolation(self, isolated: bool) -> None:
        with self._lock:
            first, self._network_isolated = self._network_isolated is None, isolated
        if first and not isolated:
            _log.warning("decoding workers are not cut off from the network: this platform or container does not let them leave it")

    def _open(self, reply: _Reply, source: str) -> object:
        if reply.outcome == "memory":
            raise DecoderDied(source, f"its decoder needed more than {self._memory_bytes // _MIB} MiB of memory", _RAISE_MEMORY)
        if reply.outcome == "fault":
            problem = f"it cannot be decoded ({reply.text})"
            error = UnreadableMedia(source, problem, "Check that it plays; if it does, report it with this message")
            error.add_note(reply.trace)
            raise error
        try:
            value = pickle.loads(reply.pickled)  # noqa: S301 - from our own worker, over its own pipe
        except Exception as error:
            raise UnreadableMedia(source, f"its decoder's answer cannot be read ({type(error).__name__})", "Report it") from error
        if reply.outcome == "error":
            raise value
        return value

    def _died(self, exit_code: int, source: str) -> DecoderDied:
        if exit_code == _LEFT:
            return DecoderDied(source, "its decoder ended the worker process", "Treat the file as damaged or hostile")
        if exit_code >= 0:
            return DecoderDied(source, f"its worker ended with status {exit_code}{self._may_be_memory}", _RAISE_MEMORY)
        name = _SIGNAL_NAMES.get(-exit_code, f"signal {-exit_code}")
        if name == "SIGXCPU":
            return DecoderDied(source, "its decoder passed the CPU limit (SIGXCPU)", "If the file is genuine, raise SOSIE_DECODE_TIMEOUT_S")
        return DecoderDied(source, f"its worker was ended by {name}{self._may_be_memory}", _RAISE_MEMORY)

    @property
    def _may_be_memory(self) -> str:
        return f", as may happen when more than its {self._memory_bytes // _MIB} MiB of memory are needed"


def _timed_out(source: str, limit_s: float) -> DecoderTimeout:
    return DecoderTimeout(
        source,
        f"it was not decoded within {limit_s:g} s, and its worker was killed",
        "If the file is genuine, raise SOSIE_DECODE_TIMEOUT_S; otherwise treat it as damaged or hostile",
    )


_SIGNAL_NAMES = {member.value: member.name for member in signal.Signals}
_RAISE_MEMORY = "If the file is genuine, raise SOSIE_DECODE_MEMORY_BYTES; otherwise treat it as damaged or hostile"
_LEFT = 1000
"""No exit status of the kernel's: the worker ended by itself with status 0."""


@dataclass(slots=True)
class _Slot:
    """A place for one worker at a time, with its pool and its task."""

    pool: Any = None  # a pebble.ProcessPool
    future: Future[_Reply] | None = None
    tasks: int = 0


@dataclass(frozen=True, slots=True)
class _Reply:
    """A worker's reply: only bytes and text, so that pebble can always carry it."""

    outcome: Literal["result", "error", "fault", "memory"]
    network_isolated: bool
    pickled: bytes = b""
    text: str = ""
    trace: str = ""


class _Worker(multiprocessing.context.SpawnProcess):
    """A spawned process that leaves the parent's main module alone, and never ends as planned."""

    def start(self) -> None:
        """Start the process without importing `__main__`, which may be a whole command line, or a script with no guard.

        Its imports would also come before the limits and the thread counts are set.
        """
        with _spawning:
            main = sys.modules["__main__"]
            sys.modules["__main__"] = ModuleType("__main__")
            try:
                super().start()
            finally:
                sys.modules["__main__"] = main

    @property
    def exitcode(self) -> int | None:
        """The status at exit, with `_LEFT` for 0, which pebble would take for a planned end and let the task wait."""
        code = super().exitcode
        return _LEFT if code == 0 else code


class _Context(multiprocessing.context.SpawnContext):
    Process = _Worker


_isolated = False
"""In a worker: whether it has no network."""


def _start_worker(memory_bytes: int) -> None:
    global _isolated
    _isolated = confine(memory_bytes)


def _answer(call: bytes, limit_s: float) -> _Reply:
    """Run one pickled call in this worker. Raises nothing."""
    try:
        allow_cpu(limit_s)
        function, args = pickle.loads(call)  # noqa: S301 - from our own parent
        return _Reply("result", _isolated, pickled=pickle.dumps(function(*args), protocol=_PICKLE_PROTOCOL))
    except MemoryError:
        return _Reply("memory", _isolated)
    except BaseException as error:  # noqa: BLE001 - also SystemExit: the worker goes on, its task has failed
        return _failure(error)


def _failure(error: BaseException) -> _Reply:
    if isinstance(error, SosieError):
        with contextlib.suppress(Exception):
            pickled = pickle.dumps(error, protocol=_PICKLE_PROTOCOL)
            pickle.loads(pickled)  # noqa: S301 - what cannot be read back must not reach the parent
            return _Reply("error", _isolated, pickled=pickled)
    first_line = (str(error).splitlines() or [""])[0][:200]
    text = f"{type(error).__name__}: {''.join(c if c.isprintable() else '?' for c in first_line)}".rstrip(": ")
    return _Reply("fault", _isolated, text=text, trace=traceback.format_exc())
