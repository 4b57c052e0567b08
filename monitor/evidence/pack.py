"""`Packer.pack`: a case in, one signed zip out.

    gather → the video again, by its SHA-256 → stills → page → hashes → manifest → signature → zip → audit → FILE

What a caller may rely on:
- The file is complete, signed and on record, or not there: what stood at its place before is left alone until then.
- Stills that are called exact come from bytes with the SHA-256 of the case's video, decoded in the sandbox.
- For the same case, video, key and moment everything is the same, byte for byte, but what signing draws at random: the C2PA manifests
  of the stills (not their pixels, whose hash stands in the manifest), and what lists their hashes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from cryptography.x509.oid import NameOID

from monitor.base.blobs import Blobs, picture_of
from monitor.base.database import Store
from monitor.base.errors import ConfigError, NotFound, RequestRefused, SosieError, StorageFull, TooLarge
from monitor.base.files import write_atomically
from monitor.evidence import archive, credentials, page, stills
from monitor.evidence.credentials import About
from monitor.evidence.manifest import MANIFEST, SIGNATURE, Audience, Manifest, PackedFile, PackedStill, to_json
from monitor.evidence.signing import Signer
from monitor.evidence.stills import Picture
from monitor.evidence.view import CaseEvidence, gather
from monitor.intake.fetch import Fetched, FetchLimits, fetch
from monitor.intake.sandbox import Sandbox
from monitor.review import cases
from monitor.review.cases import Moment

PAGE = "index.html"
HASHES = "hashes.txt"
_MEDIA_TYPES = {".html": "text/html", ".txt": "text/plain", ".json": "application/json", ".png": "image/png", ".jpg": "image/jpeg"}


@dataclass(frozen=True, slots=True)
class Packed:
    """A pack that was written. `manifest_sha256` is what the audit keeps of it."""

    file: Path
    manifest: Manifest
    manifest_sha256: str
    references: int


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A moment's still before and after signing, and the small pictures that the page shows."""

    entry: PackedStill
    content: bytes
    preview: bytes


