"""`[tls.NAME]`: what is shown to clients that speak TLS, and by which rules they are spoken to."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, Tag, model_validator

from pylos.model.base import Table, branch, many, one_of_shapes, wrong
from pylos.model.domain import normal
from pylos.model.secret import Secret
from pylos.pasted import is_pasted


def checked_domain(domain: str) -> str:
    """Refuse what no certificate can be for; give it in its one spelling."""
    try:
        return normal(domain)
    except ValueError as error:
        raise wrong("P124", str(error)) from None


def of_a_certificate(name: str) -> str:
    """Refuse what can be no name of a file, without a word of it: what was pasted there may be a secret."""
    if is_pasted(name):
        raise wrong("P122", "a certificate or a list itself stands where its file is named", hint=IN_A_FILE)
    return possible(name)


def of_a_key(name: str) -> str:
    """Refuse the same of a private key, which may be in a variable."""
    if is_pasted(name):
        raise wrong("P122", "the key itself stands where its file is named", hint=IN_A_VARIABLE)
    return possible(name)


def possible(name: str) -> str:
    """Refuse the characters that no name of a file has here."""
    if "\0" in name or "\n" in name or "\r" in name:
        raise wrong("P122", "no file has a name with a line end or a NUL in it", hint="take it out")
    return name


IN_A_FILE = "write it into a file, and its name here"
IN_A_VARIABLE = 'name the variable that has it: `key = { env = "TLS_KEY" }`; or write it into a file, and its name here'

File = Annotated[str, Field(min_length=1), AfterValidator(of_a_certificate)]
FileOfKey = Annotated[str, Field(min_length=1), AfterValidator(of_a_key)]
Files = Annotated[
    Annotated[str, AfterValidator(of_a_certificate), Tag(branch("one"))]
    | Annotated[list[Annotated[str, AfterValidator(of_a_certificate)]], Tag(branch("many"))],
    one_of_shapes("must be a string or a list of strings", one=str, many=list),
]
Key = Annotated[
    Annotated[FileOfKey, Tag(branch("file"))] | Annotated[Secret, Tag(branch("secret"))],
    one_of_shapes("must be a string or a secret, a table of `file` or `env`", file=str, secret=dict),
]


class ClientCertificates(Table):
    """What clients have to show: certificates of their own (mutual TLS)."""

    ca: Files
    """Files with the certificates of those who vouch for clients.

    Where roots are among them (they sign themselves), those are believed, and the others only help to find the way to
    one. Required. Example: `ca = "partners-ca.pem"`.
    """

    mode: Literal["required", "optional"] = "required"
    """Whether a client without a certificate is refused in the handshake. One whose certificate nobody vouches for is
    refused always.

    With `"optional"`, routes ask for one by a [policy](policies.md) of `type = "mtls"`. Default: `"required"`.
    Example: `mode = "optional"`.
    """

    crl: Files | None = None
    """Files with lists of revoked certificates (RFC 5280), of those who are in `ca`.

    They are watched. A client is refused when its certificate is on the list, when there is no list of who has issued
    it, and when that is out of date. Default: absent, nobody is asked. Example: `crl = "partners.crl"`.
    """

    crl_scope: Literal["leaf", "chain"] = "leaf"
    """Which certificates are looked up: the client's own, or also those between it and the root.

    `"chain"` needs a list of each authority in `ca`. Default: `"leaf"`. Example: `crl_scope = "chain"`.
    """

    forward: bool = False
    """Whether targets are told the certificate, as `Client-Cert` (RFC 9440). Whatever clients send by that name never
    reaches them.

    Default: false. Example: `forward = true`.
    """

    @model_validator(mode="after")
    def have_lists(self) -> ClientCertificates:
        """Refuse a scope of no list."""
        if self.crl is None and "crl_scope" in self.model_fields_set:
            hint = "add `crl`, or take it out"
            raise wrong("P108", "does nothing without `crl`", hint=hint, keys=["crl_scope", "crl"])
        return self


class Tls(Table):
    """Certificates with their keys: files in PEM (RFC 7468), or what comes by itself (ACME, RFC 8555)."""

    cert: (
        Annotated[
            Annotated[File, Tag(branch("one"))]
            | Annotated[Annotated[list[File], Field(min_length=1)], Tag(branch("many"))],
            one_of_shapes("must be a string or a list of strings", one=str, many=list),
        ]
        | None
    ) = None
    """A file with the certificate, behind it the intermediate ones; or a list of such files, for further names or for
    the same ones with another kind of key.

    A relative path starts at the folder of the configuration. The files are watched. Default: absent, `acme`
    makes them come by themselves. Example: `cert = "shop.pem"`.
    """

    key: (
        Annotated[
            Annotated[FileOfKey, Tag(branch("file"))]
            | Annotated[Secret, Tag(branch("secret"))]
            | Annotated[Annotated[list[Key], Field(min_length=1)], Tag(branch("many"))],
            one_of_shapes("must be a string, a secret, or a list of them", file=str, secret=dict, many=list),
        ]
        | None
    ) = None
    """The private key: a file, as in `cert`, or a secret; or a list of them, in the order of `cert`.

    RSA of 2,048 to 8,192 bits, ECDSA on P-256, P-384 or P-521, or Ed25519; without a passphrase. Default: absent, each
    file of `cert` holds its key too. Example: `key = ["shop-rsa.key", "shop-ecdsa.key"]`.
    """

    acme: Annotated[str, Field(min_length=1)] | None = None
    """Makes certificates come, and be renewed, by themselves: the name of an `[acme.NAME]`, or `"local"`.

    `"local"` is for development: this machine is the authority, and `pylos certs trust` says how to believe it.
    Default: absent, they are those of `cert`. Example: `{ acme = "letsencrypt", domains = ["shop.example.com"] }`.
    """

    domains: Annotated[list[Annotated[str, AfterValidator(checked_domain)]], Field(min_length=1)] | None = None
    """What the certificate of `acme` is for: domains, wildcards (`*.example.com`) and addresses.

    Default: absent, they stand in the files of `cert`.
    Example: `{ domains = ["shop.example.com"], acme = "letsencrypt" }`.
    """

    profile: Literal["intermediate", "modern"] = "intermediate"
    """What clients must be able to do: `"intermediate"` takes TLS 1.2 (with forward secrecy and authenticated
    encryption) and 1.3, `"modern"` TLS 1.3 alone.

    Default: `"intermediate"`. Example: `profile = "modern"`.
    """

    tickets: bool = True
    """Whether clients get tickets, with which they resume a session in a shorter handshake.

    Default: true. Example: `tickets = false`.
    """

    client: ClientCertificates | None = None
    """Asks clients for certificates of their own.

    Default: absent, they are not asked. Example: `client = { ca = "partners-ca.pem" }`.
    """

    silence: list[str] = Field(default_factory=list)
    """Codes of warnings that are not told about this table.

    Default: none. Example: `silence = ["P123"]`.
    """

    @model_validator(mode="after")
    def one_source(self) -> Tls:
        """Refuse certificates from nowhere and from two places, and what belongs to the other one."""
        if self.cert is None and self.acme is None:
            missing = "acme" if self.domains is not None else "cert"
            hint = '`cert` names a file; `acme` names an authority, and `acme = "local"` is for development'
            raise wrong("P105", f"`{missing}` is missing", hint=hint, keys=["cert", "acme"])
        if self.cert is not None and self.acme is not None:
            raise wrong("P108", "cannot stand beside `cert`", hint="take one of the two out", keys=["acme", "cert"])
        if self.acme is None and self.domains is not None:
            hint = "take it out: the names of a file are those that stand in it"
            raise wrong("P108", "does nothing without `acme`", hint=hint, keys=["domains", "acme"])
        if self.acme is not None and self.domains is None:
            hint = 'add what the certificate is for: `domains = ["shop.example.com"]`'
            raise wrong("P105", "`domains` is missing", hint=hint, keys=["domains", "acme"])
        if self.acme is not None and self.key is not None:
            raise wrong(
                "P108", "does nothing without `cert`", hint="take it out: `acme` makes keys", keys=["key", "cert"]
            )
        return self

    @model_validator(mode="after")
    def pair(self) -> Tls:
        """Refuse keys of which it cannot be said whose they are."""
        if self.key is None or self.cert is None:
            return self
        certs, keys = len(many(self.cert)), len(self.key) if isinstance(self.key, list) else 1
        if certs != keys:
            told = f"{keys} key{'s' * (keys > 1)} for {certs} certificate{'s' * (certs > 1)}"
            raise wrong(
                "P108",
                told,
                hint="`key` has one entry for each of `cert`, in the same order",
                keys=["key", "cert"],
            )
        return self
