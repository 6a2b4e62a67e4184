"""The compiled core. Positions and lines count from 1, columns in characters."""

from typing import Any, Self

class TomlError(ValueError):
    """The text is no TOML."""

    message: str
    line: int
    column: int

def parse_toml(
    text: str,
) -> tuple[dict[str, Any], list[tuple[tuple[str | int, ...], int, int, int, int, int, int]]]:
    """Parse TOML to plain values, and the place of each key and value.

    A position is (path, line, column and length of the key, line, column and length of the value).
    Raises TomlError at the first place that is no TOML.
    """

def check(table: bytes) -> list[dict[str, Any]]:
    """Compile a table; give its problems, each with code, severity, path, message and hint."""

def routes(table: bytes) -> list[dict[str, Any]]:
    """List the routes of a table in the order in which they are tried."""

def compile_table(table: bytes) -> tuple[list[dict[str, Any]], Compiled | None]:
    """Compile a table; give its problems, and what it came to where none of them is an error."""

class Compiled:
    """A sound table, and what can be asked about it."""

    def routes(self) -> list[dict[str, Any]]:
        """List the routes in the order in which they are tried."""

    def unrouted(self) -> dict[str, list[str]]:
        """Give, by listener, the policies that hold for what no route takes, in the order of execution."""

    def asks(self) -> dict[str, list[str]]:
        """Give, by policy, what its `if` asks for: `client.ip`, `request.headers`."""

    def explain(self, request: bytes) -> dict[str, Any]:
        """Tell where a described request (JSON) would go, and why. Raises ValueError for one that makes no sense."""

class Explainer:
    """A sound table, ready for questions about where requests would go."""

    def __new__(cls, table: bytes) -> Self:
        """Compile a table. Raises ValueError for one with errors."""

    def explain(self, request: bytes) -> dict[str, Any]:
        """Tell where a described request (JSON) would go, and why. Raises ValueError for one that makes no sense."""

def run_gateway(control_fd: int) -> int:
    """Run the gateway process over a control socket until it ends; give its exit code."""

def version() -> str:
    """Give the version of the core."""
