"""From well-formed inputs to others: bytes changed anywhere, lengths that lie, JSON whose values are of the wrong kind."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Sequence
from typing import Any

MAX_BYTES = 256 * 1024

_LENGTHS = (0, 1, 7, 8, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_TOKENS = (
    b"jumb",
    b"jumd",
    b"uuid",
    b"meta",
    b"ilst",
    b"keys",
    b"<!DOCTYPE x [",
    b"&a;",
    b"xmlns:a=''",
    b"]]>",
    b"{",
    b"[",
    b'"',
    b"\0",
    b"\xff",
)
_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2**63, 10**400, 1e308,
    "", "\0", "\ud800", "\u202e", "x" * 5000, [], {}, [[]], {"": None}, [{}] * 50, "self#jumbf=/c2pa/a",
)  # fmt: skip


def mutated(seeds: Sequence[bytes], rng: random.Random) -> bytes:
    """One of the seeds after one to six changes; the same `rng` gives the same."""
    content = rng.choice(seeds)
    for _ in range(rng.randint(1, 6)):
        if content[:1] in (b"{", b"[") and rng.random() < 0.7:
            content = _other_json(content, rng)
        else:
            content = rng.choice(_CHANGES)(content, rng) if rng.random() < 0.9 else _spliced(content, rng.choice(seeds), rng)
    return content[:MAX_BYTES]


def _flip(content: bytes, rng: random.Random) -> bytes:
    made = bytearray(content)
    for _ in range(rng.randint(1, 8) if made else 0):
        made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
    return bytes(made)


def _lie(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    form = rng.choice((">I", "<I", ">H", ">Q"))
    number = struct.pack(form, rng.choice(_LENGTHS) & (2 ** (8 * struct.calcsize(form)) - 1))
    return content[:at] + number + content[at + len(number) :]


def _token(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.choice(_TOKENS) + content[at + rng.choice((0, 4)) :]


def _noise(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.randbytes(rng.randint(1, 64)) + content[at:]


def _cut(content: bytes, rng: random.Random) -> bytes:
    start, end = sorted((rng.randrange(len(content) + 1), rng.randrange(len(content) + 1)))
    return content[:start] + content[end:] if rng.random() < 0.7 else content[:end]


def _again(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    piece = content[start : start + rng.randint(1, 2000)]
    return content[:start] + piece * min(rng.choice((2, 3, 50, 2000)), 1 + MAX_BYTES // max(1, len(piece))) + content[start:]


_CHANGES = (_flip, _flip, _lie, _lie, _token, _noise, _cut, _again)


def _spliced(content: bytes, other: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)] + other[rng.randrange(len(other) + 1) :]


def _other_json(content: bytes, rng: random.Random) -> bytes:
    try:
        whole = json.loads(content)
    except (ValueError, RecursionError):
        return _flip(content, rng)
    places = list(_places(whole))
    if places:
        holder, key = rng.choice(places)
        match rng.randrange(4):
            case 0:
                holder[key] = rng.choice(_VALUES)
            case 1:
                other, place = rng.choice(places)
                holder[key] = json.loads(json.dumps(other[place]))
            case 2:
                del holder[key]
            case _:
                holder[key] = (
                    {str(rng.choice(_VALUES))[:300]: holder[key]} if rng.random() < 0.5 else [holder[key]] * rng.choice((1, 2, 100))
                )
    made = json.dumps(whole)
    return made.encode() if len(made) <= MAX_BYTES else content


def _places(whole: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    pending = [whole]
    while pending and len(found) < 20_000:
        node = pending.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        found += [(node, key) for key in keys]
        pending += [node[key] for key in keys]
    return found
