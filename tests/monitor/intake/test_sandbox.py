"""The sandbox's table of ends: each costs its own task, is named rightly, and leaves the workers usable."""

from __future__ import annotations

import logging
import os
import random
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from monitor.base.errors import DecoderDied, DecoderTimeout, SandboxUnavailable, SosieError, TooLarge, UnreadableMedia
from monitor.intake import sandbox as sandbox_module
from monitor.intake.sandbox import Sandbox
from tests.monitor.intake import tasks

MEMORY_BYTES = 512 * tasks.MIB


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=2, memory_bytes=MEMORY_BYTES, timeout_s=20) as shared:
        yield shared


def workers_of(pid: int | None = None) -> list[psutil.Process]:
    """The worker processes below a process; multiprocessing's resource tracker is none."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        try:
            if "spawn_main" in " ".join(child.cmdline()) and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def test_a_result_comes_back(sandbox: Sandbox) -> None:
    assert sandbox.run(tasks.add, 2, 3, source="clip.mp4") == 5


def test_a_large_argument_and_a_large_result_come_back(sandbox: Sandbox) -> None:
    assert len(sandbox.run(tasks.zeros, 64 * tasks.MIB, source="clip.mp4")) == 64 * tasks.MIB
    assert sandbox.run(tasks.size, bytes(64 * tasks.MIB), source="clip.mp4") == 64 * tasks.MIB


def test_a_sosie_error_comes_back_unchanged(sandbox: Sandbox) -> None:
    with pytest.raises(TooLarge) as caught:
        sandbox.run(tasks.refused, Path("clip.mp4"), source="other name")
    assert str(caught.value) == "clip.mp4: it has more pixels than allowed. Scale it down."
    assert (caught.value.thing, caught.value.reason) == ("clip.mp4", "it has more pixels than allowed")


ENDS: list[tuple[Callable[..., Any], tuple[Any, ...], type[SosieError], str]] = [
    (tasks.killed, (), DecoderDied, "SIGKILL"),
    (tasks.segfault, (), DecoderDied, "SIGSEGV"),
    (tasks.abort, (), DecoderDied, "SIGABRT"),
    (tasks.real_time_signal, (), DecoderDied, r"signal \d+"),
    (tasks.leave, (0,), DecoderDied, "ended the worker process"),
    (tasks.leave, (7,), DecoderDied, "status 7"),
    (tasks.memory_error, (), DecoderDied, "more than 512 MiB"),
    (tasks.burn_cpu_without_a_parent_to_kill_it, (1,), DecoderDied, "SIGXCPU"),
    (tasks.sys_exit, (), UnreadableMedia, "SystemExit: 3"),
    (tasks.interrupted, (), UnreadableMedia, "KeyboardInterrupt"),
    (tasks.raise_unpicklable, (), UnreadableMedia, "UnpicklableError: holds a lock"),
    (tasks.raise_picks_wrongly, (), UnreadableMedia, "PicksWronglyError: no frame"),
    (tasks.raise_locked, (), UnreadableMedia, "LockedError"),
    (tasks.unpicklable_result, (), UnreadableMedia, "pickle"),
    (tasks.answer_oddly, (), UnreadableMedia, "ValueError"),
]


@pytest.mark.parametrize(("function", "args", "expected", "words"), ENDS, ids=[f"{end[0].__name__}{end[1] or ''}" for end in ENDS])
def test_each_bad_end_is_named_and_costs_only_its_task(
    sandbox: Sandbox, function: Callable[..., Any], args: tuple[Any, ...], expected: type[SosieError], words: str
) -> None:
    with pytest.raises(expected, match=words) as caught:
        sandbox.run(function, *args, source="clip.mp4")
    assert caught.value.thing == "clip.mp4"
    assert caught.value.next_step
    assert [sandbox.run(tasks.add, n, 1, source="next") for n in range(4)] == [1, 2, 3, 4]


@pytest.mark.parametrize("function", [tasks.touch_and_hang, tasks.touch_and_hang_in_c])
def test_a_hanging_worker_is_killed(sandbox: Sandbox, tmp_path: Path, function: Callable[[Path], None]) -> None:
    with pytest.raises(DecoderTimeout, match=r"within 0\.5 s"):
        sandbox.run(function, tmp_path / "pid", source="clip.mp4", timeout_s=0.5)
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))
    assert sandbox.run(tasks.add, 1, 1, source="next") == 2


def test_an_exception_becomes_one_printable_line_and_keeps_its_trace_for_developers(sandbox: Sandbox) -> None:
    with pytest.raises(UnreadableMedia) as caught:
        sandbox.run(tasks.raise_escape_codes, source="clip.mp4")
    assert "ValueError: ?[2Jgone)" in str(caught.value)
    assert "raise_escape_codes" in caught.value.__notes__[0]


def test_a_neighbour_in_flight_survives_every_death(sandbox: Sandbox, tmp_path: Path) -> None:
    signal_file = tmp_path / "go"
    with ThreadPoolExecutor(1) as threads:
        neighbour = threads.submit(sandbox.run, tasks.wait_for, signal_file, source="neighbour", timeout_s=60)
        for function, args in ((tasks.killed, ()), (tasks.segfault, ()), (tasks.leave, (0,)), (tasks.memory_error, ())):
            with pytest.raises(DecoderDied):
                sandbox.run(function, *args, source="clip.mp4")
        with pytest.raises(DecoderTimeout):
            sandbox.run(tasks.hang, source="clip.mp4", timeout_s=0.3)
        assert not neighbour.done()
        signal_file.write_text("still here")
        assert neighbour.result() == "still here"


def test_two_hundred_tasks_in_a_row_with_random_deaths_from_four_threads() -> None:
    dice = random.Random(20261122)
    fatal: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
        (tasks.killed, ()),
        (tasks.segfault, ()),
        (tasks.leave, (0,)),
        (tasks.sys_exit, ()),
    ]
    plan = [dice.choice(fatal) if dice.random() < 0.15 else (tasks.add, (number, 0)) for number in range(200)]

    with Sandbox(workers=2, memory_bytes=MEMORY_BYTES, timeout_s=20) as sandbox:

        def outcome(task: tuple[Callable[..., Any], tuple[Any, ...]]) -> object:
            try:
                return sandbox.run(task[0], *task[1], source="clip.mp4")
            except SosieError as error:
                return type(error)

        with ThreadPoolExecutor(4) as threads:
            outcomes = list(threads.map(outcome, plan))
        assert len(workers_of()) <= 2 + 2  # the module's own sandbox may hold two

    for (function, args), got in zip(plan, outcomes, strict=True):
        expected = args[0] if function is tasks.add else UnreadableMedia if function is tasks.sys_exit else DecoderDied
        assert got == expected


def test_a_worker_that_dies_idle_is_replaced_without_blame() -> None:
    with Sandbox(workers=1, memory_bytes=MEMORY_BYTES, timeout_s=20) as sandbox:
        for _ in range(5):
            idle = sandbox.run(tasks.pid, source="clip.mp4")
            os.kill(idle, signal.SIGKILL)
            assert sandbox.run(tasks.pid, source="clip.mp4") != idle


def test_a_worker_is_replaced_after_its_share_of_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_module, "TASKS_PER_WORKER", 3)
    with Sandbox(workers=1, memory_bytes=MEMORY_BYTES, timeout_s=20) as sandbox:
        pids = [sandbox.run(tasks.pid, source="clip.mp4") for _ in range(7)]
    assert [pids.index(pid) for pid in pids] == [0, 0, 0, 3, 3, 3, 6]


def test_workers_are_confined(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SOSIE_DATABASE_URL", "postgresql+psycopg://user:secret@host/sosie")
    with Sandbox(workers=1, memory_bytes=MEMORY_BYTES, timeout_s=20) as fresh:
        found = fresh.run(tasks.surroundings, source="clip.mp4")
    assert found.pop("cpu") >= 20
    assert found == {
        "stdin": "",
        "fd0": b"",
        "omp": "1",
        "settings": [],
        "memory": MEMORY_BYTES,
        "core": 0,
        "files": 256,
        "file_bytes": 64 * tasks.MIB,
    }
    assert "chatter" not in capfd.readouterr().out


def test_numeric_libraries_use_one_thread() -> None:
    with Sandbox(workers=1, memory_bytes=16 * 1024 * tasks.MIB, timeout_s=120) as roomy:
        assert roomy.run(tasks.library_threads, source="clip.mp4") == (1, 1)


def test_workers_have_no_network_where_the_platform_allows_it(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, Sandbox(workers=2, memory_bytes=MEMORY_BYTES, timeout_s=20) as fresh:
        assert fresh.network_isolated is None
        with caplog.at_level(logging.WARNING):
            outcomes = {fresh.run(tasks.connect, server.getsockname()[1], source="clip.mp4") for _ in range(3)}
        isolated = fresh.network_isolated
    assert isolated is ("connected" not in outcomes)
    assert sum("network" in record.message for record in caplog.records) == (0 if isolated else 1)
    if not isolated:
        pytest.skip("NO NETWORK ISOLATION HERE: this platform or container refuses network namespaces")


def test_workers_import_nothing_heavy(sandbox: Sandbox) -> None:
    assert sandbox.run(tasks.imported, ["numpy", "torch", "cv2", "av", "httpx", "pydantic", "pytest"], source="clip.mp4") == []


def test_close_ends_tasks_in_flight_and_leaves_no_process(tmp_path: Path) -> None:
    sandbox = Sandbox(workers=2, memory_bytes=MEMORY_BYTES, timeout_s=60)
    started = [tmp_path / "a", tmp_path / "b"]
    with ThreadPoolExecutor(3) as threads:
        in_flight = [threads.submit(sandbox.run, tasks.touch_and_hang, path, source="clip.mp4") for path in started]
        pids = [int(_read_when_there(path)) for path in started]
        waiting = threads.submit(sandbox.run, tasks.add, 1, 1, source="third.mp4")
        sandbox.close()
        for future in (*in_flight, waiting):
            with pytest.raises(SandboxUnavailable, match="stopping"):
                future.result(timeout=30)
    assert not any(psutil.pid_exists(pid) for pid in pids)
    with pytest.raises(SandboxUnavailable):
        sandbox.run(tasks.add, 1, 1, source="late.mp4")
    sandbox.close()


def test_an_unused_sandbox_starts_no_process() -> None:
    before = {worker.pid for worker in workers_of()}
    with Sandbox(workers=2, memory_bytes=MEMORY_BYTES, timeout_s=20):
        assert {worker.pid for worker in workers_of()} == before


def test_a_short_lived_thread_may_start_the_worker(sandbox: Sandbox) -> None:
    with Sandbox(workers=1, memory_bytes=MEMORY_BYTES, timeout_s=20) as fresh:
        pids: list[int] = []
        thread = threading.Thread(target=lambda: pids.append(fresh.run(tasks.pid, source="clip.mp4")))
        thread.start()
        thread.join()
        assert fresh.run(tasks.pid, source="clip.mp4") == pids[0]


def test_a_function_of_the_main_module_is_refused(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.add, "__module__", "__main__")
    with pytest.raises(TypeError, match="__main__"):
        sandbox.run(tasks.add, 1, 1, source="clip.mp4")


PROGRAM = """
    import sys
    from monitor.intake.sandbox import Sandbox
    from tests.monitor.intake import tasks
    print("main", flush=True)
    sandbox = Sandbox(1, 512 * 1024**2, 60)
    {body}
