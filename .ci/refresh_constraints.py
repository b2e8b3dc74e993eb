"""Pins in pyproject.toml what uv would install now: `uv run python .ci/refresh_constraints.py`.

Resolves every dependency group, and the extra that is in none, for all platforms and without the
old pins, in a folder of its own; then rewrites the block `constraint-dependencies` and nothing
else. Sync and test afterwards.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

PROJECT = Path(__file__).parent.parent / "pyproject.toml"
EXPORT = "uv", "export", "--quiet", "--all-groups", "--extra", "control"
BLOCK = re.compile(r"^constraint-dependencies = \[\n.*?^\]\n", re.MULTILINE | re.DOTALL)


def resolve(pyproject: str) -> list[str]:
    """The requirements, with exact versions and markers, that satisfy a project file."""
    with tempfile.TemporaryDirectory() as folder:
        # The version and the README, which are files beside it, do not matter here.
        pyproject = pyproject.replace('dynamic = ["version"]', 'version = "0"')
        Path(folder, "pyproject.toml").write_text(pyproject)
        Path(folder, "README.md").touch()
        shutil.copy(PROJECT.with_name(".python-version"), folder)
        exported = subprocess.run(
            [*EXPORT, "--no-hashes", "--no-emit-project", "--no-annotate", "--no-header"],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
    return exported.stdout.splitlines()


def main() -> None:
    """Rewrites the block."""
    text = PROJECT.read_text()
    if len(BLOCK.findall(text)) != 1:
        raise SystemExit(f"{PROJECT} must have exactly one block `constraint-dependencies = [...]`")
    pins = resolve(BLOCK.sub("", text))
    lines = "".join(f'    "{pin.replace(" ; ", "; ")}",\n' for pin in pins)
    PROJECT.write_text(BLOCK.sub(lambda _: f"constraint-dependencies = [\n{lines}]\n", text))
    print(f"pinned {len(pins)} packages")


if __name__ == "__main__":
    main()
