"""What a file says of its origin outside of a C2PA manifest, and what is left of a manifest that was removed.

XMP and IPTC's source type (`Iptc4xmpExt:DigitalSourceType`; IPTC's older record, IIM, has no such field), China's label, the
names of programs. Nobody signs any of it. So what it declares counts only where the manifest says nothing, a claim of capture never,
and the name of a program decides nothing.

Call `read` in the sandbox, as `check` does: it reads hostile bytes. Bounded time and memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from monitor.provenance import aigc, xmp
from monitor.provenance.fields import Fields, read_fields
from monitor.provenance.manifest import ai_of_source, plain
from monitor.provenance.types import AI, Signal

__all__ = ["RULES", "Metadata", "read"]

RULES = 2
"""The version of these rules and of the readers: what is held as older ones read it is read again."""

_KEPT = 20  # signals of each kind
_PACKETS = 8
_PROVENANCE = "http://purl.org/dc/terms/provenance"
_SOURCE_TYPES = {"digitalsourcetype", "digsrctype"}
_PROGRAMS = {"creatortool", "softwareagent", "software", "encoder", "handler", "credit", "com.apple.quicktime.software"}
_STRONGEST_FIRST = (AI.FULLY, AI.PARTLY, AI.MAY, AI.CAPTURED)
_CODES = {AI.FULLY: "metadata_ai_fully", AI.PARTLY: "metadata_ai_partly", AI.MAY: "metadata_ai_may", AI.CAPTURED: "metadata_captured"}
SIGNALS = frozenset({*_CODES.values(), "metadata_source_type", "program", "orphan"})
"""The codes of the signals made here."""

_MEANING = {
    AI.FULLY: "made by generative AI",
    AI.PARTLY: "made in part by generative AI",
    AI.MAY: "possibly made by generative AI",
    AI.CAPTURED: "captured by a device",
    AI.UNKNOWN: "which says nothing about AI",
}


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a file's metadata declares.

    `ai` is the strongest that any field declares, `where` that field; `points_at` what XMP says of where the manifest is.

    `orphans`: where pieces of a manifest lie that no reader looks for. `signals` are for a reviewer.
    """

    ai: AI = AI.UNKNOWN
    where: str | None = None
    points_at: str | None = None
    orphans: tuple[str, ...] = ()
    signals: tuple[Signal, ...] = ()

    def stripped(self, *, has_manifest: bool) -> str | None:
        """What is left of a manifest that was removed, in words; None where there is one, or no trace."""
        if has_manifest:
            return None
        if self.points_at is not None:
            return f"its XMP still names the manifest {self.points_at}"
        if self.orphans:
            return f"a piece of a manifest lies in {self.orphans[0]}, where no reader looks for it"
        return None


@dataclass(frozen=True, slots=True)
class _Declaration:
    ai: AI
    where: str
    text: str

    @property
    def signal(self) -> Signal:
        return Signal(_CODES.get(self.ai, "metadata_source_type"), self.where, f"{self.text}: {_MEANING[self.ai]}. Nobody signed that.")


def read(path: Path) -> Metadata:
    """The metadata of the file at `path`. OSError passes through; nothing else is raised for what stands in the file."""
    return judged(read_fields(path))


def judged(fields: Fields) -> Metadata:
    """What the fields declare, weighed together. Pure."""
    declared: list[_Declaration] = []
    programs: list[Signal] = []
    points_at = None
    for where, name, value in _all(fields):
        if (found := _declaration(where, name, value)) is not None:
            declared.append(found)
        elif _last_word(name) in _PROGRAMS:
            programs.append(Signal("program", plain(where), f"Names the program {plain(value)}."))
        elif name == _PROVENANCE:
            points_at = plain(value)
    orphans = tuple(plain(where) for where in fields.orphans[:_KEPT])
    strongest = next((each for ai in _STRONGEST_FIRST for each in declared if each.ai is ai), None)
    signals = [each.signal for each in declared[:_KEPT]] + programs[:_KEPT]
    signals += [Signal("orphan", where, "A piece of a C2PA manifest lies here, where no reader looks for one.") for where in orphans]
    return Metadata(
        ai=AI.UNKNOWN if strongest is None else strongest.ai,
        where=None if strongest is None else strongest.where,
        points_at=points_at,
        orphans=orphans,
        signals=tuple(dict.fromkeys(signals)),
    )


def _declaration(where: str, name: str, value: str) -> _Declaration | None:
    place = plain(f"{where} {name}")
    if _last_word(name) in _SOURCE_TYPES:
        return _Declaration(ai_of_source(value), place, f"The metadata gives the source as {plain(value.rpartition('/')[2])}")
    if name.endswith(aigc.KEY) or f'"{aigc.KEY}"' in value[:40]:
        said = aigc.label(value)
        return None if said is None else _Declaration(said, place, "China's label for generated content stands in the metadata")
    return None


def _last_word(name: str) -> str:
    """The last word of an XMP name with its namespace, or of a plain name."""
    return name.replace("#", "/").replace(":", "/").rpartition("/")[2].lower()


def _all(fields: Fields) -> Iterator[tuple[str, str, str]]:
    """Where, name and text of every field. An XMP name is its namespace and its local name, joined as RDF joins them."""
    yield from fields.tags
    for where, packet in fields.xmp[:_PACKETS]:
        for each in xmp.properties(packet):
            yield where, each.namespace + each.name, each.value
