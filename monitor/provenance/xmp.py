"""XMP (ISO 16684-1) read for what it says of a file's origin. Pure; hostile input costs bounded time and memory.

A document type is refused, so there are no entities to expand and nothing to fetch. Prefixes are resolved here and not by expat, which
would write a long namespace out again for every name that uses it. Properties are told whether they stand in
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
_MAX_NAME = 1000  # of a namespace or a name; those that are known are far shorter
_CHUNK = 16 * 1024  # expat goes on to the end of what it was given, also when we refused it
_MAX_PREFIXES = 100
_XML = {"xml": "http://www.w3.org/XML/1998/namespace"}
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
    prefixes: dict[str, str]  # in force inside it
    text: str = ""


class _Refused(Exception):
    """The packet goes beyond what is read."""


def properties(packet: bytes) -> list[Property]:
    """Every simple property, in the order of the packet; of a packet that breaks off or goes too far, what stood before that."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    with suppress(expat.ExpatError, _Refused, ValueError, LookupError):  # the last two: an encoding that Python does not know
        for at in range(0, min(len(packet), MAX_BYTES), _CHUNK):
            parser.Parse(packet[at : min(at + _CHUNK, MAX_BYTES)], False)
        parser.Parse(b"", True)
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
        prefixes = self._prefixes(attributes)
        namespace, local = _resolved(name, prefixes, prefixes.get("", ""))
        for attribute, value in attributes.items():
            if attribute == "xmlns" or attribute.startswith("xmlns:"):
                continue
            of, which = _resolved(attribute, prefixes, "")
            if of == _RDF and which == "resource":  # the value of the property it stands on
                self._add(namespace, local, value)
            elif of != _RDF:
                self._add(of, which, value)
        self._open.append(_Element(namespace, local, prefixes))

    def _prefixes(self, attributes: dict[str, str]) -> dict[str, str]:
        outer = self._open[-1].prefixes if self._open else _XML
        own = {key[6:]: value for key, value in attributes.items() if key == "xmlns" or key.startswith("xmlns:")}
        if not own:
            return outer
        if len(own) + len(outer) > _MAX_PREFIXES or any(len(value) > _MAX_NAME for value in own.values()):
            raise _Refused
        return outer | own

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


def _resolved(name: str, prefixes: dict[str, str], default: str) -> tuple[str, str]:
    """The namespace and local name of a name. `default` is the namespace of one without prefix: attributes have none."""
    prefix, colon, local = name.partition(":")
    if not colon:
        return default, name[:_MAX_NAME]
    if prefix not in prefixes:
        raise _Refused
    return prefixes[prefix], local[:_MAX_NAME]
