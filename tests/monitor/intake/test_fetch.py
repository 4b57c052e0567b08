"""Fetching from real servers, well-behaved and hostile, and from the disk."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import resource
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.base.errors import BlockedAddress, FetchFailed, FetchRefused, NotFound, SosieError, StorageFull, StorageUnavailable, TooLarge
from monitor.intake import fetch as fetching
from monitor.intake.fetch import Fetched, FetchLimits, fetch
from tests.monitor.intake.servers import CLIP, OK, FileServer, drip, file_server, raw_server, self_signed

LIMITS = FetchLimits(max_bytes=1_000_000, timeout_s=30, min_bytes_per_s=0, max_redirects=3, allow_private=True)
PUBLIC_ONLY = dataclasses.replace(LIMITS, allow_private=False)


@pytest.fixture(scope="module")
def server() -> Iterator[FileServer]:
    with file_server() as running:
        yield running


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


def refusal_of(source: str, scratch: Path, limits: FetchLimits = LIMITS) -> SosieError:
    """The error a fetch ends with; nothing is left in the scratch folder, and no query is told."""
    with pytest.raises(SosieError) as caught, fetch(source, scratch=scratch, limits=limits):
        pytest.fail("the fetch was not refused")
    assert not scratch.exists() or list(scratch.iterdir()) == []
    assert "secret" not in str(caught.value)
    return caught.value


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class TestFiles:
    def test_a_file_is_hashed_in_place(self, tmp_path: Path, scratch: Path) -> None:
        file = tmp_path / "clip.mp4"
        file.write_bytes(CLIP)
        with fetch(str(file), scratch=scratch, limits=dataclasses.replace(LIMITS, max_bytes=1)) as fetched:
            assert fetched == Fetched(str(file), file, sha256(CLIP), len(CLIP))
        assert file.exists()
        assert not scratch.exists()

    def test_an_empty_file_is_a_file(self, tmp_path: Path, scratch: Path) -> None:
        (tmp_path / "empty").touch()
        with fetch(str(tmp_path / "empty"), scratch=scratch, limits=LIMITS) as fetched:
            assert (fetched.sha256, fetched.size_bytes) == (sha256(b""), 0)

    @pytest.mark.parametrize(
        ("name", "words"), [("missing.mp4", "no such file"), (".", "a folder"), ("pipe", "not an ordinary file"), ("\0", "no such file")]
    )
    def test_what_is_no_file_is_not_found(self, tmp_path: Path, scratch: Path, name: str, words: str) -> None:
        os.mkfifo(tmp_path / "pipe")
        error = refusal_of(f"{tmp_path}/{name}", scratch)
        assert isinstance(error, NotFound)
        assert words in str(error)

    def test_an_endless_device_is_refused(self, scratch: Path) -> None:
        assert isinstance(refusal_of("/dev/zero", scratch), NotFound)


class TestDownloads:
    def test_a_body_is_stored_hashed_and_gone_afterwards(self, server: FileServer, scratch: Path) -> None:
        source = server.url("/clip?token=secret")
        with fetch(source, scratch=scratch, limits=LIMITS) as fetched:
            assert fetched == Fetched(source.partition("?")[0], fetched.path, sha256(CLIP), len(CLIP)), "a query may be a secret"
            assert fetched.path.parent == scratch
            assert fetched.path.read_bytes() == CLIP
            assert fetched.path.stat().st_mode & 0o077 == 0
        assert list(scratch.iterdir()) == []
        assert server.seen[-1][0] == "/clip?token=secret"

    def test_the_file_goes_when_its_user_fails(self, server: FileServer, scratch: Path) -> None:
        with contextlib.suppress(ZeroDivisionError), fetch(server.url("/clip"), scratch=scratch, limits=LIMITS):
            raise ZeroDivisionError
        assert list(scratch.iterdir()) == []

    def test_an_empty_body_is_a_file(self, server: FileServer, scratch: Path) -> None:
        with fetch(server.url("/empty"), scratch=scratch, limits=LIMITS) as fetched:
            assert fetched.size_bytes == 0

    def test_redirects_are_followed_without_cookies_or_proxies(
        self, server: FileServer, scratch: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        with fetch(server.url("/to?/to?/clip"), scratch=scratch, limits=LIMITS) as fetched:
            assert fetched.sha256 == sha256(CLIP)
        path, headers = server.seen[-1]
        assert path == "/clip"
        assert "cookie" not in headers
        assert headers["accept-encoding"] == "identity"

    def test_a_name_is_resolved_once_and_the_answer_pinned(self, server: FileServer, scratch: Path) -> None:
        asked: list[str] = []

        def rebinding(host: str, port: int) -> list[str]:
            asked.append(host)
            return ["127.0.0.1"] if len(asked) == 1 else ["192.0.2.1"]

        with fetch(server.url("/clip", "clips.example"), scratch=scratch, limits=LIMITS, resolver=rebinding) as fetched:
            assert fetched.sha256 == sha256(CLIP)
        assert asked == ["clips.example"]
        assert server.seen[-1][1]["host"] == f"clips.example:{server.port}"

    def test_the_next_address_is_tried_when_one_does_not_answer(self, server: FileServer, scratch: Path) -> None:
        with fetch(
            server.url("/clip", "clips.example"), scratch=scratch, limits=LIMITS, resolver=lambda _host, _port: ["127.0.0.2", "127.0.0.1"]
        ) as fetched:
            assert fetched.sha256 == sha256(CLIP)


class TestTls:
    def test_the_certificate_is_checked_against_the_name_not_the_pinned_address(
        self, tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names: list[str | None] = []
        certificate = self_signed(tmp_path, "clips.example")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with file_server((certificate, names)) as server:
            url = f"https://clips.example:{server.port}/clip"
            with fetch(url, scratch=scratch, limits=LIMITS, resolver=lambda _host, _port: ["127.0.0.1"]) as fetched:
                assert fetched.sha256 == sha256(CLIP)
            with (
                pytest.raises(FetchFailed, match="certificate"),
                fetch(url.replace("clips", "other"), scratch=scratch, limits=LIMITS, resolver=lambda _host, _port: ["127.0.0.1"]),
            ):
                pass
        assert names == ["clips.example", "other.example"]

    def test_an_unknown_certificate_is_refused(self, tmp_path: Path, scratch: Path) -> None:
        with file_server((self_signed(tmp_path, "127.0.0.1"), [])) as server:
            error = refusal_of(f"https://127.0.0.1:{server.port}/clip?secret", scratch)
        assert isinstance(error, FetchFailed)
        assert "certificate" in str(error)


class TestAddresses:
    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1",
            "localhost",
            "2130706433",
            "0x7f000001",
            "017700000001",
            "127.1",
            "0",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
        ],
    )
    def test_no_spelling_of_loopback_is_reached(self, server: FileServer, scratch: Path, host: str) -> None:
        before = len(server.seen)
        assert isinstance(refusal_of(server.url("/clip?secret", host), scratch, PUBLIC_ONLY), BlockedAddress)
        assert len(server.seen) == before

    def test_a_name_of_a_private_address_is_not_reached(self, server: FileServer, scratch: Path) -> None:
        with (
            pytest.raises(BlockedAddress, match=r"clips\.example \(10\.0\.0\.7\)"),
            fetch(
                "http://clips.example/", scratch=scratch, limits=PUBLIC_ONLY, resolver=lambda _host, _port: ["93.184.216.34", "10.0.0.7"]
            ),
        ):
            pass

    def test_a_redirect_to_a_private_address_is_not_followed(self, server: FileServer, scratch: Path) -> None:
        """Loopback is allowed here for the first hop; a metadata service is closed even then."""
        error = refusal_of(server.url("/to?http://169.254.169.254/latest/meta-data/?secret"), scratch)
        assert isinstance(error, BlockedAddress)
        assert "169.254.169.254" in str(error)

    def test_every_hop_is_judged(self, scratch: Path) -> None:
        hops: list[str] = []

        def answers(host: str, port: int) -> list[str]:
            hops.append(host)
            return ["127.0.0.1"] if host == "first.example" else ["169.254.170.2"]

        with (
            file_server() as server,
            pytest.raises(BlockedAddress, match=r"second\.example"),
            fetch(server.url("/to?http://second.example/clip", "first.example"), scratch=scratch, limits=LIMITS, resolver=answers),
        ):
            pass
        assert hops == ["first.example", "second.example"]

    def test_an_unknown_name_fails_for_now(self, scratch: Path) -> None:
        assert isinstance(refusal_of("http://no-such-host.invalid/clip", scratch), FetchFailed)


class TestRefusals:
    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("ftp://clips.example/clip?secret", "not an http or https"),
            ("file:///etc/passwd", "not an http or https"),
            ("http://user:secret@clips.example/clip", "user name"),
            ("http://secret@clips.example/clip", "user name"),
            ("http:///clip", "not an http or https"),
            ("http://clips.example:99999/clip", "not"),
            ("http://clips.example:secret/", "well-formed"),
            ("http://[::1/clip", "well-formed"),
            ("http://0177.0.0.1/clip", "well-formed"),
        ],
    )
    def test_bad_urls_are_refused(self, scratch: Path, url: str, words: str) -> None:
        error = refusal_of(url.replace(":secret/", ":port/"), scratch)
        assert isinstance(error, FetchRefused)
        assert words in str(error)

    @pytest.mark.parametrize(
        ("path", "expected", "words"),
        [
            ("/status/403?secret", FetchRefused, "403"),
            ("/status/404", FetchRefused, "404"),
            ("/status/206", FetchRefused, "206"),
            ("/status/304", FetchRefused, "304"),
            ("/status/429", FetchFailed, "429"),
            ("/status/500", FetchFailed, "500"),
            ("/status/503", FetchFailed, "503"),
            ("/loop?secret", FetchRefused, "more than 3 times"),
            ("/to?ftp://clips.example/", FetchRefused, "redirecting to ftp"),
            ("/to?http://user:secret@127.0.0.1/", FetchRefused, "user name"),
            ("/gzip", FetchRefused, "gzip"),
        ],
    )
    def test_bad_answers_are_refused(self, server: FileServer, scratch: Path, path: str, expected: type[SosieError], words: str) -> None:
        error = refusal_of(server.url(path), scratch)
        assert isinstance(error, expected)
        assert words in str(error)

    def test_the_last_redirect_allowed_is_followed(self, server: FileServer, scratch: Path) -> None:
        with fetch(server.url("/to?/to?/to?/clip"), scratch=scratch, limits=LIMITS) as fetched:
            assert fetched.size_bytes == len(CLIP)
        assert isinstance(refusal_of(server.url("/to?/to?/to?/to?/clip"), scratch), FetchRefused)


class TestLyingServers:
    def test_too_large_by_its_own_word_is_refused_before_the_body(self, scratch: Path) -> None:
        with raw_server(OK + b"Content-Length: 99999999999\r\n\r\n", 60.0) as url:
            error = refusal_of(url, scratch)
        assert isinstance(error, TooLarge)
        assert "announces 99999999999" in str(error)

    def test_an_endless_body_is_cut(self, scratch: Path) -> None:
        with raw_server(OK + b"\r\n", drip(bytes(65536), 0)) as url:
            assert isinstance(refusal_of(url, scratch), TooLarge)

    def test_an_endless_chunked_body_is_cut(self, scratch: Path) -> None:
        with raw_server(OK + b"Transfer-Encoding: chunked\r\n\r\n", drip(b"10000\r\n" + bytes(65536) + b"\r\n", 0)) as url:
            assert isinstance(refusal_of(url, scratch), TooLarge)

    def test_fewer_bytes_than_announced_fail(self, scratch: Path) -> None:
        with raw_server(OK + b"Content-Length: 1000\r\n\r\nonly these") as url:
            assert isinstance(refusal_of(url, scratch), FetchFailed)

    def test_more_bytes_than_announced_are_left(self, scratch: Path) -> None:
        with raw_server(OK + b"Content-Length: 5\r\n\r\nfirst and more") as url, fetch(url, scratch=scratch, limits=LIMITS) as fetched:
            assert fetched.path.read_bytes() == b"first"

    @pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * 300_000])
    def test_what_is_not_http_fails(self, scratch: Path, answer: bytes) -> None:
        with raw_server(answer) as url:
            assert isinstance(refusal_of(url, scratch), FetchFailed)

    def test_nobody_listening_fails(self, scratch: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        assert isinstance(refusal_of(f"http://127.0.0.1:{port}/", scratch), FetchFailed)


class TestSlowServers:
    HURRIED = dataclasses.replace(LIMITS, timeout_s=1)

    @pytest.mark.parametrize(
        "parts",
        [
            pytest.param((60.0,), id="silent"),
            pytest.param((OK, drip(b"X-Header: 1\r\n", 0.05)), id="headers without end"),
            pytest.param((drip(b"HTTP/1.1 100 Continue\r\n\r\n", 0.05),), id="interim answers without end"),
            pytest.param((OK + b"Content-Length: 99999\r\n\r\n", drip(b"a", 0.05)), id="body byte by byte"),
            pytest.param((OK + b"Transfer-Encoding: chunked\r\n\r\n5;", drip(b"x", 0.05)), id="chunk extension without end"),
        ],
    )
    def test_the_total_time_ends_every_kind_of_drip(self, scratch: Path, parts: tuple[bytes]) -> None:
        with raw_server(*parts) as url:
            error = refusal_of(url, scratch, self.HURRIED)
        assert isinstance(error, FetchFailed)
        assert "within 1 s" in str(error)

    def test_the_total_time_covers_redirects(self, scratch: Path) -> None:
        with raw_server(0.7, b"HTTP/1.1 302 Found\r\nLocation: /clip\r\nContent-Length: 0\r\n\r\n") as url:
            assert "within 1 s" in str(refusal_of(url, scratch, self.HURRIED))

    def test_a_steady_drip_below_the_minimum_rate_ends_after_a_window(self, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fetching, "RATE_WINDOW_S", 0.5)
        with raw_server(OK + b"Content-Length: 99999\r\n\r\n", drip(b"a" * 10, 0.1)) as url:
            error = refusal_of(url, scratch, dataclasses.replace(LIMITS, min_bytes_per_s=4096))
        assert isinstance(error, FetchFailed)
        assert "too slow" in str(error)


class TestFullDisk:
    def test_a_full_disk_is_said_and_leaves_nothing(self, server: FileServer, tmp_path: Path) -> None:
        scratch = tmp_path / "small"
        scratch.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(scratch)], capture_output=True, check=False)
        if mounted.returncode != 0:
            pytest.skip("NO FULL DISK HERE: a tmpfs cannot be mounted (not root); the file size limit test covers the path")
        try:
            assert isinstance(refusal_of(server.url("/clip"), scratch), StorageFull)
        finally:
            subprocess.run(["umount", str(scratch)], check=True)

    def test_a_file_size_limit_is_a_full_disk(self, server: FileServer, scratch: Path) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        try:
            assert isinstance(refusal_of(server.url("/clip"), scratch), StorageFull)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, previous)

    def test_a_scratch_that_is_a_file_is_said(self, server: FileServer, tmp_path: Path) -> None:
        (tmp_path / "scratch").write_text("in the way")
        with (
            pytest.raises(StorageUnavailable, match="cannot be written"),
            fetch(server.url("/clip"), scratch=tmp_path / "scratch", limits=LIMITS),
        ):
            pass
