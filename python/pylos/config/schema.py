"""The JSON Schema (draft 2020-12) of a document, for editors: what they complete, explain and underline.

It is made from the models and knows the form of a document; what the names in it and their values mean is known to
`pylos check` alone. A string with a `${VAR}` may stand wherever a string may.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from pylos import quantities
from pylos._core import parse_toml
from pylos.config.defaults import OF_KINDS, OWN_KEYS
from pylos.config.shape import NAME
from pylos.model import Table, rate, units
from pylos.model.document import KINDS
from pylos.model.policy import POLICIES

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
VARIABLE = r"\$\{"
"""A string with this may mean anything once the variable is replaced."""


def schema() -> Schema:
    """Give the schema of a whole document."""
    definitions = Definitions()
    kinds = {kind: definitions.kind(kind) for kind in KINDS}
    defaults = {kind: {**definitions.optional(KINDS[kind][0]), **without_own(kind)} for kind in OF_KINDS}
    return {
        "$schema": DIALECT,
        "title": "A configuration of Pylos",
        "type": "object",
        "properties": {
            "$schema": {"description": "Where this schema is, for editors; in JSON only.", "type": "string"},
            "include": {
                "description": "Further files of this document, by path or pattern.",
                "type": "array",
                "items": {"type": "string"},
                "examples": [["conf.d/*.toml"]],
            },
            **kinds,
            "defaults": {
                "description": "Keys that every object of a kind has unless it says otherwise.",
                "type": "object",
                "properties": defaults,
                "additionalProperties": False,
            },
        },
        "additionalProperties": False,
        "allOf": [rule for kind in OF_KINDS for rule in required_unless_default(kind, KINDS[kind][0])],
        "$defs": dict(sorted(definitions.found.items())),
    }


def without_own(kind: str) -> Schema:
    """Refuse what each object has to say itself."""
    own = [{"required": [key]} for key in OWN_KEYS.get(kind, ())]
    return {"not": {"anyOf": own}} if own else {}


def required_unless_default(kind: str, model: type[Table]) -> Iterator[Schema]:
    """Require the keys of an object that `[defaults]` do not give."""
    for key in required_of(model):
        given = {"properties": {kind: {"required": [key]}}, "required": [kind]}
        yield {
            "if": {"not": {"properties": {"defaults": given}, "required": ["defaults"]}},
            "then": {"properties": {kind: {"additionalProperties": {"required": [key]}}}},
        }


def required_of(model: type[Table]) -> list[str]:
    """List the keys that a table cannot be without."""
    return [field.alias or name for name, field in model.model_fields.items() if field.is_required()]


class Definitions:
    """The tables met so far, each defined once."""

    def __init__(self) -> None:
        self.found: dict[str, Schema] = {}

    def kind(self, kind: str) -> Schema:
        """Describe all tables of a kind: one for `pylos`, else by their names."""
        if kind == "pylos":
            return self.reference(KINDS[kind][0])
        one = self.policy() if kind == "policy" else self.kept(kind)
        names = {"propertyNames": {"pattern": f"^{NAME.pattern}$"}}
        return {"type": "object", **names, "additionalProperties": one}

    def kept(self, kind: str) -> Schema:
        """Describe a table of a kind; where defaults may give its keys, none is required of the table alone."""
        model = KINDS[kind][0]
        return self.optional(model) if kind in OF_KINDS else self.reference(model)

    def optional(self, model: type[Table]) -> Schema:
        """Refer to a table that may be without its required keys."""
        self.reference(model)
        self.found[model.__name__].pop("required", None)
        return {"$ref": f"#/$defs/{model.__name__}"}

    def policy(self) -> Schema:
        """Describe a policy: its `type` says which table it is."""
        branches = []
        for name, model in POLICIES.items():
            reference = self.reference(model)
            table = self.found[model.__name__]
            table["properties"]["type"] |= {"const": name}
            table["required"] = ["type", *(key for key in table.get("required", []) if key != "type")]
            branches.append({"if": {"properties": {"type": {"const": name}}}, "then": reference})
        kinds = {"enum": list(POLICIES), "description": "What the policy does, and which keys it has."}
        return {"type": "object", "required": ["type"], "properties": {"type": kinds}, "allOf": branches}

    def reference(self, model: type[Table]) -> Schema:
        """Refer to a table, and define it at the first time."""
        name = model.__name__
        if name not in self.found:
            self.found[name] = {}  # before what is in it
            self.found[name] = self.table(model)
        return {"$ref": f"#/$defs/{name}"}

    def table(self, model: type[Table]) -> Schema:
        """Describe a table."""
        hints = get_type_hints(model, include_extras=True)
        properties = {field.alias or name: self.key(hints[name], field) for name, field in model.model_fields.items()}
        described = {"description": " ".join((model.__doc__ or "").split()), "type": "object", "properties": properties}
        required = required_of(model)
        return {**described, **({"required": required} if required else {}), "additionalProperties": False}

    def key(self, hint: Any, field: FieldInfo) -> Schema:  # noqa: ANN401 - any type
        """Describe a key with its manual, default and example."""
        manual = " ".join((field.description or "").split())
        described = {"description": manual, **self.value(hint)}
        default = field.get_default(call_default_factory=True, validated_data={})
        if default is not PydanticUndefined and default is not None and not isinstance(default, Table):
            described["default"] = default
        if example := example_of(field.alias or "", manual):
            described["examples"] = [example[0]]
        return described

    def value(self, hint: Any) -> Schema:  # noqa: ANN401 - any type
        """Describe the values of a type, None left out: it is what was not written."""
        if unit := unit_of(hint):
            return {"type": "string", "pattern": unit}
        if hint in PLAIN:
            return dict(PLAIN[hint])
        if isinstance(hint, type) and issubclass(hint, Table):
            return self.reference(hint)
        return self.composed(get_origin(hint), get_args(hint))

    def composed(self, origin: Any, arguments: tuple[Any, ...]) -> Schema:  # noqa: ANN401 - what typing has
        """Describe the values of a type that is made of others."""
        if origin is Annotated:
            return bounded(self.value(arguments[0]), arguments[1:])
        if origin is Literal:
            return one_of(arguments)
        if origin is list:
            return {"type": "array", "items": self.value(arguments[0])}
        if origin is dict:
            return {"type": "object", "additionalProperties": self.value(arguments[1])}
        shapes = [self.value(argument) for argument in arguments if argument is not NoneType]
        return shapes[0] if len(shapes) == 1 else {"anyOf": shapes}


PLAIN: dict[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    Any: {},
}


def unit_of(hint: Any) -> str | None:  # noqa: ANN401 - any type
    """Give the pattern of a type's strings, where it is a quantity."""
    if rate.is_rate(hint):
        return rf"^[0-9]{{1,10}}/({'|'.join(rate.UNITS)})$|{VARIABLE}"
    for unit, kinds in UNITS:
        if any(hint is kind or hint == kind for kind in kinds):
            return rf"^[0-9]{{1,15}}({'|'.join(unit.scale)})$|{VARIABLE}"
    return None


