"""The fields of a message, as a policy reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping


class Headers(Mapping[str, str]):
    """Fields in their order: several lines may have one name, and letter case says nothing in names.

    `_` counts as `-`, since an application behind WSGI or CGI makes one field of `X_Role` and `x-role`: whoever asks
    for one is told what the other says.
    """

    __slots__ = ("_by_name", "_lines")

    def __init__(self, lines: Iterable[tuple[str, str]] = ()) -> None:
        self._lines = tuple((name, value) for name, value in lines)
        self._by_name: dict[str, list[str]] | None = None

    def __getitem__(self, name: str) -> str:
        """Give the value; of several lines all, joined by commas (RFC 9110 5.3), Cookie by semicolons (RFC 9113 8.2.3).

        Raises KeyError when there is no such field.
        """
        values = self._known[folded(name)]
        return ("; " if folded(name) == "cookie" else ", ").join(values)

    def __iter__(self) -> Iterator[str]:
        """Give the names in lower case, each once."""
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and folded(name) in self._known

    def __repr__(self) -> str:
        return f"Headers({list(self._known)})"  # values may be secret

    def get_all(self, name: str) -> list[str]:
        """Give the value of each line of a field, in their order; [] when there is none."""
        return list(self._known.get(folded(name), ()))

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Give names and values as they came."""
        return self._lines

    @property
    def _known(self) -> dict[str, list[str]]:
        if self._by_name is None:
            self._by_name = {}
            for name, value in self._lines:
                self._by_name.setdefault(folded(name), []).append(value)
        return self._by_name


def folded(name: str) -> str:
    """Write a name as all of its spellings."""
    return name.lower().replace("_", "-")
