import subprocess
import sys

import pytest

import pylos


def test_the_public_names_are_sorted_and_there():
    assert pylos.__all__ == sorted(pylos.__all__)
    assert [name for name in pylos.__all__ if not hasattr(pylos, name)] == []


def test_nothing_else_is_public():
    modules = {"annotations", "Any", "TYPE_CHECKING"}
    public = {name for name in vars(pylos) if not name.startswith("_")} - modules
    packages = {name for name in public if type(getattr(pylos, name)).__name__ == "module"}

    assert public - packages <= set(pylos.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'Gatewya'"):
        pylos.Gatewya  # noqa: B018


def test_what_runs_gateways_is_not_imported_to_check_a_file():
    loaded = "import sys, pylos; print(*[name for name in sys.modules if name.startswith('pylos.')])"
    modules = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout.split()

    assert [name for name in modules if name.startswith(("pylos.gateway", "pylos.supervisor", "pylos.cli"))] == []


def test_the_errors_have_one_base():
    assert issubclass(pylos.ConfigError, pylos.PylosError)
    assert issubclass(pylos.BindError, pylos.PylosError)
    assert issubclass(pylos.GatewayError, pylos.PylosError)
