"""How a parameter of each type lies in a scripted module node, as text or as a node reference."""

import enum
import pathlib
import types
import typing
from dataclasses import dataclass
from typing import Any

import slicer

from .validators import IsInstance, NotNone, Validator


@dataclass
class Default:
    """The value that a parameter has until it gets another."""

    value: Any


class _Text:
    """A type that text stands for."""

    def __init__(self, default, to_text, from_text, accepted):
        self.default, self._to_text, self._from_text = default, to_text, from_text
        self.validators = [NotNone(), IsInstance(accepted)]

    def write(self, node, name, value):
        node.SetParameter(name, self._to_text(value))

    def read(self, node, name):
        return self._from_text(node.GetParameter(name))


class _Node:
    """A reference to a node; a node that left the scene reads as None."""

    default = None

    def __init__(self, kinds):
        self.kinds = kinds
        self.validators = [IsInstance(kinds)]

    def write(self, node, name, value):
        # The empty parameter says that the reference was written, were it to None.
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def read(self, node, name):
        return node.GetNodeReference(name)


def unannotated(kind):
    """The type without its annotations, and the annotations."""
    if typing.get_origin(kind) is typing.Annotated:
        kind, *annotations = typing.get_args(kind)
        return kind, list(annotations)
    return kind, []


def node_kinds(kind) -> tuple[type, ...]:
    """The node classes that a type stands for, nothing if it is no node type."""
    members = (kind,)
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        members = tuple(m for m in typing.get_args(kind) if m is not type(None))
    if all(isinstance(m, type) and issubclass(m, slicer.vtkMRMLNode) for m in members):
        return members
    return ()


def storage_for(kind):
    """The way to keep a value of this type."""
    if kind is bool:
        return _Text(False, lambda on: "True" if on else "False", lambda text: text == "True", bool)
    if kind is int:
        return _Text(0, str, int, int)
    if kind is float:
        return _Text(0.0, str, float, (int, float))
    if kind is str:
        return _Text("", str, str, str)
    if isinstance(kind, type) and issubclass(kind, pathlib.PurePath):
        return _Text(kind(), str, kind, kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _Text(next(iter(kind)), lambda e: e.name, lambda text: kind[text], kind)
    kinds = node_kinds(kind)
    if kinds:
        return _Node(kinds)
    raise TypeError(f"This host keeps no parameter of type {kind}")


class Parameter:
    """One parameter of a wrapper class: its name, type, storage, demands and default."""

    def __init__(self, name: str, annotated, default: Any = ...):
        self.name, self.annotated = name, annotated
        self.kind, annotations = unannotated(annotated)
        self.storage = storage_for(self.kind)
        self.validators = self.storage.validators + [
            a for a in annotations if isinstance(a, Validator)
        ]
        given = next((a.value for a in annotations if isinstance(a, Default)), self.storage.default)
        self.default = Default(given if default is ... else default)

    def is_in(self, node) -> bool:
        return bool(node.HasParameter(self.name))

    def read(self, node):
        if not self.is_in(node):
            self.write(node, self.default.value)
        return self.storage.read(node, self.name)

    def write(self, node, value) -> None:
        for validator in self.validators:
            validator.validate(value)
        self.storage.write(node, self.name, value)
