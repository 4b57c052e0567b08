"""Faults of Sosie's own, made in the real parts under a stage and mended again: each a block, with the words that must name it."""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from monitor.base.database import Store
from tests.monitor.household import SCRIPT
from tests.postgres import Server, server_url
from tests.streams.saboteur import left
from tests.streams.stage import Stage

WORKER = "worker"
"""The database user of workers whose rights can be taken away; the server's own is a superuser."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """`words` stand in what /health/ready says while `block` lasts; `restarts`: it is met by a worker that starts."""

    name: str
    words: str
    block: Callable[[], AbstractContextManager[None]]
    restarts: bool = False


def worker_url(server: Server) -> str:
    """A login of its own for workers, with every right that they need."""
    with _admin(server) as admin:
        admin.execute(f"CREATE ROLE {WORKER} LOGIN")
        _grant(admin)
    return server_url(server.folder, "postgres").replace("sosie@", f"{WORKER}@")


def troubles(stage: Stage, server: Server | None) -> list[Trouble]:
    """All of them, for a stage whose database is `server`, under the user of `worker_url`; without one, those of the home."""
    fingerprints = stage.home / "fingerprints"
    found = [
        Trouble("no space under the home", "no space is left", lambda: failing_folder(stage, fingerprints, "ENOSPC")),
        Trouble("a read-only home", "Read-only file system", lambda: failing_folder(stage, fingerprints, "EROFS")),
        Trouble("another model", "sosie index rebuild", lambda: other_model(stage)),
        Trouble("a flipped bit in the index", "SHA-256 is not the one", lambda: flipped_bit(stage), restarts=True),
    ]
    if server is not None:
        found += [
            Trouble("a failover to a standby", "takes no writes", lambda: failover(server)),
            Trouble("rights revoked", "does not allow this", lambda: revoked_rights(server)),
        ]
    return found


@contextmanager
def failover(server: Server) -> Iterator[None]:
    """The primary goes away, a hot standby answers in its place, and is promoted in the end."""
    server.stand_by()
    try:
        yield
    finally:
        server.promote()


@contextmanager
def revoked_rights(server: Server) -> Iterator[None]:
    """Workers may read and not write."""
    with _admin(server) as admin:
        admin.execute(f"REVOKE INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public FROM {WORKER}")
    try:
        yield
    finally:
        with _admin(server) as admin:
            _grant(admin)


@contextmanager
def failing_folder(stage: Stage, folder: Path, error: str) -> Iterator[None]:
    """A disk that is full (ENOSPC) or read-only (EROFS), mounted over a folder of the home.

    Where nothing may be mounted, traps raise the same error in the stages, which is told as a warning.
    """
    folder.mkdir(exist_ok=True)
    options = "size=4k,nr_inodes=1" if error == "ENOSPC" else "ro"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=False, capture_output=True)
    if mounted.returncode != 0:
        warnings.warn(f"NO DISK MOUNTED ({mounted.stderr.decode().strip()}): {error} comes from traps, not from a real disk", stacklevel=2)
        stage.trap("fetch-begins", error, times=20)
        try:
            yield
        finally:
            for trap in left(stage.traps):
                (stage.traps / trap).unlink(missing_ok=True)
        return
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextmanager
def other_model(stage: Stage) -> Iterator[None]:
    """The references were embedded by another model than that of the running workers; mended as the error says."""
    with stage.store() as store:
        _forget_vectors(store)
    try:
        yield
    finally:
        _rebuild(stage)


@contextmanager
def flipped_bit(stage: Stage) -> Iterator[None]:
    """In an index on disk: met by whoever loads it. Mended as the error says."""
    for snapshot in (stage.home / "index").glob("*/CURRENT"):
        vectors = next(file for file in (snapshot.parent / snapshot.read_text()).iterdir() if file.name != "manifest.json")
        content = bytearray(vectors.read_bytes())
        content[len(content) // 2] ^= 1
        vectors.write_bytes(content)
    try:
        yield
    finally:
        _rebuild(stage)


def _forget_vectors(store: Store) -> None:
    with store.session() as session:
        session.connection().exec_driver_sql("DELETE FROM reference_vectors")
        session.connection().exec_driver_sql("UPDATE registry_state SET generation = generation + 1")


def _rebuild(stage: Stage) -> None:
    done = subprocess.run([SCRIPT, "index", "rebuild"], env={"PATH": "/usr/bin:/bin"} | stage.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _admin(server: Server) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(host=str(server.folder), user="sosie", dbname="postgres", autocommit=True)


def _grant(admin: psycopg.Connection[tuple[object, ...]]) -> None:
    admin.execute(f"GRANT ALL ON SCHEMA public TO {WORKER}")
    admin.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {WORKER}")
    admin.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {WORKER}")
