"""What a parameter's annotation may demand of its values."""

from dataclasses import dataclass
from typing import Any


class Validator:
    """A demand on a value."""

    def validate(self, value) -> None:
        raise NotImplementedError


class NotNone(Validator):
    def validate(self, value) -> None:
        if value is None:
            raise ValueError("The value must not be None")


@dataclass
class IsInstance(Validator):
    classtype: Any

    def validate(self, value) -> None:
        if value is not None and not isinstance(value, self.classtype):
            raise TypeError(f"{value!r} is not of type {self.classtype}")


@dataclass
class WithinRange(Validator):
    minimum: float
    maximum: float

    def validate(self, value) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is not within {self.minimum} to {self.maximum}")


@dataclass
class Minimum(Validator):
    minimum: float

    def validate(self, value) -> None:
        if value < self.minimum:
            raise ValueError(f"{value} is below {self.minimum}")


@dataclass
class Maximum(Validator):
    maximum: float

    def validate(self, value) -> None:
        if value > self.maximum:
            raise ValueError(f"{value} is above {self.maximum}")


@dataclass
class Choice(Validator):
    choices: list

    def validate(self, value) -> None:
        if value not in self.choices:
            raise ValueError(f"{value!r} is none of {self.choices}")


@dataclass
class Exclude(Validator):
    excludedValues: list

    def validate(self, value) -> None:
        if value in self.excludedValues:
            raise ValueError(f"{value!r} is excluded")
