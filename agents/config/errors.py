"""Errors of configuration files."""

from dataclasses import dataclass

from db.errors import Refusal


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a file: where (`file`, `line` from 1), and what to do about it."""

    file: str
    line: int
    detail: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.detail}"


class ConfigError(Refusal):
    """The configuration cannot be applied."""

    code = "bad_configuration"

    def __init__(self, *faults: Fault) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults
