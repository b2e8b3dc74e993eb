from pathlib import Path

import pytest

from gridmem.envs import assets
from gridmem.envs.assets import asset

ROOT = Path(__file__).parent.parent.parent


def test_a_checkout_has_them_beside_the_package():
    assert asset("sprites.png") == ROOT / "assets" / "sprites.png"
    assert asset("levels").is_dir()


def test_a_wheel_has_them_in_the_package(tmp_path, monkeypatch):
    inside, beside = tmp_path / "gridmem" / "assets", tmp_path / "assets"
    monkeypatch.setattr(assets, "_FOLDERS", (inside, beside))
    for folder in (beside, inside):  # the one in the package goes first
        (folder / "levels").mkdir(parents=True)
        (folder / "levels" / "a.npz").touch()
        assert asset("levels/a.npz") == folder / "levels" / "a.npz"
    assert assets._PACKAGE == ROOT / "gridmem"


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match=r"^the file nosuch\.png of gridmem's assets is m"):
        asset("nosuch.png")