"""


def _run_program(arguments: list[str], **options: Any) -> subprocess.Popen[str]:
    root = Path(__file__).parents[3]
    environment = os.environ | {"PYTHONPATH": str(root)}
    return subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True, env=environment, **options)


def _script(tmp_path: Path, body: str) -> Path:
    script = tmp_path / "sosie"  # without a suffix and without a guard, as an installed command may be
    script.write_text(textwrap.dedent(PROGRAM.format(body=body)))
    return script


@pytest.mark.parametrize("how", ["script", "dash c", "module"])
def test_the_main_module_is_not_run_again(tmp_path: Path, how: str) -> None:
    body = "print(sandbox.run(tasks.main_file, source='x')); sandbox.close()"
    script = _script(tmp_path, body)
    (tmp_path / "asmodule.py").write_text(script.read_text())
    arguments = {"script": [str(script)], "dash c": ["-c", script.read_text()], "module": ["-m", "asmodule"]}[how]
    with _run_program(arguments, cwd=tmp_path) as program:
        output, _ = program.communicate(timeout=60)
    assert (program.returncode, output.split()) == (0, ["main", "None"])


def test_a_program_that_forgets_to_close_ends_all_the_same(tmp_path: Path) -> None:
    with _run_program([str(_script(tmp_path, "print(sandbox.run(tasks.pid, source='x'))"))]) as program:
        output, _ = program.communicate(timeout=60)
    assert program.returncode == 0
    assert not psutil.pid_exists(int(output.split()[1]))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_workers_die_with_a_killed_parent(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    body = f"from pathlib import Path; sandbox.run(tasks.touch_and_hang, Path({str(mark)!r}), source='x')"
    with _run_program([str(_script(tmp_path, body))]) as program:
        worker = psutil.Process(int(_read_when_there(mark)))
        program.kill()
        psutil.wait_procs([worker], timeout=30)
        assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def _read_when_there(path: Path) -> str:
    for _ in range(1500):
        if path.exists() and (text := path.read_text()):
            return text
        threading.Event().wait(0.02)
    raise AssertionError(f"{path} was never written")
