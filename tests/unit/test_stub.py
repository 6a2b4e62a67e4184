"""The stub of the compiled core says what the built module has."""

import ast
import inspect
from pathlib import Path

import pytest

import pylos
from pylos import _core

STUB = ast.parse((Path(pylos.__file__).parent / "_core.pyi").read_text())
FUNCTIONS = {node.name: node for node in STUB.body if isinstance(node, ast.FunctionDef)}
CLASSES = {node.name: node for node in STUB.body if isinstance(node, ast.ClassDef)}


def test_the_names_are_the_same():
    built = {name for name in vars(_core) if not name.startswith("__")}

    assert built == FUNCTIONS.keys() | CLASSES.keys()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_parameters_are_the_same(name):
    stub = FUNCTIONS[name].args
    built = inspect.signature(getattr(_core, name)).parameters.values()

    assert [parameter.name for parameter in built] == [argument.arg for argument in stub.posonlyargs + stub.args]
    assert {parameter.kind for parameter in built} <= {inspect.Parameter.POSITIONAL_OR_KEYWORD}
    assert all(parameter.default is inspect.Parameter.empty for parameter in built)


def test_the_error_has_its_attributes():
    with pytest.raises(_core.TomlError) as caught:
        _core.parse_toml("a = 1\nb = ")

    attributes = [node.target.id for node in CLASSES["TomlError"].body if isinstance(node, ast.AnnAssign)]
    assert [type(getattr(caught.value, name)).__name__ for name in attributes] == ["str", "int", "int"]
    assert isinstance(caught.value, ValueError)
    assert (caught.value.line, caught.value.column) == (2, 5)


@pytest.mark.parametrize("name", CLASSES)
def test_the_methods_are_the_same(name):
    methods = {node.name for node in CLASSES[name].body if isinstance(node, ast.FunctionDef)}
    built = {name for name in vars(getattr(_core, name)) if not name.startswith("__") or name == "__new__"}

    assert methods == built - ({"__new__"} if name == "TomlError" else set())
