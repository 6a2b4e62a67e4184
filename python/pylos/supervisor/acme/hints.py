"""What to do about a problem that an authority has told (RFC 8555 section 6.7, and the registry it made)."""

from __future__ import annotations

from pylos.supervisor.acme.errors import Problem

MOST_NONCES = 10
"""An authority that refuses a nonce gives a new one, which is to be used at once (RFC 8555 section 6.5)."""
HINTS = {
    "rateLimited": "its limits are used up: wait, and find out what asks so often; name `staging` for tries",
    "externalAccountRequired": "it wants an account that was made at its site: `eab` with key id and HMAC key",
    "dns": "the domain's records were not found: A or AAAA for this gateway, or the TXT record of dns-01",
    "dnssec": "the domain's DNSSEC signatures do not hold",
    "caa": "a CAA record of the domain names other authorities: add this one (RFC 8659)",
    "rejectedIdentifier": 'it gives none for such a name; for names that are not public there is `acme = "local"`',
    "unsupportedIdentifier": "it gives no certificates for names of this kind (addresses, perhaps)",
    "invalidContact": "it does not like the `email`",
    "unsupportedContact": "it does not like the `email`",
    "unauthorized": "it does not let this account do that: is it still valid there, with its `eab`?",
    "userActionRequired": "its terms have changed: read what the detail names, and agree to it there",
    "accountDoesNotExist": "it has forgotten the account; a new one is made by itself",
    "serverInternal": "it is not well; it is tried again by itself",
    "badCSR": "it does not like the key: try another `key_type`",
    "badPublicKey": "it does not like the key: try another `key_type`",
    "badNonce": f"it has refused {MOST_NONCES} nonces in a row, all its own: it is not well, and tried again by itself",
    "invalidProfile": "it has no such `profile`",
}


OF_CHALLENGES = {
    "http-01": "http://DOMAIN/.well-known/acme-challenge/ must lead here from everywhere, by port 80 and unchanged",
    "tls-alpn-01": "port 443 of the domain must lead here, and nothing before this gateway may end TLS",
    "dns-01": "the TXT record that it found is not ours: is it made in the zone that the world sees?",
}
"""Where it was not satisfied, whatever it calls that. Without a challenge these codes are about the account."""
NOT_SATISFIED = {"unauthorized", "incorrectResponse", "connection", "tls"}


def hint_for(problem: Problem, challenge: str | None = None) -> str | None:
    """Say what to do, by the first of the problem and its subproblems that is known, and by the type of challenge."""
    for one in (problem, *problem.subproblems):
        if one.code in NOT_SATISFIED and challenge in OF_CHALLENGES:
            return OF_CHALLENGES[challenge]
        if (hint := HINTS.get(one.code)) is not None:
            return hint
    return None
