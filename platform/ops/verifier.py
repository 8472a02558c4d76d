"""`make verifier`: audit-verify.pyz, the verifier as one file for those who have no checkout.

python platform/ops/verifier.py [FILE]

The same source makes the same bytes. It needs Python 3.11 or later and `cryptography`, which is not packed.
"""

import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: What `audit.verify` imports of ours.
SOURCES = ("audit/__init__.py", "audit/canonical.py", "audit/leaf.py", "audit/log/*.py", "audit/verify/*.py")

_MAIN = "import sys\nfrom audit.verify.__main__ import main\nsys.exit(main())\n"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def main(*arguments: str) -> int:
    """Write it; returns the exit status."""
    target = Path(arguments[0]) if arguments else ROOT / "audit-verify.pyz"
    with target.open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(path for pattern in SOURCES for path in ROOT.glob(pattern)):
                _add(archive, path.relative_to(ROOT).as_posix(), path.read_text())
            _add(archive, "__main__.py", _MAIN)
    target.chmod(0o755)
    print(target)
    return 0


def _add(archive: zipfile.ZipFile, name: str, text: str) -> None:
    entry = zipfile.ZipInfo(name, _LONG_AGO)
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, text)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
