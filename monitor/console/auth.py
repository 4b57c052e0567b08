"""Who is asking: session cookie, CSRF token, capabilities.

- The session cookie is signed (itsdangerous), not stored: account id, a nonce, an expiry, and a mark of the password it was
  made under. At most `SESSION_S` old; `cookies.py` says how it is sent. The account is looked up on every request, so disabling it or
  changing its password ends its sessions at once.
- The CSRF token is derived from the session's nonce. Forms send it as `csrf_token`, scripts as `X-CSRF-Token`. `require`
  checks it on every method that changes something, so no endpoint can forget it.
- `require(capability)` is the one door. Every route outside `/sign-in`, `/health`, `/metrics` and `/static` passes through it
  (a test walks the routes). Roles beyond admin, and API keys, arrive here and nowhere else.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from itsdangerous import BadData, URLSafeSerializer
from starlette.requests import HTTPConnection

from monitor.base.database import Store
from monitor.base.errors import ConfigError
from monitor.base.files import make_once
from monitor.console.cookies import Cookies
from monitor.console.security import SAFE_METHODS
from monitor.review import accounts
from monitor.review.accounts import Account, Role

SESSION_COOKIE = "sosie_session"
CSRF_FIELD = "csrf_token"
CSRF_HEADER = "X-CSRF-Token"
SESSION_S = 12 * 3600
SECRET_FILE = "secret.key"  # noqa: S105 - a file name


class Capability(enum.StrEnum):
    """What a signed-in account may do. One comment each."""

    READ_CASES = "read_cases"  # queue, cases, evidence, references, the API's description
    DECIDE_CASES = "decide_cases"  # claim, renew, release, verdict
    READ_METRICS = "read_metrics"  # /metrics from another machine


CAPABILITIES: dict[str, frozenset[Capability]] = {
    Role.REVIEWER: frozenset({Capability.READ_CASES, Capability.DECIDE_CASES}),
    Role.ADMIN: frozenset(Capability),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """The signed-in account behind one request."""

    account_id: str
    name: str
    capabilities: frozenset[Capability]
    csrf_token: str


@dataclass(frozen=True, slots=True)
class Claims:
    """The content of a valid session cookie."""

    account_id: str
    nonce: str
    password_mark: str


class Sessions:
    """Signs and reads cookies and CSRF tokens. Thread-safe: holds only the key and the clock."""

    def __init__(self, secret: bytes, clock: Callable[[], datetime]) -> None:
        self._secret = secret
        self._clock = clock
        self._signer = URLSafeSerializer(secret, salt="sosie.session", signer_kwargs={"digest_method": hashlib.sha256})

    def issue(self, account: Account) -> str:
        expires = int(self._clock().timestamp()) + SESSION_S
        return str(self._signer.dumps([account.id, secrets.token_urlsafe(16), expires, self.password_mark(account)]))

    def read(self, cookie: str | None) -> Claims | None:
        """The claims of a session cookie; None for a missing, altered, foreign or expired one: all mean "sign in"."""
        if cookie is None:
            return None
        try:
            account_id, nonce, expires, mark = self._signer.loads(cookie)
        except BadData:
            return None
        return Claims(account_id, nonce, mark) if self._clock().timestamp() < expires else None

    def csrf_token(self, nonce: str) -> str:
        return hmac.new(self._secret, b"csrf:" + nonce.encode(), hashlib.sha256).hexdigest()

    def password_mark(self, account: Account) -> str:
        """A mark that changes with an account's password and tells nothing about the password."""
        return hmac.new(self._secret, b"password:" + account.password_hash.encode(), hashlib.sha256).hexdigest()[:16]


def load_secret(home: Path) -> bytes:
    """The key in `home/secret.key`, made on first use; two processes starting at once agree on one.

    Raises `ConfigError` when the file is too short to be a key, or readable by other users of the machine.
    """
    file = home / SECRET_FILE
    secret = make_once(file, secrets.token_hex(32).encode()).strip()
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise ConfigError(file, "other users of this machine can read the key that signs sessions", f"Run: chmod 600 {file}")
    if len(secret) < 32:
        raise ConfigError(file, "is too short to be a key", "Move the file away; a new key is made, and everybody signs in again")
    return secret


def same_token(sent: str | None, expected: str) -> bool:
    return sent is not None and hmac.compare_digest(sent.encode(), expected.encode())


async def sent_csrf_token(request: Request) -> str | None:
    """The token the request carries: the header of a script, or the field of a form."""
    if (header := request.headers.get(CSRF_HEADER)) is not None:
        return header
    if request.headers.get("content-type", "").startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        value = (await request.form()).get(CSRF_FIELD)
        return value if isinstance(value, str) else None
    return None


SentToken = Annotated[str | None, Depends(sent_csrf_token)]


class Door:
    """Turns a request into a `Principal`, or into nobody. Thread-safe."""

    def __init__(self, sessions: Sessions, store: Store, cookies: Cookies) -> None:
        self.sessions = sessions
        self.cookies = cookies
        self._store = store

    def principal(self, request: HTTPConnection) -> Principal | None:
        """The account of the session cookie; None when it is not valid, or the account is gone or disabled."""
        claims = self.sessions.read(self.cookies.get(request, SESSION_COOKIE))
        if claims is None:
            return None
        with self._store.session(read_only=True) as session:
            account = accounts.get_account(session, claims.account_id)
        if account is None or not hmac.compare_digest(claims.password_mark, self.sessions.password_mark(account)):
            return None
        return Principal(account.id, account.name, CAPABILITIES.get(account.role, frozenset()), self.sessions.csrf_token(claims.nonce))


def require(capability: Capability) -> Callable[..., Principal]:
    """A dependency that yields the caller, who is signed in and may do `capability`.

    Otherwise: 401 (not signed in), 403 (not allowed, or a write without this session's CSRF token).
    """

    def dependency(request: Request, token: SentToken) -> Principal:
        door: Door = request.app.state.door
        principal = door.principal(request)
        if principal is None:
            raise HTTPException(401, "Sign in first")
        request.state.principal = principal
        if capability not in principal.capabilities:
            raise HTTPException(403, "Your account may not do this")
        if request.method not in SAFE_METHODS and not same_token(token, principal.csrf_token):
            raise HTTPException(403, "The form is out of date: it was made in another session. Nothing was changed. Load the page again")
        return principal

    return dependency


Reader = Annotated[Principal, Depends(require(Capability.READ_CASES))]
Reviewer = Annotated[Principal, Depends(require(Capability.DECIDE_CASES))]
