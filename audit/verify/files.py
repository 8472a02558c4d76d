"""A bundle's files, in a folder or in a ZIP archive."""

import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from audit.verify.errors import Unproven


class Files(ABC):
    """Reads files by their path below the bundle, which is written with slashes."""

    @abstractmethod
    def names(self) -> set[str]:
        """Return the paths of all files."""

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """Open one that is there."""

    def read(self, name: str) -> bytes:
        """Return one's content. Raises `Unproven` when it cannot be read."""
        try:
            with self.open(name) as file:
                return file.read()
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise Unproven(f"{name} is missing or cannot be read.") from error

    def lines(self, name: str) -> Iterator[bytes]:
        """Yield the lines of one, without their ends; the last one has an end too. Raises `Unproven`."""
        try:
            with self.open(name) as file:
                for line in file:
                    if not line.endswith(b"\n"):
                        raise Unproven(f"{name} ends within a line.")
                    yield line[:-1]
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise Unproven(f"{name} is missing or cannot be read.") from error


class Folder(Files):
    """A bundle as a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> set[str]:
        return {path.relative_to(self._root).as_posix() for path in self._root.rglob("*") if not path.is_dir()}

    def open(self, name: str) -> BinaryIO:
        return (self._root / name).open("rb")


class Archive(Files):
    """A bundle as a ZIP archive, as the API gives it."""

    def __init__(self, path: Path) -> None:
        self._archive = zipfile.ZipFile(path)

    def names(self) -> set[str]:
        names = [info.filename for info in self._archive.infolist() if not info.is_dir()]
        if len(names) != len(set(names)):
            raise Unproven("The archive holds a file twice.")
        return set(names)

    def open(self, name: str) -> BinaryIO:
        return cast(BinaryIO, self._archive.open(name))


def files_of(path: Path) -> Files:
    """Return the files of the bundle at `path`. Raises `Unproven` when there is none."""
    if path.is_dir():
        return Folder(path)
    if zipfile.is_zipfile(path):
        return Archive(path)
    raise Unproven(f"{path} is neither a folder nor a ZIP archive.")
