"""A process whose every name lookup and every connection is recorded, native code's included.

    python -m tests.monitor.provenance.listening check|library|control [--trust PEM] FILE...

It lives in a network of its own (Linux namespaces) that ends in itself: the only resolver is ours, which answers every name with
127.0.0.1 and remembers it, and on the ports of the web there we listen as well. Prints JSON, `{"asked": names, "called": ports}`, and
exits with 77 where the system lets nobody make such a network.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import socket
import struct
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

NOT_PERMITTED = 77
PORTS = (80, 443, 8080)

_NEWNS, _NEWUSER, _NEWNET = 0x00020000, 0x10000000, 0x40000000
_BIND, _REC, _PRIVATE = 4096, 16384, 1 << 18
_SIOCSIFFLAGS, _UP = 0x8914, 0x1
_RESOLVER = {"/etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", "/etc/nsswitch.conf": "hosts: files dns\n"}

asked: list[str] = []
called: list[int] = []
_seen: set[int] = set()  # the callers' own ports


def main(way: str, *rest: str) -> None:
    try:
        _leave()
    except OSError as error:
        print(f"no network of one's own can be made here: {error}", file=sys.stderr)
        sys.exit(NOT_PERMITTED)
    _listen()
    trust = [Path(rest[1])] if rest[:1] == ("--trust",) else []
    for file in map(Path, rest[2 * len(trust) :]):
        _WAYS[way](file, trust)
    if way == "control":
        _control()
    for port in PORTS:
        _catch_up(port)
        called.remove(port)
    print(json.dumps({"asked": sorted(set(asked)), "called": sorted(set(called))}))


def _catch_up(port: int) -> None:
    """Until all calls before this one are recorded. (A question is before it is answered.)"""
    with socket.create_connection(("127.0.0.1", port)) as ours:
        while ours.getsockname()[1] not in _seen:
            time.sleep(0.005)


def _check(file: Path, trust: list[Path]) -> None:
    from monitor.provenance.check import check  # here: nothing may have started a thread before `_leave`
    from monitor.provenance.trust import TrustLists

    check(file, TrustLists.load(trust))


def _library(file: Path, _: list[Path]) -> None:
    """As the library is by default: the network is allowed."""
    from c2pa import C2paError, Context, Reader

    with suppress(C2paError), Reader(str(file), context=Context()) as reader:
        reader.json()


_WAYS = {"check": _check, "library": _library, "control": lambda *_: None}


def _control() -> None:
    address = socket.getaddrinfo("control.example", 80, type=socket.SOCK_STREAM)[0][4]
    socket.create_connection((str(address[0]), 80)).close()


def _leave() -> None:
    """Into namespaces of our own: as root, else as the root of a new user namespace. Raises OSError where neither is permitted."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *arguments: object) -> None:
        if getattr(libc, name)(*arguments) != 0:
            raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")

    user, group = os.getuid(), os.getgid()
    try:
        call("unshare", _NEWNS | _NEWNET)
    except OSError:
        call("unshare", _NEWUSER | _NEWNS | _NEWNET)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    call("mount", None, b"/", None, _REC | _PRIVATE, None)
    with tempfile.TemporaryDirectory() as folder:
        for place, text in _RESOLVER.items():
            made = Path(folder) / Path(place).name
            made.write_text(text)
            call("mount", os.fsencode(made), place.encode(), None, _BIND, None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _UP))


def _listen() -> None:
    resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    resolver.bind(("127.0.0.1", 53))
    threading.Thread(target=_resolve, args=(resolver,), daemon=True).start()
    for port in PORTS:
        threading.Thread(target=_accept, args=(socket.create_server(("127.0.0.1", port)), port), daemon=True).start()


def _resolve(server: socket.socket) -> None:
    """RFC 1035: every question about an address (type A) has 127.0.0.1 for an answer, all others none."""
    while True:
        question, client = server.recvfrom(4096)
        name, at = [], 12
        while (length := question[at]) != 0:
            name.append(question[at + 1 : at + 1 + length].decode("latin-1"))
            at += 1 + length
        asked.append(".".join(name))
        wants_address = question[at + 1 : at + 3] == b"\0\1"
        head = question[:2] + struct.pack(">HHHHH", 0x8180, 1, int(wants_address), 0, 0)
        answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + bytes([127, 0, 0, 1]) if wants_address else b""
        server.sendto(head + question[12 : at + 5] + answer, client)


def _accept(server: socket.socket, port: int) -> None:
    while True:
        connection, caller = server.accept()
        called.append(port)
        _seen.add(caller[1])
        connection.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
