"""A home with a few of the cast registered, clips of them, and the command line run in this process or as the real script."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import av
import numpy as np
from PIL import Image

from monitor.base import settings
from monitor.cast.drawing import portrait
from monitor.cast.film import film
from monitor.cast.people import Person
from monitor.cast.roster import LICENSED, MOURNED, STRANGERS
from monitor.cast.shot import Shot
from monitor.cli import demonstration, main
from monitor.scan.workshop import Workshop

SINGER = MOURNED[0]
ATHLETE = LICENSED
ACTOR = MOURNED[1]
SCRIPT = Path(sys.executable).with_name("sosie")
CLIPS = {
    "singer.mp4": (SINGER.person,),
    "athlete.mp4": (LICENSED.person,),
    "stranger.mp4": (STRANGERS[1].person,),
}


@dataclass(frozen=True, slots=True)
class Household:
    """`home` has the singer (deceased) and the athlete (licensed to one account) registered; copy it, never use it. `clips`: see CLIPS."""

    home: Path
    clips: Path

    @classmethod
    def made_in(cls, folder: Path) -> Household:
        """Render and register everything: some ten seconds."""
        clips = folder / "clips"
        clips.mkdir()
        for seed, (name, subjects) in enumerate(CLIPS.items()):
            film(clips / name, subjects, seconds=3.0, seed=seed, fps=10)
        with Workshop(settings.load({}, home=folder / "home", threads=1)) as workshop:
            demo_home = workshop.settings.home
            demo_home.mkdir()
            demonstration.register(workshop, (SINGER, LICENSED))
            workshop.gallery.current()
        return cls(demo_home, clips)

    def copy_home(self, home: Path) -> Path:
        """Its own copy of the prepared home, at `home`."""
        shutil.copytree(self.home, home)
        return home


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left: exit status and both streams."""

    status: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """stdout, which is JSON and nothing but JSON, one object per line."""
        return [json.loads(line) for line in self.out.splitlines()]


def sosie(*arguments: str | Path) -> Ran:
    """Run a command in this process, the way the console script does: errors, streams and exit status included."""
    out, err = io.StringIO(), io.StringIO()
    status: int | str | None = 0
    with redirect_stdout(out), redirect_stderr(err), mock.patch.object(sys, "argv", ["sosie", *map(str, arguments)]):
        try:
            main()
        except SystemExit as left:
            status = left.code
    return Ran(int(status or 0), out.getvalue(), err.getvalue())


def script(*arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
    """Start the installed `sosie`, with this process's environment, its streams as pipes."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [str(SCRIPT), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        # A shell that runs tests in the background ignores SIGINT, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        **options,
    )


def finished(process: subprocess.Popen[str], timeout_s: float = 240) -> Ran:
    """Wait for the end; a process that does not end is killed, and the test fails."""
    try:
        out, err = process.communicate(timeout=timeout_s)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    return Ran(process.returncode, out, err)


def picture(path: Path, person: Person, shot: Shot | None = None, size: tuple[int, int] = (360, 360)) -> Path:
    """A portrait of one of the cast as a file."""
    Image.fromarray(portrait(person, shot or Shot(), size)).save(path)
    return path


def long_film(path: Path, seconds: int, *, change_every_s: int, scale: int = 1) -> Path:
    """Grey blocks at one frame per second, (36, 64) pixels times `scale`, made in seconds; a new picture every `change_every_s`."""
    rng = np.random.default_rng(0)
    height, width = 36 * scale, 64 * scale
    planes = np.full((height * 3 // 2, width), 128, np.uint8)  # luma above, grey chroma below
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=1, options={"preset": "ultrafast", "tune": "stillimage", "g": "60"})
        stream.height, stream.width, stream.pix_fmt, stream.thread_count = height, width, "yuv420p", 1
        for second in range(seconds):
            if second % change_every_s == 0:
                planes[:height] = np.kron(rng.integers(0, 256, (9, 16), np.uint8), np.ones((4 * scale, 4 * scale), np.uint8))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode(None))
    return path


def trail(home: Path, subject_type: str) -> list[str]:
    """What was done to subjects of one type, oldest first."""
    with closing(sqlite3.connect(home / "sosie.sqlite3")) as connection:
        query = "SELECT action FROM audit_events WHERE subject_type = ? ORDER BY id"
        return [str(action) for (action,) in connection.execute(query, (subject_type,))]


def rows(home: Path, *tables: str) -> dict[str, int]:
    """How many rows the tables of a home's database hold, read past Sosie; fails if the database is not intact."""
    with closing(sqlite3.connect(f"file:{home / 'sosie.sqlite3'}?mode=ro", uri=True)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return {table: database.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in tables}


def files(folder: Path, names: Sequence[str] = ("references", "index", "evidence")) -> dict[str, bytes]:
    """What lies in some folders of a home, byte for byte."""
    found = (path for name in names for path in (folder / name).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}
