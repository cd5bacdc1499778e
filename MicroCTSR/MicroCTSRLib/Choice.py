"""What a combo box of the panel offers: a value for the library, a label for people."""

from enum import Enum


class Choice(Enum):
    """Base of the choices among the parameters.

    Example:
        >>> class Device(Choice):
        ...     AUTO = "auto", "Automatic"
        >>> Device("auto").label()
        'Automatic'
    """

    def __new__(cls, value, label):
        member = object.__new__(cls)
        member._value_ = value
        member._text = label
        return member

    def label(self):
        """What Slicer writes into the combo box."""
        return self._text
