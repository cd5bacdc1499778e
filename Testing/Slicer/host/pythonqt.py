"""PySide made to behave as PythonQt does, for everybody outside this package.

In Slicer, Python talks to Qt through PythonQt: a Qt property is an attribute to read and to write,
and an instance takes no attributes of its own. PySide offers getters and setters instead, and
takes any attribute. Every Qt class is given an attribute access that asks who is calling:
code of this package and of PySide sees plain PySide, everybody else sees PythonQt.

Setters and getters of properties are refused on purpose although PythonQt would take them:
code that uses neither runs on both.
"""

import dis
import functools
import inspect
import re
import sys

from PySide6 import QtCore, QtGui, QtTest, QtUiTools, QtWidgets

from . import __name__ as _HOST

MODULES = (QtCore, QtGui, QtWidgets, QtUiTools, QtTest)
_PLAIN_CALLERS = (_HOST, "PySide6", "shiboken6", "shibokensupport")
# Slicer's own Python code is written for PythonQt, where setters work too.
_LENIENT_CALLERS = ("slicer",)
# PySide counts these among the methods, since they take optional arguments.
_PROPERTIES_BY_HAND = {"QComboBox": ("currentData",)}
# The static method that bears a property's name.
_NO_GETTERS = ("singleShot",)
# Accessors of properties that C++ looks up in Python, too, whoever happens to be running.
_VIRTUAL = ("setVisible", "sizeHint", "minimumSizeHint")
# Methods that hand over a QVariant: PythonQt makes tuples of lists in it.
_HAND_OVER_LISTS = ("itemData", "property")
_original_getattribute: dict[type, object] = {}


def emulate() -> None:
    """Give every QObject class of PySide PythonQt's attributes. A second call changes nothing."""
    if _original_getattribute:
        return
    # Base classes first, so that each keeps its own original.
    for cls in sorted(_qobject_classes(), key=lambda cls: len(cls.__mro__)):
        _original_getattribute[cls] = cls.__getattribute__
    for cls, original in _original_getattribute.items():
        cls.__getattribute__ = _getattribute_of(original)
        cls.__setattr__ = _setattr


def _asks_for(frame, name: str) -> bool:
    """Whether the calling code names the attribute, and not Qt, which looks for an override."""
    return any(
        instruction.offset == frame.f_lasti and instruction.argval == name
        for instruction in dis.get_instructions(frame.f_code)
    )


def _qobject_classes() -> set[type]:
    classes = set()
    for module in MODULES:
        for name in dir(module):
            value = getattr(module, name)
            if isinstance(value, type) and issubclass(value, QtCore.QObject):
                classes.add(value)
    return classes


def _caller_is(frame, packages: tuple[str, ...]) -> bool:
    name = frame.f_globals.get("__name__") or ""
    return name in packages or name.split(".", 1)[0] in packages


def _getattribute_of(original):
    def getattribute(self, name):
        frame = sys._getframe(1)
        if name.startswith("__") or _caller_is(frame, _PLAIN_CALLERS):
            return original(self, name)
        if _defined_in_python(type(self), name) or _in_instance(self, name):
            return original(self, name)
        if name == "name":
            return self.objectName()
        if name == "className":
            return functools.partial(_class_name, self)
        if name in ("connect", "disconnect"):
            return functools.partial(_CONNECTIONS[name], self, original(self, name))
        if name == "exec_":
            return original(self, "exec")
        if name in _VIRTUAL and not _asks_for(frame, name):
            return original(self, name)
        accessors = _accessors(_pyside_class(type(self)))
        if name in accessors.getters:
            return _read(self, original, name, accessors)
        if name in accessors.hidden and not _caller_is(frame, _LENIENT_CALLERS):
            raise AttributeError(
                f"{_class_name(self)}.{name}() works in PySide only: "
                f"{accessors.hidden[name]} is an attribute"
            )
        if name in _HAND_OVER_LISTS:
            return functools.partial(_as_tuple, original(self, name))
        return original(self, name)

    return getattribute


def _as_tuple(function, *arguments):
    value = function(*arguments)
    return tuple(value) if isinstance(value, list) else value


def _setattr(self, name, value):
    frame = sys._getframe(1)
    cls = type(self)
    if name == "name" and not _caller_is(frame, _PLAIN_CALLERS):
        name = "objectName"
    if not name.startswith("__") and not _caller_is(frame, _PLAIN_CALLERS):
        if not _defined_in_python(cls, name):
            accessors = _accessors(_pyside_class(cls))
            if name == "singleShot" and isinstance(self, QtCore.QTimer):
                # PythonQt takes the name for the static method of the same name.
                raise AttributeError("Slot 'singleShot' can not be overwritten on QTimer object")
            if name in accessors.getters:
                return _write(self, name, value, accessors)
        if not _takes_attributes(cls) and _python_attribute(cls, name) is None:
            raise AttributeError(f"{_class_name(self)} has no attribute {name!r}")
    _set_plainly(self, name, value)
    return None


def _set_plainly(self, name, value):
    described = _python_attribute(type(self), name)
    if isinstance(described, QtCore.Property):
        if described.fset is None:
            raise AttributeError(f"{_class_name(self)}.{name} is read-only")
        described.fset(self, value)
    elif hasattr(type(described), "__set__"):
        described.__set__(self, value)
    else:
        self.__dict__[name] = value


