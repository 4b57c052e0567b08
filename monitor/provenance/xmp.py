"""XMP (ISO 16684-1) read for what it says of a file's origin. Pure; hostile input costs bounded time and memory.

A document type is refused, so there are no entities to expand and nothing to fetch. Properties are told whether they stand in
elements or in attributes, at whatever depth: who reads only the place a standard names is fooled by the other.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from xml.parsers import expat

__all__ = ["MAX_BYTES", "Property", "properties"]

MAX_BYTES = 1024 * 1024
"""Longer packets are cut here. A JPEG's main packet has at most 64 KiB."""

_MAX_DEPTH = 64
_MAX_PROPERTIES = 5000
_MAX_TEXT = 4096
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


@dataclass(frozen=True, slots=True)
class Property:
    """A name with its namespace, and its text."""

    namespace: str
    name: str
    value: str


@dataclass(slots=True)
class _Element:
    namespace: str
    name: str
    text: str = ""


class _Refused(Exception):
    """The packet goes beyond what is read."""


def properties(packet: bytes) -> list[Property]:
    """Every simple property, in the order of the packet; of a packet that breaks off or goes too far, what stood before that."""
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    with suppress(expat.ExpatError, _Refused, ValueError, LookupError):  # the last two: an encoding that Python does not know
        parser.Parse(packet[:MAX_BYTES], True)
    return reader.found


class _Reader:
    def __init__(self) -> None:
        self.found: list[Property] = []
        self._open: list[_Element] = []

    def refuse(self, *_: object) -> None:
        raise _Refused

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= _MAX_DEPTH:
            raise _Refused
        for attribute, value in attributes.items():
            namespace, local = _split(attribute)
            if namespace == _RDF and local == "resource":  # the value of the property it stands on
                self._add(*_split(name), value)
            elif namespace != _RDF:
                self._add(namespace, local, value)
        self._open.append(_Element(*_split(name)))

    def end(self, _: str) -> None:
        element = self._open.pop()
        if not (text := element.text.strip()):
            return
        if element.namespace == _RDF and element.name in ("li", "value"):  # of a list: the list's property is further out
            outer = next((each for each in reversed(self._open) if each.namespace != _RDF), None)
            if outer is not None:
                self._add(outer.namespace, outer.name, text)
        elif element.namespace != _RDF:
            self._add(element.namespace, element.name, text)

    def text(self, data: str) -> None:
        element = self._open[-1]
        if len(element.text) < _MAX_TEXT:
            element.text += data[:_MAX_TEXT]

    def _add(self, namespace: str, name: str, value: str) -> None:
        if len(self.found) >= _MAX_PROPERTIES:
            raise _Refused
        self.found.append(Property(namespace, name, value[:_MAX_TEXT]))


def _split(name: str) -> tuple[str, str]:
    namespace, _, local = name.rpartition(" ")
    return namespace, local