@dataclass(frozen=True)
class Packer:
    """Makes evidence packs of cases. Not thread-safe on the same file."""

    blobs: Blobs
    scratch: Path
    store: Store
    sandbox: Sandbox
    limits: FetchLimits
    signer: Signer
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def pack(
        self, case_id: str, out: Path, *, audience: Audience, actor: str, video: Path | None = None, kept_stills: bool = False
    ) -> Packed:
        """Write the evidence pack of a case to `out` (mode 0600), replacing it whole or not at all.

        The video is `video`, or fetched again from the posts that carried it; with `kept_stills`, the stills of the scan stand instead.
        Raises `NotFound` for the case; `RequestRefused` where the video of the case cannot be had, or no still is left; `ConfigError`
        where `out` cannot be written; and what decoding raises.
        """
        now = self.clock().astimezone(UTC).replace(microsecond=0)
        with self.store.session(read_only=True) as session:
            evidence = gather(session, case_id, audience)
        references = self._references(evidence)
        if kept_stills:
            drawn = self._kept(evidence, references)
        else:
            with self._video(evidence, video) as fetched:
                drawn = self._exact(evidence, references, fetched)
        files, manifest = self._files(evidence, audience, now, drawn, references)
        content = manifest.to_bytes()
        files |= {MANIFEST: content, SIGNATURE: self.signer.cms(content)}
        packed = Packed(out, manifest, hashlib.sha256(content).hexdigest(), len({s.reference for s in manifest.stills if s.reference}))
        try:
            self._publish(out, archive.write(files, now), packed, actor=actor, now=now)
        except archive.ArchiveRefused as error:
            raise TooLarge(f"The pack of case {case_id}", str(error), "Report it with this message") from error
        return packed

    def _publish(self, out: Path, content: bytes, packed: Packed, *, actor: str, now: datetime) -> None:
        """Write a pack beside its place, put it on record, then move it to its place: no pack without a record of it."""
        draft = out.with_name(f".{out.name}.draft")
        try:
            write_atomically(draft, content)
            try:
                with self.store.session() as session:
                    case = cases.get_case(session, packed.manifest.case_id)
                    detail = {
                        "for": packed.manifest.audience,
                        "manifest_sha256": packed.manifest_sha256,
                        "exact_stills": all(still.exact for still in packed.manifest.stills),
                    }
                    cases.record(session, case, "evidence.packed", actor=actor, now=now, detail=detail)
                draft.replace(out)
            finally:
                draft.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(out, f"cannot be written: {error.strerror}", "Name a file in a folder that is, or can be, yours") from error

    @contextmanager
    def _video(self, evidence: CaseEvidence, given: Path | None) -> Iterator[Fetched]:
        sha256 = evidence.case["video"]["sha256"]
        if given is not None:
            with fetch(str(given.absolute()), scratch=self.scratch, limits=self.limits) as fetched:
                if fetched.sha256 != sha256:
                    raise RequestRefused(
                        given,
                        f"is not the video of this case: its SHA-256 is {fetched.sha256}, that of the case {sha256}",
                        "Give the very file that was scanned, or --kept-stills for the stills that were kept at the scan",
                    )
                yield fetched
            return
        why = []
        for post_id, source in evidence.sources:
            with ExitStack() as stack:
                try:
                    fetched = stack.enter_context(fetch(source, scratch=self.scratch, limits=self.limits))
                except StorageFull:
                    raise
                except SosieError as error:
                    why.append(f"post {post_id}: {error.reason}")
                    continue
                if fetched.sha256 == sha256:
                    yield fetched
                    return
                why.append(f"post {post_id} carries other bytes now, of SHA-256 {fetched.sha256}")
        raise RequestRefused(
            f"The video with SHA-256 {sha256}",
            f"cannot be had from the posts that carried it ({'; '.join(why) or 'there is none'})",
            "Give the file with --video FILE, or --kept-stills for the stills that were kept at the scan",
        )

    def _exact(self, evidence: CaseEvidence, references: Mapping[str, bytes], fetched: Fetched) -> list[_Drawn]:
        drawn = [
            _drawn(moment, self.sandbox.run(stills.exact, fetched.path, moment.time_s, source=fetched.source), references)
            for moment in evidence.moments
        ]
        with fetched.path.open("rb") as file:  # a local file is read where it lies, and somebody may have written to it meanwhile
            if hashlib.file_digest(file, "sha256").hexdigest() != fetched.sha256:
                raise RequestRefused(fetched.source, "was changed while its stills were decoded", "Give a file that stays as it is")
        return drawn

    def _kept(self, evidence: CaseEvidence, references: Mapping[str, bytes]) -> list[_Drawn]:
        drawn = []
        for moment in evidence.moments:
            if (jpeg := picture_of(self.blobs, "evidence", moment.still)) is not None:
                try:
                    drawn.append(_drawn(moment, stills.kept(jpeg, moment.time_s), references))
                except OSError as error:
                    raise NotFound(
                        moment.still, f"cannot be read as a still ({error})", "Give the video with --video FILE instead"
                    ) from error
        if not drawn:
            raise RequestRefused(f"Case {evidence.case['id']}", "has no stills left", "Give the video with --video FILE instead")
        return drawn

    def _references(self, evidence: CaseEvidence) -> dict[str, bytes]:
        found = {reference: picture_of(self.blobs, "references", name) for reference, name in evidence.references.items()}
        return {reference: jpeg for reference, jpeg in found.items() if jpeg is not None}

    def _files(
        self, evidence: CaseEvidence, audience: Audience, now: datetime, drawn: list[_Drawn], references: Mapping[str, bytes]
    ) -> tuple[dict[str, bytes], Manifest]:
        sosie = version("sosie")
        video = evidence.case["video"]
        files: dict[str, bytes] = {_reference_file(each): content for each, content in references.items()}
        previews = dict(files)
        for each in drawn:
            kind = _MEDIA_TYPES[Path(each.entry.file).suffix]
            about = About(Path(each.entry.file).name, kind, video["sha256"], each.entry.shown_s, each.entry.exact, sosie)
            files[each.entry.file] = credentials.sign(each.content, about, self.signer)
            previews[each.entry.file] = each.preview
        entries = tuple(each.entry for each in drawn)
        files |= {
            "case.json": to_json(evidence.case),
            "assessments.json": to_json(evidence.assessments),
            "provenance.json": to_json(evidence.provenance),
            "provenance.txt": ("\n".join(evidence.sentences) + "\n\n" + evidence.tree).encode("utf-8", "replace"),
            "audit.json": to_json(evidence.audit),
        }
        files[PAGE] = page.render(
            evidence,
            audience=audience.value,
            now=now,
            sosie=sosie,
            signer=_name(self.signer),
            stills=entries,
            previews=previews,
            files=_listed(files),
        )
        files[HASHES] = "".join(f"{each.sha256}  {each.path}\n" for each in _listed(files)).encode("ascii")
        manifest = Manifest(
            case_id=evidence.case["id"],
            video_sha256=video["sha256"],
            video_bytes=video["size_bytes"],
            versions={name: str(value) for name, value in evidence.case["versions"].items()},
            audience=audience.value,
            created_at=now.isoformat(timespec="seconds"),
            sosie=sosie,
            signer=self.signer.fingerprints,
            stills=entries,
            files=_listed(files),
        )
        return files, manifest


def _drawn(moment: Moment, picture: Picture, references: Mapping[str, bytes]) -> _Drawn:
    thousandths = round(moment.time_s * 1000)
    seconds, rest = divmod(thousandths, 1000)
    minutes, seconds = divmod(seconds, 60)
    suffix = "png" if picture.media_type == "image/png" else "jpg"
    box = None
    if moment.box is not None:
        x0, y0, x1, y1 = map(float, moment.box)
        box = (x0, y0, x1, y1)
    entry = PackedStill(
        file=f"stills/{minutes // 60:02d}h{minutes % 60:02d}m{seconds:02d}.{rest:03d}s.{suffix}",
        time_s=float(moment.time_s),
        shown_s=float(picture.shown_s),
        exact=picture.pixels_sha256 is not None,
        width=picture.width,
        height=picture.height,
        pixels_sha256=picture.pixels_sha256,
        score=float(moment.score),
        box=box,
        reference=_reference_file(moment.reference_id) if moment.reference_id is not None and moment.reference_id in references else None,
    )
    return _Drawn(entry, picture.content, picture.preview)


def _reference_file(reference_id: str) -> str:
    return f"references/{reference_id}.jpg"


def _listed(files: Mapping[str, bytes]) -> tuple[PackedFile, ...]:
    return tuple(
        PackedFile(path, hashlib.sha256(content).hexdigest(), len(content), _MEDIA_TYPES[Path(path).suffix])
        for path, content in sorted(files.items())
    )


def _name(signer: Signer) -> str:
    found = [signer.certificate.subject.get_attributes_for_oid(oid) for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)]
    return " / ".join(str(each[0].value) for each in found if each) or "nobody named in the certificate"
