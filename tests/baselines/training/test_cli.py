import json
import re
from dataclasses import replace

import jaxtyping
import pytest
import tiny
from breadth import breadth

from gridmem.baselines.config import to_dict
from gridmem.baselines.presets import PRESETS, preset
from gridmem.baselines.train import main
from gridmem.baselines.training.cli import OTHER_NAMES, parse

PLAIN = [name for name, (_, config) in PRESETS.items() if not callable(config)]


@pytest.mark.parametrize("name", breadth(PRESETS, *PLAIN))
def test_a_preset_is_printed_as_json_and_can_be_named_by_its_file(name, tmp_path, capfd):
    if name not in PLAIN:  # in extras
        pytest.importorskip("craftax")
        pytest.importorskip("xminigrid")
        pytest.importorskip("mujoco")
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


def test_numbers_and_truths_are_read_as_people_write_them():
    words = "--total-steps 1e6 --seed=1_000 --max-steps 64.0 --num_envs 32 --view-size full"
    words += " --value-min -1e1 --goal-moves --compass False --normalize-advantage false"
    words += " --window None --muon-rms 1"
    config = parse(words.split(), "train").config
    assert (config.total_steps, config.seed, config.env.options["max_steps"]) == (10**6, 1000, 64)
    assert (config.ppo.num_envs, config.env.options["view_size"]) == (32, "full")
    assert (config.env.options["goal_moves"], config.env.options["compass"]) == (True, False)
    assert not config.ppo.normalize_advantage
    assert (config.model.value_min, config.model.window) == (-10.0, None)
    assert not parse(["--no-normalize-advantage"], "train").config.ppo.normalize_advantage
    with pytest.raises(ValueError, match=r"--total-steps: '1.5' is not a whole number; "):
        parse(["--total-steps", "1.5"], "train")


def test_any_option_of_the_environment_has_a_flag():
    words = ["--max-steps", "64", "--set", "dig_steps=5", "--set=map.threshold=0.25"]
    words += ["--set", "map.height=20", "--set", "map.width=20", "--set", "task.type=Tour"]
    config = parse([*words, "--set", 'task={"type": "Tour", "num_goals": 2}'], "train").config
    assert config.env.options == {
        **{"view_size": 3, "max_steps": 64, "dig_steps": 5},
        "map": {"threshold": 0.25, "height": 20, "width": 20},
        "task": {"type": "Tour", "num_goals": 2},
    }
    env = parse(words, "train").config.make_env()
    assert (env.config.map.height, type(env.config.task).__name__) == (20, "Tour")
    for option, sentence in (
        ("dig_steps", "'dig_steps' is not PATH=VALUE"),
        ("map.=1", "'map.=1' is not PATH=VALUE"),
        ("dig_step=1", "there is no option 'dig_step' "),
        ("map.heigth=1", "there is no map option 'heigth' (did you mean 'height'?)"),
        ("map.type=Cave", "there is no map type 'Cave'"),
        ("cave.height=1", "there is no option 'cave'"),
    ):
        with pytest.raises(ValueError, match=re.escape(sentence)):
            parse(["--set", option], "train")


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("max_steps=32", "--set max_steps has a flag of its own; use --max-steps"),
        ('env_id="GridMem-v0"', "--set env_id has a flag of its own; use --env-id"),
        ("options={}", "there is no option 'options'"),
        ("self=1", "there is no option 'self'"),
        ("id=1", "there is no option 'id'; env_id names the environment"),
    ],
)
def test_what_is_no_other_option_is_refused(option, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as error:
        parse(["--set", option], "train")
    assert type(error.value) is ValueError


def test_names_that_settings_have_elsewhere_are_known():
    for name in OTHER_NAMES:
        with pytest.raises(ValueError, match="did you mean '--") as error:
            parse([f"--{name}", "1"], "train")
        suggested = re.search("'(--[a-z-]+)'[?]", str(error.value))[1]
        with pytest.raises(ValueError, match=f"argument {suggested}: expected one argument"):
            parse([suggested], "train")


@pytest.mark.parametrize(
    ("flag", "meant"),
    [
        ("--lr", "--learning-rate"),
        ("--steps", "--total-steps"),
        ("--envs", "--num-envs"),
        ("--layers", "--num-layers"),
        ("--seeds", "--num-seeds"),
        ("--minibatches", "--num-minibatches"),
        ("--total_timesteps", "--total-steps"),
    ],
)
def test_the_setting_that_is_meant_is_suggested(flag, meant):
    with pytest.raises(ValueError, match=f"did you mean '{meant}'[?]"):
        parse([flag, "1"], "train")


def test_a_run_is_extended_beyond_its_last_update(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(to_dict(tiny.config(total_steps=100))))
    config = parse(["--resume", str(tmp_path), "--extend", "1"], "train").config
    assert config.num_updates == tiny.config(total_steps=100).num_updates + 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"seed": 1.5}', "seed is 1.5; it must be a whole number"),
        ("{", "does not hold the settings of a run: Expecting property name"),
        ("[]", "does not hold the settings of a run: it is not a dict of settings"),
        ('{"sead": 1}', "there is no setting 'sead' (did you mean 'seed'?)"),
        ('{"model": {"num_heads": 0}}', "num_heads is 0; it must be a whole number above 0"),
        ('{"model": 3}', "setting 'model' is 3; it must be a dict of settings"),
        (None, "cannot be used: "),
    ],
)
def test_a_file_without_settings_is_answered_by_one_sentence(
    text, sentence, tmp_path, capfd, monkeypatch
):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # types, in the tests alone
    file = tmp_path / "mine.json"
    if text is not None:
        file.write_text(text)
    assert main([str(file)]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert sentence in err
    assert err.count("\n") == 1


@pytest.mark.slow
def test_planning_begins_nothing(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main(["reference", "--plan"]) == 0
    assert "parameters" in capfd.readouterr().out
    assert list(tmp_path.iterdir()) == []


SMALL = ["--mixer", "none", "--num-layers", "1"]  # other runs are planned until one fits


@pytest.mark.slow
def test_a_run_that_cannot_fit_is_refused(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main(["quickstart", *SMALL, "--num-envs", "100000000"]) == 2
    err = capfd.readouterr().err
    assert "--num-envs" in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
