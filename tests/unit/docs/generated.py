"""docs/generate.py as a module."""

from __future__ import annotations

import importlib.util
from types import ModuleType

from manual_pages import ROOT


def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
