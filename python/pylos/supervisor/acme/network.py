"""One HTTP exchange with an authority, and what its failure means. Everything here blocks.

Signing and nonces are those of certbot's library; what is ours is the trust in the directory's TLS, more patience with
nonces that are refused, and Retry-After, which the library drops with the answer.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import requests
from acme import errors as library
from acme import messages
from acme.client import ClientNetwork
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.b64 import b64encode
from josepy.errors import Error as JoseError
from josepy.jwa import ES256
from josepy.jwk import JWKEC
from pydantic import BaseModel, ValidationError
from requests.adapters import HTTPAdapter

from pylos.supervisor.acme.errors import AuthorityError, Fault, Problem, SettingsError, shown
from pylos.supervisor.acme.hints import MOST_NONCES, hint_for
from pylos.supervisor.acme.keys import read_key
from pylos.supervisor.acme.wire import retry_after

T = TypeVar("T", bound=BaseModel)
Response = requests.Response
TIMEOUT = 30
"""Seconds without a byte from the authority."""
NOT_WELL = 500
"""From this status on, the authority is to blame."""


class Network(ClientNetwork):
    """The line to one authority, for one task at a time."""

    def __init__(self, key: str, ca: Path | None, timeout: int = TIMEOUT, now: Callable[[], float] = time.time) -> None:
        private = read_key(key)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise SettingsError("the key of an account is not ECDSA")
        jwk = JWKEC(key=private)
        super().__init__(jwk, alg=ES256, user_agent="pylos", timeout=timeout)
        self.session.mount("https://", _Adapter(_context(ca)))
        self.thumbprint = b64encode(jwk.thumbprint()).decode()
        """Of the account's key, as key authorizations end (RFC 8555 section 8.1)."""
        self.public = jwk.public_key()
        self.refused_for: float | None = None
        """Seconds that the last answer, a refusal, wants us to wait."""
        self.status = 0
        """Of the last answer."""
        self._now = now

    def be(self, url: str | None) -> None:
        """Sign for an account from now on; by the key alone without one."""
        self.account = None if url is None else messages.RegistrationResource(body=messages.Registration(), uri=url)

    def post(self, *args: Any, **kwargs: Any) -> Response:  # noqa: ANN401, as the library has it
        """Send something signed, with another nonce as often as one is refused."""
        for _ in range(MOST_NONCES - 1):
            try:
                return self._post_once(*args, **kwargs)
            except messages.Error as error:
                if error.code != "badNonce":
                    raise
                self._nonces.clear()  # those that came with it are no younger
        return self._post_once(*args, **kwargs)

    def _send_request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:  # noqa: ANN401, as above
        if not url.startswith("https://"):
            raise library.ClientError(f"{url} is not https:// (RFC 8555 section 6.1)")
        self.refused_for, self.status = None, 0
        response = super()._send_request(method, url, *args, **kwargs)
        if not response.url.startswith("https://"):
            raise library.ClientError(f"{url} led to {response.url}, which is not https://")
        self.status = response.status_code
        if not response.ok:
            self.refused_for = retry_after(response.headers.get("Retry-After"), self._now())
        return response


class _Adapter(HTTPAdapter):
    """Connections with our own idea of whom to trust."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401, as the library has it
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:  # noqa: ANN401, as above
        return super().proxy_manager_for(proxy, **kwargs, ssl_context=self._context)

    def cert_verify(self, conn: Any, *_: Any) -> None:  # noqa: ANN401, as above
        """Leave it at the context: the library would add a list of authorities of its own to it."""
        conn.cert_reqs, conn.ca_certs, conn.ca_cert_dir = "CERT_REQUIRED", None, None


def _context(ca: Path | None) -> ssl.SSLContext:
    """Trust what the system trusts, and one file more."""
    context = ssl.create_default_context()
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"{ca} cannot be read as certificates to trust: {error}") from None
    return context


def read(kind: type[T], response: Response) -> T:
    """Read an answer. Raises ValueError, which `explained` knows."""
    return kind.model_validate_json(response.content)


def explained(error: Exception, network: Network, authority: str, what: str, name: str | None) -> Exception:
    """Say what went wrong at an authority: `what` did not happen, for `name`. What is no such error stays itself."""
    if isinstance(error, messages.Error):
        problem = _problem(error)
        reached = network.status < NOT_WELL and problem.code != "badNonce"
        told = f"refused {what}"
        return AuthorityError(
            Fault(told, authority, name, problem, hint_for(problem), network.refused_for, reached),
        )
    if isinstance(error, requests.exceptions.SSLError):
        text = f"is not trusted ({what}): {_innermost(error)}"
        hint = "name the file of its certificates, `ca`, if it has some of its own"
        return AuthorityError(Fault(text, authority, name, hint=hint, reached=False))
    if isinstance(error, requests.exceptions.RequestException):
        text = f"was not reached ({what}): {_innermost(error)}"
        return AuthorityError(Fault(text, authority, name, hint="it is tried again by itself", reached=False))
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        text = f"gave no answer that is one to {what}: {shown('.'.join(map(str, first['loc'])))}: {shown(first['msg'])}"
        return AuthorityError(Fault(text, authority, name, reached=False))
    if isinstance(error, (library.Error, JoseError, ValueError, KeyError)):
        status = f" (status {network.status})" if network.status else ""
        text = f"gave no answer that is one to {what}{status}: {_short(error)}"
        return AuthorityError(Fault(text, authority, name, retry_after=network.refused_for, reached=False))
    return error


def _problem(error: messages.Error) -> Problem:
    about = None if error.identifier is None else error.identifier.value
    return Problem(
        str(error.typ), error.detail or "", about, tuple(_problem(inner) for inner in error.subproblems or ())
    )


def _innermost(error: BaseException) -> str:
    """Give the reason below the layers of the HTTP library."""
    seen: BaseException = error
    while True:
        inner = getattr(seen, "reason", None) or (seen.args[0] if seen.args else None)
        if not isinstance(inner, BaseException):
            return _short(seen)
        seen = inner


def _short(error: BaseException) -> str:
    return shown(str(error).rpartition(">: ")[2] or type(error).__name__)
