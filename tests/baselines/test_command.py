import json
from dataclasses import replace

import pytest

from gridmem.baselines.command import parse
from gridmem.baselines.config import to_dict
from gridmem.baselines.presets import PRESETS, preset
from gridmem.baselines.train import main


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_printed_as_json_and_can_be_named_by_its_file(name, tmp_path, capfd):
    assert main([name, "--print-config"]) == 0
    out = capfd.readouterr().out
    (tmp_path / "mine.json").write_text(out)
    command = parse([str(tmp_path / "mine.json")], "train")
    assert command.config == preset(name)
    assert command.name == "mine"


def test_flags_change_the_settings_of_a_file(tmp_path):
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(to_dict(replace(preset("small"), run_dir="old"))))
    config = parse([str(file), "--num-layers", "3", "--optimizer", "adamw"], "train").config
    assert (config.model.num_layers, config.optimizer.optimizer) == (3, "adamw")
    assert config.model.width == preset("small").model.width
    assert config.run_dir is None  # a file that a run left behind is a beginning like any other


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "does not hold the settings of a run: Expecting property name"),
        ("[]", "does not hold the settings of a run: it is not a dict of settings"),
        ('{"sead": 1}', "there is no setting 'sead' (did you mean 'seed'?)"),
        ('{"model": {"num_heads": 0}}', "num_heads is 0; it must be a whole number above 0"),
        ('{"model": 3}', "setting 'model' is 3; it must be a dict of settings"),
        (None, "cannot be used: "),
    ],
)
def test_a_file_without_settings_is_answered_by_one_sentence(text, sentence, tmp_path, capfd):
    file = tmp_path / "mine.json"
    if text is not None:
        file.write_text(text)
    assert main([str(file)]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert sentence in err
    assert err.count("\n") == 1


def test_planning_begins_nothing(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main(["reference", "--plan"]) == 0
    assert "parameters" in capfd.readouterr().out
    assert list(tmp_path.iterdir()) == []


SMALL = ["--mixer", "none", "--num-layers", "1"]  # other runs are planned until one fits


def test_a_run_that_cannot_fit_is_refused(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main(["quickstart", *SMALL, "--num-envs", "100000000"]) == 2
    err = capfd.readouterr().err
    assert "--num-envs" in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
