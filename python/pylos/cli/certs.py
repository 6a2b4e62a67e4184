"""`pylos certs`: which certificates are shown, and until when they hold; and those that come by themselves."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pylos import supervisor
from pylos.cli.options import ConfigFile, Json, chosen
from pylos.cli.output import show_json, show_table
from pylos.cli.running import Name
from pylos.config import Loaded, load
from pylos.errors import GatewayError, PylosError, printable

HEADS = ("TLS", "NAMES", "KEY", "EXPIRES", "FROM", "NOTE")
UNKNOWN = dict.fromkeys(("key", "issuer", "not_before", "not_after", "serial", "sha256", "state", "error", "next_step"))
AUTOMATIC = UNKNOWN.keys() - {"key", "issuer", "not_before", "not_after", "serial", "sha256"}
"""What only those have that come by themselves."""

certs = typer.Typer(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})


@certs.callback()
def listing(
    context: typer.Context,
    *,
    config: ConfigFile = None,
    name: Name = supervisor.DEFAULT_NAME,
    json: Json = False,
) -> None:
    """List the certificates of a configuration: for which names, with what kind of key, until when, from where.

    Those of files are read as they are now, and are sound: `pylos check` says what is wrong with others. How those are
    that come by themselves is asked of the gateway that runs.

    [bold]Examples[/bold]

      pylos certs

      pylos certs -c gateway.toml --json

      pylos certs renew shop

      pylos certs trust
    """
    if context.invoked_subcommand is not None:
        return
    loaded = load(chosen(config))
    rows = [*of_files(loaded), *of_acme(loaded, name)]
    if json:
        show_json(rows)
        return
    lines = [columns(row) for row in rows]
    width = len(HEADS) if any(line[-1] for line in lines) else len(HEADS) - 1
    show_table(HEADS[:width], [line[:width] for line in lines])


@certs.command()
def renew(
    tls: Annotated[str, typer.Argument(metavar="NAME", help="The name of its [tls.NAME].")],
    *,
    name: Name = supervisor.DEFAULT_NAME,
) -> None:
    """Have a running gateway renew a certificate now that comes by itself; `pylos certs` says what came of it.

    [bold]Examples[/bold]

      pylos certs renew shop
    """
    asked(name, {"type": "renew", "tls": tls})
    typer.echo(f"certificate {tls} is being renewed")


@certs.command()
def trust(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Where the root is written; - is standard output.")
    ] = Path("pylos-local.pem"),
    *,
    name: Name = supervisor.DEFAULT_NAME,
) -> None:
    """Write the root of this machine's own authority (`acme = "local"`) to a file, and say how to trust it.

    Who trusts it trusts everything that this gateway signs with it: it is for the machine of a developer.

    [bold]Examples[/bold]

      pylos certs trust

      pylos certs trust - > root.pem
    """
    root = asked(name, {"type": "root"})["root"]
    if str(file) == "-":
        typer.echo(root, nl=False)
        return
    try:
        file.write_text(root)
    except OSError as error:
        raise PylosError(f"{file} cannot be written: {error.strerror}") from None
    from pylos.supervisor.acme import trust_commands  # noqa: PLC0415 - what it needs takes long to import

    commands = trust_commands(file.absolute())
    system = "macos" if sys.platform == "darwin" else "debian"
    told = [f"{file} is the root. Trusted by curl: curl --cacert {file} URL", "By the system:"]
    told += [f"  {line}" for line in commands[system]]
    told += ["By Firefox:", *(f"  {line}" for line in commands["firefox"])]
    typer.echo("\n".join(told))


def asked(name: str, question: dict[str, object]) -> dict[str, Any]:
    """Ask a running gateway."""
    line = supervisor.connect(name)
    try:
        return line.ask(question)
    finally:
        line.close()


def of_files(loaded: Loaded) -> Iterator[dict[str, Any]]:
    """List those of files."""
    if not loaded.pairs:
        return
    from pylos.config.certificates import listed  # noqa: PLC0415 - what it needs takes long to import

    for row in listed(loaded):
        yield {**row, "acme": None, **dict.fromkeys(AUTOMATIC)}


def of_acme(loaded: Loaded, name: str) -> Iterator[dict[str, Any]]:
    """List those that come by themselves, as the gateway of a name has them."""
    wanted = loaded.acme.get("tls", {})
    if not wanted:
        return
    from pylos.config import x509  # noqa: PLC0415 - what it needs takes long to import

    try:
        known = {one["tls"]: one for one in asked(name, {"type": "certificates"})["certificates"]}
        otherwise = "not in use yet: the gateway has another configuration"
    except GatewayError as error:
        known, otherwise = {}, str(error).partition("\n")[0]
    for tls, one in wanted.items():
        using = [listener for listener, listen in loaded.table["listen"].items() if tls in listen["tls"]]
        row = {"tls": tls, "file": None, "acme": one["acme"], "listeners": using, "names": one["domains"], **UNKNOWN}
        if (told := known.get(tls)) is not None:
            said = {key: told[key] for key in AUTOMATIC}
            yield {**row, **x509.about_chain(told["chain"]).as_json(), **said, "note": note(told)}
        else:
            yield {**row, "note": otherwise}


def note(told: Mapping[str, Any]) -> str | None:
    """Say what is odd about one that comes by itself."""
    found = "signs itself until one comes" if told["begins"] is None else None
    if told["error"] is not None:
        first = str(told["error"]).partition("\n")[0]
        return f"{found or told['state']}: {first} (next try {told['next_step']})"
    return found


def columns(row: Mapping[str, Any]) -> list[str]:
    """Write one row for a reader; the note is empty where there is nothing to say."""
    day = str(row["not_after"] or "").partition("T")[0] or "-"
    origin = row["file"] or f"acme {row['acme']}"
    cells = (row["tls"], ",".join(row["names"]), row["key"] or "-", day, origin, row["note"] or "")
    return [printable(cell) for cell in cells]
