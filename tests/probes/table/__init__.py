"""The table: all groups in reading order."""

from __future__ import annotations

from types import ModuleType

from probes.probe import Probe
from probes.table import (
    absolute_form,
    answer_chunks,
    answer_framing,
    answer_head,
    answer_interim,
    chunks,
    connection,
    content_length,
    expect,
    fields,
    host,
    limits,
    normalisation,
    request_line,
    targets,
    trailers,
    transfer_encoding,
    upgrade,
)

GROUPS: tuple[tuple[str, ModuleType], ...] = (
    ("Request line", request_line),
    ("Targets", targets),
    ("Absolute-form", absolute_form),
    ("Normalisation", normalisation),
    ("Host", host),
    ("Fields", fields),
    ("Content-Length", content_length),
    ("Transfer-Encoding", transfer_encoding),
    ("Chunks", chunks),
    ("Trailers", trailers),
    ("Connection and pipelining", connection),
    ("Expect", expect),
    ("Upgrade", upgrade),
    ("Limits", limits),
    ("Answers: head", answer_head),
    ("Answers: framing", answer_framing),
    ("Answers: chunks", answer_chunks),
    ("Answers: interim", answer_interim),
)

PROBES: tuple[Probe, ...] = tuple(probe for _, module in GROUPS for probe in module.PROBES)
