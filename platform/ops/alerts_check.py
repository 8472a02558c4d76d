"""`make check`: the alert rules of docs/running.md, read by Prometheus' own `promtool`.

python platform/ops/alerts_check.py [PAGE]

Without promtool it says what to install, and is content: nobody needs Prometheus to work on this.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "running.md"


def rules(page: Path) -> str:
    """Return the page's first block of YAML, which holds the rules."""
    return page.read_text().partition("```yaml\n")[2].partition("```")[0]


def main(*arguments: str) -> int:
    """Check the rules; returns promtool's exit status."""
    promtool = shutil.which("promtool")
    if promtool is None:
        print("The alert rules are not checked: promtool is not installed (Debian: apt-get install prometheus).")
        return 0
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as written:
        written.write(rules(Path(arguments[0]) if arguments else PAGE))
        written.flush()
        return subprocess.run([promtool, "check", "rules", written.name], check=False).returncode  # noqa: S603


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
