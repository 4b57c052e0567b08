"""Evidence stills and reference pictures.

A URL names a case and a position, or a reference; the file's name comes from the database alone.
"""

from __future__ import annotations

import io
import logging

from fastapi import APIRouter
from PIL import Image
from starlette.responses import Response

from monitor.base.blobs import picture_of
from monitor.base.errors import BlobDamaged, NotFound
from monitor.console.auth import Reader
from monitor.console.context import HERE, Context, ContextDep
from monitor.console.framing import Framing, framing
from monitor.registry import references
from monitor.review import cases
from monitor.review.cases import Moment

router = APIRouter(include_in_schema=False)

EVIDENCE = "evidence"
REFERENCES = "references"
_log = logging.getLogger(__name__)
_PLACEHOLDER = HERE / "static" / "gone.svg"


@router.get("/cases/{case_id}/stills/{position}")
def still(case_id: str, position: int, context: ContextDep, principal: Reader) -> Response:
    with context.store.session(read_only=True) as session:
        moments = cases.get_case(session, case_id).moments
    if not 0 <= position < len(moments):
        raise NotFound(f"Still {position} of this case", "does not exist", "Open the case again")
    return _picture(context, EVIDENCE, moments[position].still)


@router.get("/references/{reference_id}")
def reference(reference_id: str, context: ContextDep, principal: Reader) -> Response:
    """The picture of a reference; an erased one gives the placeholder: a case page outlives its pictures."""
    try:
        with context.store.session(read_only=True) as session:
            name = references.get_reference(session, reference_id).file
    except NotFound:
        name = None
    return _picture(context, REFERENCES, name)


def frame(context: Context, moment: Moment) -> Framing | None:
    """The framing of a still on a page; None when the still is gone."""
    jpeg = _jpeg(context, EVIDENCE, moment.still)
    if jpeg is None:
        return None
    try:
        with Image.open(io.BytesIO(jpeg)) as picture:  # reads the header of a JPEG that Sosie wrote
            return framing(picture.width, picture.height, moment.box)
    except OSError:
        return None


def _picture(context: Context, area: str, name: str | None) -> Response:
    """An answer with the JPEG of that name, or with 404 a drawing in place of the JPEG (browsers show the drawing all the same)."""
    jpeg = _jpeg(context, area, name)
    if jpeg is None:
        return Response(_PLACEHOLDER.read_bytes(), 404, media_type="image/svg+xml")
    return Response(jpeg, media_type="image/jpeg")


def _jpeg(context: Context, area: str, name: str | None) -> bytes | None:
    """The JPEG by a name, if the name is of that area, and the JPEG still there and intact."""
    if name is None:
        return None
    try:
        return picture_of(context.blobs, area, name)
    except BlobDamaged as error:
        _log.error("%s", error)
        return None
