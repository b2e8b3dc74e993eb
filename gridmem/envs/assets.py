"""Files that come with the package: level packs, sprites, weights."""

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent
# A wheel carries them inside the package, a checkout beside it.
_FOLDERS = _PACKAGE / "assets", _PACKAGE.parent / "assets"


def asset(name: str) -> Path:
    """The path of a file of `assets/`, in a wheel and in a checkout alike.

    Args:
        name: path relative to `assets/`, with forward slashes.

    Raises:
        FileNotFoundError: if this installation lacks it.
    """
    for folder in _FOLDERS:
        if (path := folder / name).exists():
            return path
    raise FileNotFoundError(f"the file {name} of gridmem's assets is missing; reinstall gridmem")
