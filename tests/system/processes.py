"""Whether processes run."""

from pathlib import Path


def is_running(pid: int) -> bool:
    """Whether it does. One that has ended, if perhaps nobody asks for its exit code, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False
