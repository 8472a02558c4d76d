"""The Dockerfile, read and carried out in a folder that stands for `/`: there is no Docker where the tests run.

What differs from a real build: the machine's Python and system take the base image's place, the stages share one
folder, and what makes accounts (`SYSTEM`) is left out. Everything else that RUN and COPY say is done as it is written.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

from django.conf import settings

from db.embedded.account import Account

ROOT = settings.BASE_DIR
#: Folders of the image, each the first part of a path in it.
FOLDERS = re.compile(r"(?<![\w.:/-])/(app|opt|data)\b")
ACCOUNT = Account(10001, 10001, dropped=os.geteuid() == 0)
#: `read_only`, with the mounts that production.yml makes; the project, which may lie in /tmp, stays where it is.
READ_ONLY = """
mount --make-rprivate /
mkdir -p {kept}
mount --bind {project} {kept}
mount -t tmpfs tmpfs /tmp
mkdir -p {project}
mount --bind {kept} {project}
mount -o remount,bind,ro {project}
mount --bind {data} {data}
mount -o remount,bind,ro /
exec "$@"
"""
#: Where a RUN line that begins so needs to be root of a system of its own.
SYSTEM = ("groupadd ",)


@dataclass(frozen=True)
class Instruction:
    """One instruction; text: what follows its word, continued lines joined."""

    word: str
    text: str


@dataclass
class Stage:
    """What stands between one FROM and the next."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, word: str) -> list[str]:
        """The texts of its instructions of that word, in order."""
        return [each.text for each in self.instructions if each.word == word]

    def last(self, word: str) -> str:
        """The one that counts, of those of which the last one does."""
        return self.all(word)[-1]


def stages(path: Path = ROOT / "Dockerfile") -> list[Stage]:
    """The stages of a Dockerfile."""
    found: list[Stage] = []
    for instruction in _instructions(path.read_text()):
        if instruction.word == "FROM":
            base, _, name = instruction.text.partition(" AS ")
            found.append(Stage(base, name))
        elif found:
            found[-1].instructions.append(instruction)
        else:
            assert instruction.word == "ARG", instruction
    return found


