"""Every code of a problem: what it means, a document that has it, the same without it, and what to do.

docs/errors/ is written from here, and `pylos check --explain CODE` prints it.
"""

from pylos.config.codes.form import FORM
from pylos.config.codes.manual import Example, Manual
from pylos.config.codes.meaning import MEANING

__all__ = ["MANUALS", "Example", "Manual", "url_of"]

MANUALS: dict[str, Manual] = {manual.code: manual for manual in (*FORM, *MEANING)}
"""By code, in order."""


def url_of(code: str) -> str:
    """Give the page about a code, as a path from the project's root."""
    return f"docs/errors/{code}.md"
