"""A face encoder small enough to check by hand: its vector is the mean of each channel. Written as ONNX, byte by byte."""

from __future__ import annotations

from pathlib import Path


def write_mean_encoder(path: Path, *, batch: int | str = 1, side_px: int = 112) -> Path:
    """GlobalAveragePool and Flatten: float32 (batch, 3, side, side) to (batch, 3); a `str` batch is left open."""
    nodes = _node("GlobalAveragePool", "faces", "pooled") + _node("Flatten", "pooled", "vectors")
    ends = _value(11, "faces", [batch, 3, side_px, side_px]) + _value(12, "vectors", [batch, 3])
    graph = nodes + _text(2, "mean") + ends
    path.write_bytes(_number(1, 8) + _part(8, _number(2, 13)) + _part(7, graph))
    return path


def _node(operation: str, source: str, target: str) -> bytes:
    return _part(1, _text(1, source) + _text(2, target) + _text(4, operation))


def _value(field: int, name: str, shape: list[int | str]) -> bytes:
    sides = b"".join(_part(1, _number(1, side) if isinstance(side, int) else _text(2, side)) for side in shape)
    return _part(field, _text(1, name) + _part(2, _part(1, _number(1, 1) + _part(2, sides))))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, value: str) -> bytes:
    return _part(field, value.encode())


def _part(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    low, high = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(high) if high else bytes([low])
