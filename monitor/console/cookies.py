"""The console's cookies: HttpOnly, SameSite=Lax, for the root path alone, and Secure wherever the public scheme is https.

Over https their names carry a prefix by which a browser refuses them from anywhere else (RFC 6265bis 4.1.3): `__Host-` (set by this very
host, for all of it), or under a root path `__Secure-`, because `__Host-` would send them to whatever else the host serves.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import HTTPConnection
from starlette.responses import Response


@dataclass(frozen=True, slots=True)
class Cookies:
    """How one console sets and reads cookies. `always_secure`: also where no proxy says that the public scheme is https."""

    root_path: str
    always_secure: bool

    def secure(self, request: HTTPConnection) -> bool:
        return self.always_secure or request.url.scheme == "https"

    def name(self, request: HTTPConnection, name: str) -> str:
        if not self.secure(request):
            return name
        return f"__Secure-{name}" if self.root_path else f"__Host-{name}"

    def get(self, request: HTTPConnection, name: str) -> str | None:
        """The value of a cookie under the name that this request's scheme asks for, and under no other."""
        return request.cookies.get(self.name(request, name))

    def set(self, request: HTTPConnection, response: Response, name: str, value: str, max_age_s: int) -> None:
        response.set_cookie(
            self.name(request, name),
            value,
            max_age=max_age_s,
            path=self.root_path or "/",
            secure=self.secure(request),
            httponly=True,
            samesite="lax",
        )

    def delete(self, request: HTTPConnection, response: Response, name: str) -> None:
        """Delete a cookie by the attributes it was set with: a browser refuses a prefixed name without them, and would keep the cookie."""
        self.set(request, response, name, "", 0)
