"""Where the programs of a real Kafka broker come from: Java 17 with jars that Maven fetched, else Docker.

`find()` returns the first that works here, and raises `KafkaMissing` with every reason when none does. The jars are kept in the user's
cache, one folder for each content of the pom, which appears whole or not at all: several test runs may fill it at once.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import uuid4

POM = Path(__file__).parent / "kafka-broker" / "pom.xml"
OLDEST_JAVA = 17
FETCH_TIMEOUT_S = 280.0
KILL_TIMEOUT_S = 30.0


class KafkaMissing(Exception):
    """There is no way to run a broker here; the text says all reasons."""


class Source(Protocol):
    """How to run Kafka's two programs on a configuration file. Everything they touch lies in the broker's folder."""

    @property
    def bind(self) -> str:
        """The address to listen on, so that clients here reach it at 127.0.0.1."""

    def format(self, folder: Path) -> list[str]:
        """The command (without arguments) of `kafka-storage`."""

    def serve(self, folder: Path, name: str) -> list[str]:
        """The command (without arguments) of the server, in the foreground."""

    def kill(self, process: subprocess.Popen[bytes], name: str) -> None:
        """End it at once, as a power cut would."""


@dataclass(frozen=True)
class Jars:
    """The broker is a child process of ours."""

    java: Path
    folder: Path
    bind: str = "127.0.0.1"

    def _command(self) -> list[str]:
        quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Dorg.apache.logging.log4j.level=WARN"]
        return [str(self.java), "-Xmx512m", "-Xms128m", *quick, "-cp", f"{self.folder}/*"]

    def format(self, folder: Path) -> list[str]:
        return [*self._command(), "kafka.tools.StorageTool"]

    def serve(self, folder: Path, name: str) -> list[str]:
        return [*self._command(), "kafka.Kafka"]

    def kill(self, process: subprocess.Popen[bytes], name: str) -> None:
        process.kill()


@dataclass(frozen=True)
class Docker:
    """The broker runs in a container of the official image, with its folder and its listeners at the same paths and ports."""

    docker: str
    image: str
    bind: str = "0.0.0.0"

    def _run(self, folder: Path, *options: str, program: str) -> list[str]:
        where = ["--volume", f"{folder}:{folder}", "--user", f"{os.getuid()}:{os.getgid()}", "--env", "LOG_DIR=/tmp/logs"]
        heap = ["--env", "KAFKA_HEAP_OPTS=-Xmx512m -Xms128m"]
        return [self.docker, "run", "--rm", *where, *heap, *options, "--entrypoint", f"/opt/kafka/bin/{program}", self.image]

    def format(self, folder: Path) -> list[str]:
        return self._run(folder, program="kafka-storage.sh")

    def serve(self, folder: Path, name: str) -> list[str]:
        ports = re.findall(r"0\.0\.0\.0:(\d+)", (folder / "server.properties").read_text())
        published = [part for port in ports for part in ("--publish", f"127.0.0.1:{port}:{port}")]
        return self._run(folder, "--name", name, *published, program="kafka-server-start.sh")

    def kill(self, process: subprocess.Popen[bytes], name: str) -> None:
        subprocess.run([self.docker, "kill", name], check=False, capture_output=True)  # killing the client would leave the container
        try:
            process.wait(timeout=KILL_TIMEOUT_S)  # until the container is removed and its name free again
        except subprocess.TimeoutExpired:
            process.kill()


def find() -> Source:
    """The first source that works here. Raises `KafkaMissing`."""
    if isinstance(found := _found(), str):
        raise KafkaMissing(found)
    return found


@functools.cache
def _found() -> Source | str:
    """A source, or why there is none: both are looked for once."""
    reasons = []
    for source in (_jars, _docker):
        try:
            return source()
        except KafkaMissing as reason:
            reasons.append(str(reason))
    return "; ".join(reasons)


def _jars() -> Jars:
    home = os.environ.get("JAVA_HOME")
    java = Path(home, "bin", "java") if home else Path(shutil.which("java") or "")
    if not java.is_file():
        raise KafkaMissing(f"no java at JAVA_HOME ({home})" if home else "no java on PATH")
    said = subprocess.run([java, "-version"], check=False, capture_output=True, text=True).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < OLDEST_JAVA:
        raise KafkaMissing(f"{java} is not Java {OLDEST_JAVA} or newer")
    return Jars(java, _fetched())


def _fetched() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sosie-test-kafka"
    target = cache / hashlib.sha256(POM.read_bytes()).hexdigest()[:16]
    if target.is_dir():
        return target
    if (maven := shutil.which("mvn")) is None:
        raise KafkaMissing("no mvn on PATH to fetch Kafka's jars with")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetching-", dir=cache) as scratch:
        shutil.copy(POM, scratch)
        jars = Path(scratch, "jars")
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
        try:
            subprocess.run(
                [maven, "-q", "-B", "-f", Path(scratch, "pom.xml"), *goal],
                check=True,
                capture_output=True,
                text=True,
                timeout=FETCH_TIMEOUT_S,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise KafkaMissing(f"Maven could not fetch Kafka's jars: {str(error.stdout or error)[-500:]}") from error
        try:
            jars.rename(target)
        except OSError:
            if not target.is_dir():  # else another run was quicker
                raise
    return target


def _docker() -> Docker:
    if (docker := shutil.which("docker")) is None:
        raise KafkaMissing("no docker on PATH")
    version = re.search(r"<artifactId>kafka_[\d.]+</artifactId>\s*<version>([\d.]+)</version>", POM.read_text())
    assert version is not None
    image = f"apache/kafka:{version[1]}"
    if subprocess.run([docker, "image", "inspect", image], check=False, capture_output=True).returncode == 0:
        return Docker(docker, image)
    pulled = subprocess.run([docker, "pull", "--quiet", image], check=False, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S)
    if pulled.returncode != 0:
        raise KafkaMissing(f"docker cannot pull {image}: {pulled.stderr.strip()[-300:]}")
    return Docker(docker, image)


def new_name() -> str:
    """A container's name."""
    return f"sosie-test-kafka-{uuid4().hex[:12]}"
