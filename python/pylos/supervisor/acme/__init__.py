"""Certificates that come by themselves: from authorities by ACME (RFC 8555), or from this machine for development.

`Certifier` keeps what is `Wanted` in a `Storage`, with what other machines keep there. The files:

    settings, domains        what is wanted, of whom
    certifier, keeper        a list of certificates; one certificate: look, wait, lock, renew
    plan, schedule           what is due, and when: pure
    attempt, issue           the authorities in turn; at one of them: order, prove, fulfil
    client, network, wire    the protocol
    hints, errors            what went wrong, and what to do
    solver: http_01,         how a domain is proven
      tls_alpn_01, dns_01    (dns_update, dns_command and dns_call, dns_visible)
    answers                  what the gateway processes are to answer
    leftovers                what those that died have left
    local, selfsigned        without an authority
    storage, records,        what is kept: files that are whole, locks with a lease
      files, locks
    certificate, keys        X.509
    threads, background      calls that block, work that outlives who began it

Importing it brings `acme`, `requests` and `dnspython` along: only who wants certificates does.
"""

from pylos.supervisor.acme.answers import AnswerCertificate, Answers
from pylos.supervisor.acme.certificate import Certificate
from pylos.supervisor.acme.certifier import Certifier, Status, told_broken
from pylos.supervisor.acme.errors import AcmeError, AuthorityError, SettingsError, StorageError
from pylos.supervisor.acme.keeper import Pace
from pylos.supervisor.acme.local import LocalAuthority, trust_commands
from pylos.supervisor.acme.schedule import RetryDelays
from pylos.supervisor.acme.selfsigned import selfsigned
from pylos.supervisor.acme.settings import (
    Authority,
    Dns,
    DnsCommand,
    DnsFunction,
    DnsUpdate,
    ExternalAccount,
    Wanted,
)
from pylos.supervisor.acme.storage import Storage

__all__ = [
    "AcmeError",
    "AnswerCertificate",
    "Answers",
    "Authority",
    "AuthorityError",
    "Certificate",
    "Certifier",
    "Dns",
    "DnsCommand",
    "DnsFunction",
    "DnsUpdate",
    "ExternalAccount",
    "LocalAuthority",
    "Pace",
    "RetryDelays",
    "SettingsError",
    "Status",
    "Storage",
    "StorageError",
    "Wanted",
    "selfsigned",
    "told_broken",
    "trust_commands",
]
