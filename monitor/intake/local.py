"""Which file a file:// address in a message may mean: none, or one under a folder the operator named.

A message comes from another system. Without this rule it could have any file of this machine looked at.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from monitor.base.errors import FetchRefused


def allowed_source(uri: str, folder: Path | None) -> str:
    """What `fetch` may be given for the address of a message: http(s) as it is, a file under `folder` as its path.

    Links are followed before the comparison. Raises `FetchRefused` for any other file; whether it exists is for `fetch` to say.
    """
    if not uri.lower().startswith("file:"):
        return uri
    if folder is None:
        raise FetchRefused(
            "A file:// address",
            "this worker reads no files of its machine",
            "Set SOSIE_WORKER_FILES to the folder events may name, or send http(s)",
        )
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise FetchRefused("A file:// address", "it is not a well-formed address", "Check the address") from None
    if parts.netloc not in ("", "localhost"):
        raise FetchRefused("A file:// address", "it names another host", "Leave the host out: file:///…")
    try:
        path = Path(unquote(parts.path)).resolve()
    except (OSError, ValueError, RuntimeError):
        raise FetchRefused("A file:// address", "it is not a well-formed path", "Check the address") from None
    if not path.is_relative_to(folder.resolve()):
        raise FetchRefused("A file:// address", "it leads out of SOSIE_WORKER_FILES", f"Put the file under {folder}")
    return str(path)
