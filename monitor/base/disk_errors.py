"""The system's errors about a disk, a folder or a limit of the machine, as one of Sosie's two storage errors."""

from __future__ import annotations

import errno
import os

from monitor.base.errors import SosieError, StorageFull, StorageUnavailable

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY = {errno.EROFS}
_REFUSED = {errno.EACCES, errno.EPERM}
_BROKEN = {getattr(errno, name) for name in ("EIO", "ENXIO", "ENODEV", "ESTALE", "EUCLEAN", "EREMOTEIO") if hasattr(errno, name)}
_LIMITS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}

_NEXT_STEPS = (
    (_READ_ONLY, "Mount it for writing again; see the kernel's log for why it is read-only. Work goes on by itself then"),
    (_REFUSED, "Give Sosie's user the right to read and write there. Work goes on by itself then"),
    (_BROKEN, "Check the disk, or the share it comes from, and the kernel's log. Work goes on by itself when it answers again"),
    (_LIMITS, "Raise the limits of the process (`ulimit -n`, its memory), or run fewer slots"),
)


def named(error: OSError, place: object) -> SosieError | None:
    """The error to raise for `error`, met at `place`; None where it is about neither a disk nor a limit of the machine's."""
    if error.errno is None:
        return None
    thing = error.filename if isinstance(error.filename, str) else place
    if error.errno in _FULL:
        return StorageFull(thing, "no space is left on the disk; nothing stored before was changed", "Free some space and try again")
    for numbers, next_step in _NEXT_STEPS:
        if error.errno in numbers:
            return StorageUnavailable(thing, f"cannot be used: {os.strerror(error.errno)}", next_step)
    return None