def _instructions(text: str) -> Iterator[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for logical in re.split(r"(?<!\\)\n", "\n".join(lines)):
        word, _, rest = logical.replace("\\\n", " ").partition(" ")
        yield Instruction(word, rest.strip())


class Context:
    """What a build may copy: the project without what .dockerignore leaves out."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self.patterns = [
            line.strip() for line in (root / ".dockerignore").read_text().splitlines() if line[:1] not in ("", "#")
        ]

    def has(self, path: str) -> bool:
        """Whether the file or folder at this path is sent: of the patterns that fit it, the last one counts."""
        parts = path.split("/")
        inside = ["/".join(parts[: count + 1]) for count in range(len(parts))]
        taken = True
        for pattern in self.patterns:
            plain = pattern.removeprefix("!")
            if any(fnmatch(each, plain) and (plain != "*" or "/" not in each) for each in inside) or (
                plain.startswith("**/") and plain[3:] in parts
            ):
                taken = pattern.startswith("!")
        return taken

    @cached_property
    def files(self) -> list[str]:
        """Every file that is sent."""
        tops = [path for path in self.root.iterdir() if self.has(path.name)]
        every = [path for top in tops for path in (top.rglob("*") if top.is_dir() else [top]) if path.is_file()]
        return sorted(name for path in every if self.has(name := path.relative_to(self.root).as_posix()))


class Image:
    """An image built in a folder. installed: whether pip and npm have really been run there."""

    def __init__(self, root: Path, *, installed: bool) -> None:
        self.root, self.installed = root, installed
        self.environment: dict[str, str] = {}
        self._work = root

    def inside(self, text: str) -> str:
        """The text with the image's paths as they are here."""
        return FOLDERS.sub(lambda found: f"{self.root}/{found[1]}", text)

    def build(self) -> None:
        """Carry out the stages."""
        for folder in ("app", "opt", "data"):
            (self.root / folder).mkdir(parents=True)
        for stage in stages():
            self.environment = {}
            for instruction in stage.instructions:
                getattr(self, f"_{instruction.word.lower()}", self._nothing)(instruction.text)

    @cached_property
    def python(self) -> str:
        """The base image's Python: one that the container's account may run, if there is any."""
        for found in (sys.executable, "/usr/bin/python3"):
            if self.installed and ACCOUNT.can_enter(Path(found).resolve().parent):
                return found
        return sys.executable

    @cached_property
    def drops_root(self) -> bool:
        """Whether containers run as the image's account; else as whoever runs the tests."""
        return os.geteuid() == 0 and ACCOUNT.can_enter(Path(self.python).resolve().parent)

    def process(self, command: list[str], variables: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
        """The command line and environment of a container that is given this command; [] for the image's own."""
        final = stages()[-1]
        words = [*_words(final.last("ENTRYPOINT")), *(command or _words(final.last("CMD")))]
        environment = {**_plain_environment(), **self.environment, **variables}
        return [*self.alone(), str(shutil.which(words[0], path=environment["PATH"])), *words[1:]], environment

    def alone(self) -> list[str]:
        """What a command line begins with so that all but /data and /tmp is read-only, where the system can do that."""
        if sys.platform != "linux":
            return []
        as_root = ["setpriv", f"--reuid={ACCOUNT.uid}", f"--regid={ACCOUNT.gid}", "--clear-groups"]
        namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
        places = {"data": self.root / "data", "kept": self.root / "kept", "project": ROOT}
        script = READ_ONLY.format(**{name: shlex.quote(str(path)) for name, path in places.items()})
        return [*namespace, "sh", "-euc", script, "sh", *(as_root if self.drops_root else [])]

    def state(self) -> dict[str, tuple[int, int]]:
        """Size and time of change of every file of the code and the environment."""
        return {
            str(path): (path.lstat().st_size, path.lstat().st_mtime_ns)
            for path in (self.root / "app").rglob("*")
            if not path.is_dir()
        }

    def _nothing(self, text: str) -> None:
        """What only says something."""

    def _env(self, text: str) -> None:
        for word in shlex.split(text):
            name, _, value = word.partition("=")
            path = self.environment.get("PATH", os.environ["PATH"])
            self.environment[name] = self.inside(value).replace("$PATH", path)

    def _workdir(self, text: str) -> None:
        self._work = Path(self.inside(text))

    def _copy(self, text: str) -> None:
        *sources, target = text.split()
        if sources[0].startswith("--from="):
            assert sources[1:] == [target], "the stages share a folder here, so a path must be the same in both"
            return
        to = self._work / self.inside(target)
        context = Context()
        for source in sources:
            assert source == "." or context.has(source), f"{source} is left out by .dockerignore"
            for name in context.files:
                if source in (".", name):
                    place = to / (name if source == "." else Path(name).name)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(context.root / name, place)

    def _run(self, text: str) -> None:
        if text.startswith(SYSTEM):
            return
        if not self.installed and _installs(text):
            self._borrow(text)
            return
        command = self.inside(text).replace("python3 -m venv", f"{self.python} -m venv")
        environment = {**_plain_environment(), **self.environment}
        done = subprocess.run(
            ["sh", "-euc", command], cwd=self._work, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"

    def _borrow(self, text: str) -> None:
        """Use what is installed for the tests in place of installing it again."""
        if "assets.py" in text:
            shutil.copytree(ROOT / "static" / "vendor", self.root / "app" / "static" / "vendor")
        elif text == "python3 -m venv /opt/venv":
            (self.root / "opt" / "venv" / "bin").mkdir(parents=True)
            python = self.root / "opt" / "venv" / "bin" / "python"
            python.write_text(f'#!/bin/sh\nexec {self.python} "$@"\n')
            python.chmod(0o755)
        elif "compileall" in text:
            self._run(text.partition(" && ")[2])


def _installs(text: str) -> bool:
    return text.startswith(("pip install", "python3 -m venv"))


def _words(text: str) -> list[str]:
    return [word.strip().strip('"') for word in text.strip("[]").split(",")]


def _plain_environment() -> dict[str, str]:
    """What a process needs of this machine, and how pip is set up on it; nothing of the installation it runs in."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE")
    return {name: value for name, value in os.environ.items() if name in kept or name.startswith("PIP_")}
