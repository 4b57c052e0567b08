"""References: the pictures of a likeness and their vectors, from which an index is built.

`generation` grows in the same transaction as any change of what `vectors` yields, so an index that remembers the generation
it was built at knows whether it is current.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint, delete, exists, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from indexes.space import Space
from monitor.base import audit
from monitor.base.database import Base, insert_if_absent, locked
from monitor.base.errors import NotFound

UNIT_TOLERANCE = 1e-3
_DTYPE = np.dtype("<f4")


class Reference(Base):
    """A likeness's picture. `file` is relative to the home; `source` tells a person its origin; `face_box` is x0, y0, x1, y1 in pixels."""

    __tablename__ = "references"
    __table_args__ = (UniqueConstraint("likeness_id", "picture_sha256"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    likeness_id: Mapped[str] = mapped_column(ForeignKey("likenesses.id"))
    picture_sha256: Mapped[str]
    file: Mapped[str]
    source: Mapped[str]
    face_box: Mapped[list[float]]
    created_at: Mapped[datetime]


class VectorSpace(Base):
    """The maker of vectors (`indexes.space.Space`), written once."""

    __tablename__ = "vector_spaces"

    id: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str]
    weights_sha256: Mapped[str]
    preprocessing: Mapped[str]
    dim: Mapped[int]


class ReferenceVector(Base):
    """One unit vector of a reference: float32, little-endian. A reference may have several in one space (crops, a mirror image)."""

    __tablename__ = "reference_vectors"
    __table_args__ = (Index(None, "space_id"),)

    reference_id: Mapped[str] = mapped_column(ForeignKey("references.id", ondelete="CASCADE"), primary_key=True)
    space_id: Mapped[str] = mapped_column(ForeignKey("vector_spaces.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    vector: Mapped[bytes]


class RegistryState(Base):
    """The registry's generation, in one row that the first migration made."""

    __tablename__ = "registry_state"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    generation: Mapped[int] = mapped_column(BigInteger)


def add_reference(
    session: Session,
    likeness_id: str,
    *,
    picture_sha256: str,
    file: str,
    source: str,
    face_box: Sequence[float],
    actor: str,
    now: datetime,
) -> tuple[Reference, bool]:
    """Add a picture to a likeness; say whether it is new. The same picture again changes nothing. `put_vectors` makes it searchable."""
    created = insert_if_absent(
        session,
        Reference,
        id=uuid4().hex,
        likeness_id=likeness_id,
        picture_sha256=picture_sha256,
        file=file,
        source=source,
        face_box=[float(edge) for edge in face_box],
        created_at=now,
    )
    reference = session.scalars(select(Reference).filter_by(likeness_id=likeness_id, picture_sha256=picture_sha256)).one()
    if created:
        detail = {"reference": reference.id, "picture_sha256": picture_sha256}
        audit.record(
            session, now=now, actor=actor, action="reference.added", subject_type="likeness", subject_id=likeness_id, detail=detail
        )
    return reference, created


def references(session: Session, likeness_id: str) -> list[Reference]:
    """The pictures of a likeness, oldest first."""
    return list(session.scalars(select(Reference).filter_by(likeness_id=likeness_id).order_by(Reference.created_at, Reference.id)))


def get_reference(session: Session, reference_id: str) -> Reference:
    """The reference of that id. Raises `NotFound`, also when the likeness it is of was removed."""
    if (reference := session.get(Reference, reference_id)) is None:
        raise _no_reference(reference_id)
    return reference


def put_vectors(session: Session, reference_id: str, space: Space, vectors: NDArray[np.float32]) -> None:
    """Store the reference's vectors in one space, (n, dim) unit rows, in place of any it had there.

    The same vectors again leave the generation alone. Raises `ValueError` for rows that are not finite unit vectors of the
    space's size, `NotFound` for an unknown reference.
    """
    rows = np.ascontiguousarray(vectors, dtype=_DTYPE)
    if rows.ndim != 2 or rows.shape[0] == 0 or rows.shape[1] != space.dim:
        raise ValueError(f"expected (n, {space.dim}) vectors, got {rows.shape}")
    if not np.allclose(np.linalg.norm(rows, axis=1), 1, atol=UNIT_TOLERANCE):  # NaN is not close to 1 either
        raise ValueError("every vector must be finite and of length 1")
    if locked(session, select(Reference).filter_by(id=reference_id)).one_or_none() is None:
        raise _no_reference(reference_id)
    blobs = [row.tobytes() for row in rows]
    key = {"reference_id": reference_id, "space_id": space.id}
    held = session.scalars(select(ReferenceVector.vector).filter_by(**key).order_by(ReferenceVector.position))
    if list(held) == blobs:
        return
    insert_if_absent(
        session,
        VectorSpace,
        id=space.id,
        model=space.model,
        weights_sha256=space.weights_sha256,
        preprocessing=space.preprocessing,
        dim=space.dim,
    )
    session.execute(delete(ReferenceVector).filter_by(**key))
    session.add_all(ReferenceVector(**key, position=position, vector=blob) for position, blob in enumerate(blobs))
    _bump_generation(session)


def vectors(session: Session, space_id: str) -> Iterator[tuple[str, str, NDArray[np.float32]]]:
    """Every (reference id, likeness id, vector) of one space, in an order that depends on nothing but the ids."""
    query = (
        select(ReferenceVector.reference_id, Reference.likeness_id, ReferenceVector.vector)
        .join(Reference, Reference.id == ReferenceVector.reference_id)
        .where(ReferenceVector.space_id == space_id)
        .order_by(Reference.likeness_id, ReferenceVector.reference_id, ReferenceVector.position)
    )
    for reference_id, likeness_id, blob in session.execute(query.execution_options(yield_per=1000)):
        yield reference_id, likeness_id, np.frombuffer(blob, dtype=_DTYPE)


def missing_vectors(session: Session, space_id: str) -> list[Reference]:
    """References without a vector in this space: what has to be embedded after a change of model."""
    has_one = exists().where(ReferenceVector.reference_id == Reference.id, ReferenceVector.space_id == space_id)
    return list(session.scalars(select(Reference).where(~has_one).order_by(Reference.created_at, Reference.id)))


def generation(session: Session) -> int:
    """The registry's generation, which only grows. Read it before `vectors`, in the same session or an earlier one, never after."""
    return session.scalars(select(RegistryState.generation)).one()


def delete_all(session: Session, likeness_id: str) -> tuple[str, ...]:
    """Delete a likeness's references and vectors; return the files that no other reference uses. For `remove_likeness`."""
    files = set(session.scalars(select(Reference.file).filter_by(likeness_id=likeness_id)))
    session.execute(delete(Reference).filter_by(likeness_id=likeness_id))
    _bump_generation(session)
    still_used = set(session.scalars(select(Reference.file).where(Reference.file.in_(files))))
    return tuple(sorted(files - still_used))


def _no_reference(reference_id: str) -> NotFound:
    return NotFound(f"Reference {reference_id}", "does not exist, or its likeness was removed", "`sosie likeness list` shows all")


def _bump_generation(session: Session) -> None:
    session.execute(update(RegistryState).values(generation=RegistryState.generation + 1))