class _Accessors:
    """How a PySide class reads and writes its Qt properties."""

    def __init__(self, cls: type):
        self.getters: dict[str, str | None] = {}
        self.setters: dict[str, str | None] = {}
        self.hidden: dict[str, str] = {}
        meta = cls.staticMetaObject
        for index in range(meta.propertyCount()):
            described = meta.property(index)
            self._add(cls, described.name(), described.isWritable())
        for base in cls.__mro__:
            for name in _PROPERTIES_BY_HAND.get(base.__name__, ()):
                self._add(cls, name, False)

    def _add(self, cls, name, writable):
        upper = name[0].upper() + name[1:]
        candidates = (name, "is" + upper, "has" + upper, "to" + upper)
        getter = next((n for n in candidates if hasattr(cls, n) and n not in _NO_GETTERS), None)
        setter = "set" + upper if hasattr(cls, "set" + upper) else None
        self.getters[name] = getter
        if getter and getter != name:
            self.hidden[getter] = name
        if writable:
            self.setters[name] = setter
            if setter:
                self.hidden[setter] = name


@functools.cache
def _accessors(cls: type) -> _Accessors:
    return _Accessors(cls)


@functools.cache
def _pyside_class(cls: type) -> type:
    return next(base for base in cls.__mro__ if base in _original_getattribute)


def _is_pyside(cls: type) -> bool:
    return cls.__module__.split(".")[0] in ("PySide6", "shiboken6", "Shiboken", "builtins")


@functools.cache
def _takes_attributes(cls: type) -> bool:
    """Whether Python code derived the class, which lets its instances hold Python attributes."""
    return not _is_pyside(cls) and not cls.__module__.startswith(_HOST)


@functools.cache
def _defined_in_python(cls: type, name: str) -> bool:
    return any(name in vars(base) for base in cls.__mro__ if not _is_pyside(base))


def _in_instance(self, name: str) -> bool:
    return name in object.__getattribute__(self, "__dict__")


def _python_attribute(cls: type, name: str):
    for base in cls.__mro__:
        if name in vars(base):
            return vars(base)[name]
    return None


def _read(self, original, name, accessors):
    getter = accessors.getters[name]
    if getter is None:
        value = self.property(name)
    else:
        value = original(self, getter)
        value = value() if callable(value) else value
    return tuple(value) if isinstance(value, list) else value


def _write(self, name, value, accessors):
    if name not in accessors.setters:
        raise AttributeError(f"{_class_name(self)}.{name} is read-only")
    setter = accessors.setters[name]
    if setter is None:
        self.setProperty(name, value)
        return
    try:
        getattr(self, setter)(value)
    except TypeError as error:
        raise ValueError(
            f"{_class_name(self)}.{name} does not take {value!r} ({type(value).__name__})"
        ) from error


def _class_name(self) -> str:
    return self.metaObject().className()


def _split_signature(signature: str) -> tuple[str, str]:
    found = re.fullmatch(r"\s*(\w+)\s*\((.*)\)\s*", signature)
    if not found:
        raise ValueError(f"{signature!r} is no signal signature such as 'clicked(bool)'")
    return found.group(1), found.group(2).replace(" ", "")


def signal_of(sender: QtCore.QObject, signature: str):
    """The signal that a signature such as ``clicked(bool)`` names; ValueError if there is none."""
    name, arguments = _split_signature(signature)
    for cls in type(sender).__mro__:
        known = vars(cls).get("SIGNATURES", {})
        if f"{name}({arguments})" in known:
            return getattr(sender, known[f"{name}({arguments})"]), arguments
    meta = sender.metaObject()
    if meta.indexOfSignal(f"{name}({arguments})") < 0:
        raise ValueError(f"{meta.className()} has no signal {signature}")
    return getattr(sender, name), arguments


_string_connections: dict[tuple, list] = {}


def connect(sender, signature, receiver) -> bool:
    """PythonQt's ``widget.connect("signal(type)", callable)``.

    In Slicer an unknown signal prints a line and returns False; a test must not miss that.
    """
    signal, types = signal_of(sender, signature)
    deliver = _of_arity(len([a for a in types.split(",") if a]), receiver)
    signal.connect(deliver)
    _string_connections.setdefault((id(sender), signature, receiver), []).append((signal, deliver))
    return True


def disconnect(sender, signature, receiver) -> bool:
    """PythonQt's ``widget.disconnect("signal(type)", callable)``."""
    held = _string_connections.get((id(sender), signature, receiver), [])
    if not held:
        return False
    signal, deliver = held.pop()
    return signal.disconnect(deliver)


def _by_name_or_plainly(by_name, sender, original, *arguments):
    if len(arguments) == 2 and isinstance(arguments[0], str):
        return by_name(sender, *arguments)
    return original(*arguments)  # PySide's own, as QTimer.singleShot calls it


_CONNECTIONS = {
    "connect": functools.partial(_by_name_or_plainly, connect),
    "disconnect": functools.partial(_by_name_or_plainly, disconnect),
}


def _of_arity(count, receiver):
    """PySide hands over as many values as the receiving function names."""
    if count == 0:
        return lambda: _call(receiver, ())
    if count == 1:
        return lambda a: _call(receiver, (a,))
    if count == 2:
        return lambda a, b: _call(receiver, (a, b))
    return lambda a, b, c: _call(receiver, (a, b, c))


def _call(receiver, values):
    """Call with as many of the signal's values as the receiver takes."""
    code = getattr(getattr(receiver, "__func__", receiver), "__code__", None)
    if code is None:
        try:
            return receiver(*values)
        except TypeError:
            return receiver()
    takes = code.co_argcount - (1 if hasattr(receiver, "__self__") else 0)
    takes_all = code.co_flags & inspect.CO_VARARGS
    return receiver(*(values if takes_all else values[:takes]))