UNITS = (
    (quantities.DURATION, (units.Duration, units.DurationOrZero, units.Interval)),
    (quantities.PERCENTAGE, (units.Share,)),
    (quantities.SIZE, (units.LineSize, units.HeadSize, units.BodySize, units.Rate)),
)


def one_of(values: tuple[Any, ...]) -> Schema:
    """Describe fixed values."""
    texts = all(isinstance(value, str) for value in values)
    fixed: Schema = {"const": values[0]} if len(values) == 1 else {"enum": list(values)}
    return {"anyOf": [fixed, {"type": "string", "pattern": VARIABLE}]} if texts else fixed


def bounded(described: Schema, bounds: tuple[Any, ...]) -> Schema:
    """Add the bounds of an annotated type."""
    for bound in [one for found in bounds for one in (found.metadata if isinstance(found, FieldInfo) else [found])]:
        match bound:
            case Ge():
                described["minimum"] = bound.ge
            case Le():
                described["maximum"] = bound.le
            case MinLen():
                described["minItems" if described.get("type") == "array" else "minLength"] = bound.min_length
            case MaxLen():
                described["maxItems" if described.get("type") == "array" else "maxLength"] = bound.max_length
            case _ if pattern := getattr(bound, "pattern", None):
                described["pattern"] = f"{pattern}|{VARIABLE}"
    return described


EXAMPLE = re.compile(r"Example: `(?P<text>.*?)`")


def example_of(key: str, manual: str) -> tuple[Any] | None:
    """Read the example of a key's manual: `key = value`."""
    found = EXAMPLE.search(manual)
    if found is None:
        return None
    text = found["text"]
    document: Mapping[str, Any] = parse_toml(f"it = {text}" if text.startswith("{") else text)[0]
    values = document.get("it", document)
    return (values[key],) if key in values else (next(iter(values.values())),)
