"""`python -m gridmem.baselines.compare`, on records written by hand."""

import json
import re
from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest
import saved_runs
import tiny
from matplotlib.figure import Figure

from gridmem.baselines.compare import main
from gridmem.baselines.config import TrainConfig, to_dict
from gridmem.baselines.runs import comparison
from gridmem.baselines.runs import plots as curve
from gridmem.baselines.runs.comparison import labels
from gridmem.baselines.runs.history import RunRecord, named, read_record
from gridmem.baselines.runs.plots import draw_band, draw_curve, limit, series, smooth
from gridmem.envs.analysis.episode_stats import Finds
from gridmem.envs.analysis.level_packs import pack

RANDOM, BEST = (float(known.mean()) for known in pack("GridMem-9x9-v0")[1:3])


def rows_of(returns, seconds=0.5, gain=2.0):
    """An update for each return, a hundred thousand steps apart."""
    rows = []
    for number, value in enumerate(returns, 1):
        row = {"steps": 1e5 * number, "seconds": seconds * number, "grad_norm": 1.0}
        if value is not None:
            row |= {"episode_return": value, "memory_gain": gain, "first_find_steps": 3.0}
        rows.append(row)
    return rows


def without_seconds(rows):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def compare(capsys, *argv):
    """Exit code, stdout and stderr of the program."""
    code = main([str(word) for word in argv])
    return code, *capsys.readouterr()


@pytest.fixture
def figures(monkeypatch):
    """The figures that are drawn, instead of their files."""
    drawn = []
    monkeypatch.setattr(comparison, "png", lambda figure: drawn.append(figure) or b"")
    return drawn


def lines_of(panel):
    """Colour, x and y of each smoothed curve, and of each mean of curves."""
    curves = [line for line in panel.lines if line.get_alpha() is None and len(line.get_xdata())]
    return [(c.get_color(), *map(list, c.get_data())) for c in curves if c.get_color()[0] == "C"]


def shown(text):
    """What a text of a figure shows."""
    drawn, is_formula = text._preprocess_math(text.get_text())
    assert not is_formula
    return drawn


def test_the_picture_is_written_and_final_values_are_printed(tmp_path, capsys):
    first = saved_runs.save(tmp_path / "a", saved_runs.SCORED, rows_of([1, 2, 5]))
    other = replace(saved_runs.SCORED, total_steps=99)
    second = saved_runs.save(tmp_path / "b", other, rows_of([4, 3], seconds=90, gain=1.5))
    out = tmp_path / "curves.png"
    code, text, problem = compare(capsys, first, second, "--out", out)
    assert (code, problem) == (0, "")
    assert matplotlib.image.imread(out).shape[2] == 4
    scores = [f"{(value - RANDOM) / (BEST - RANDOM):.2f}" for value in (5, 3)]
    assert [line.split() for line in text.splitlines()] == [
        ["settings", "steps", "minutes", "return", "score", "memory", "gain"],
        ["a", "total_steps", "1280", "300,000", "0.0", "5.00", scores[0], "2.00"],
        ["b", "total_steps", "99", "200,000", "3.0", "3.00", scores[1], "1.50"],
        ["wrote", str(out)],
    ]


def test_when_a_metric_reached_a_level(tmp_path, capsys):
    runs = saved_runs.save(tmp_path / "a", saved_runs.SCORED, rows_of([1, 4, 4, 2], seconds=30))
    never = replace(saved_runs.SCORED, total_steps=99)
    never = saved_runs.save(tmp_path / "b", never, rows_of([1, None, 3.9]))
    untimed = replace(saved_runs.SCORED, total_steps=98)
    untimed = saved_runs.save(tmp_path / "c", untimed, without_seconds(rows_of([4])))
    out = "--out", tmp_path / "x.png"
    code, text, _ = compare(capsys, runs, never, untimed, *out, "--reach", "episode_return=4")
    head, *lines = (line.split("  ") for line in text.splitlines()[:4])
    assert code == 0
    assert [cell.strip() for cell in head][-2:] == ["steps to return 4", "minutes to it"]
    assert lines[0][-1].strip() == "1.00"
    assert "200,000" in [cell.strip() for cell in lines[0]]
    assert [cell.strip() for cell in lines[1] if cell.strip()][-2:] == ["-", "-"]
    assert [cell.strip() for cell in lines[2] if cell.strip()][-1] == "100,000"
    _, text, _ = compare(capsys, runs, *out, "--reach", "score=0")
    assert "steps to score 0  " in text


def test_few_episodes_and_part_of_a_window_reach_nothing(tmp_path, capsys):
    """A window is two steps of a hundred thousand here, and the first row is one of a tenth."""
    rows = rows_of([9] + [1] * 98 + [5])
    rows[0]["steps"] = 1e4
    for number, row in enumerate(rows):
        row |= {"memory_gain": 9.0 if number < 40 else 2.0, "found_again": 1 if number < 50 else 99}
    run = saved_runs.save(tmp_path / "a", saved_runs.SCORED, rows)
    for metric, steps in (("episode_return=3", "10,000,000"), ("memory_gain=1.5", "5,100,000")):
        _, text, _ = compare(capsys, run, "--out", tmp_path / "x.png", "--reach", metric)
        assert steps in text.splitlines()[1].split()[4:]
        assert "10,000 " not in text


def test_each_curve_is_in_its_panel(tmp_path, capsys, figures):
    first = saved_runs.save(tmp_path / "a", saved_runs.SCORED, rows_of([1, 2, 5]))
    again = replace(saved_runs.SCORED, seed=7, run_dir="x", eval_levels=5)
    second = saved_runs.save(tmp_path / "b", again, rows_of([4, None, 3], seconds=0.25))
    third = saved_runs.save(tmp_path / "c", tiny.CONFIG, rows_of([9, 8, 7]))
    code, *_ = compare(capsys, first, second, third, "--out", tmp_path / "x.png")
    assert code == 0
    panels = np.reshape(figures[0].axes, (3, 2))
    assert lines_of(panels[0, 0]) == [
        ("C0", [0.1, 0.2, 0.3], [2.5, 2.75, 4]),  # of 1, 2, 5 and of 4, 3.5, 3
        ("C1", [0.1, 0.2, 0.3], [9, 8, 7]),
    ]
    # From 0.5 s, where the first begins, until 0.75 s, where the second ends.
    assert [x for _, x, _ in lines_of(panels[0, 1])] == [
        [0.5 / 60, 0.75 / 60],
        [0.5 / 60, 1 / 60, 1.5 / 60],
    ]
    (scored,) = lines_of(panels[1, 0])  # the third has its own rules
    assert scored[2] == pytest.approx((np.array([2.5, 2.75, 4]) - RANDOM) / (BEST - RANDOM))
    assert [y for _, _, y in lines_of(panels[2, 0])] == [[2, 2, 2], [2, 2, 2]]
    assert [panel.get_ylabel() for panel in panels[:, 0]] == [
        *("mean return per episode", "score", "memory gain")
    ]
    assert [panel.get_xlabel() for panel in panels[2]] == [
        *("million agent steps", "minutes of training")
    ]
    legend = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert len(legend) == 2
    assert legend[0].endswith(" (2 seeds)")


def test_a_run_without_times_is_left_out_of_wall_clock(tmp_path, capsys, figures):
    rows = rows_of([1, 2])
    old = saved_runs.save(tmp_path / "old", tiny.CONFIG, without_seconds(rows))
    new = saved_runs.save(tmp_path / "new", tiny.config(model={"mixer": "none"}), rows)
    _, text, _ = compare(capsys, old, new, "--out", tmp_path / "x.png")
    assert "\nno wall-clock times (older version): old\n" in text
    assert "score" not in text
    steps, seconds = figures[0].axes[:2]
    assert (len(lines_of(steps)), len(lines_of(seconds))) == (2, 1)
    assert lines_of(seconds)[0][0] == "C1"
    _, text, _ = compare(capsys, old, "--out", tmp_path / "x.png")
    assert "minutes" not in text
    assert [axis.get_xlabel() for axis in figures[1].axes] == ["", "million agent steps"]


def test_a_run_in_which_no_episode_has_ended_is_drawn_empty(tmp_path, capsys, figures):
    rows = without_seconds(rows_of([None, None]))
    run = saved_runs.save(tmp_path / "a", saved_runs.SCORED, rows)
    code, text, _ = compare(capsys, run, "--out", tmp_path / "x.png")
    assert code == 0
    assert "return" not in text
    labels = [axis.get_ylabel() for axis in figures[0].axes]
    assert labels == ["mean return per episode", "memory gain"]


def test_incomplete_lines_are_not_read(tmp_path):
    folder = saved_runs.save(tmp_path / "a", tiny.CONFIG, rows_of([1, 2]))
    with (folder / "metrics.jsonl").open("ab") as file:
        file.write(b'{"steps": 300000.0, "episode_return": null, "entropy": 1.0}\n')
        file.write(b'{"steps": 400000.0, "epis\xc3')
    record = read_record("a", folder)
    assert record.rows == [*rows_of([1, 2]), {"steps": 3e5, "entropy": 1.0}]
    assert record.config == tiny.CONFIG


def test_seeds_and_folders_are_no_part_of_a_recipe():
    changed = tiny.config(seed=3, run_dir="x", eval_levels=1, wandb="project")
    assert RunRecord("a", changed, []).recipe == RunRecord("b", tiny.CONFIG, []).recipe
    for other in (
        tiny.config(env={"num_agents": 2}),
        tiny.config(model={"width": 32}),
        tiny.config(method={"gamma": 0.5}),
        tiny.config(optimizer={"b1": 0.5}),
        tiny.config(total_steps=7),
    ):
        assert RunRecord("a", other, []).recipe != RunRecord("b", tiny.CONFIG, []).recipe


def called(*configs):
    """The labels of runs that are named run0, run1, ..."""
    records = [RunRecord(f"run{number}", config, []) for number, config in enumerate(configs)]
    named = labels(records)
    return [named[record.recipe] for record in records]


def test_labels_have_the_settings_that_differ():
    assert called(tiny.CONFIG) == ["env_id GridMem-9x9-v0, mixer attention"]
    assert (
        called(tiny.CONFIG, tiny.config(seed=1))
        == ["env_id GridMem-9x9-v0, mixer attention (2 seeds)"] * 2
    )
    none = tiny.config(model={"mixer": "none"}, method={"gamma": 0.9})
    assert called(tiny.CONFIG, none, tiny.config(seed=1)) == [
        "mixer attention, gamma 0.97 (2 seeds)",
        "mixer none, gamma 0.9",
        "mixer attention, gamma 0.97 (2 seeds)",
    ]
    # A copy of a run is no second seed.
    assert called(tiny.CONFIG, tiny.CONFIG)[0].endswith(" (2 runs of 1 seed)")
    own = tiny.config(env={"max_steps": None})
    assert called(tiny.CONFIG, own) == ["max_steps 16", "max_steps 64"]
    assert called(tiny.CONFIG, TrainConfig()) == ["run0", "run1"]


def test_smoothing_by_hand():
    values = np.array([1.0, 3.0, 5.0, 10.0])
    steps = np.array([1.0, 2.0, 3.0, 8.0])
    assert smooth(steps, values, 0.0).tolist() == values.tolist()
    assert smooth(steps, values, 2.0).tolist() == [1, 2, 4, 10]
    assert smooth(steps, values, 1e9).tolist() == [1, 2, 3, 4.75]
    assert smooth(np.zeros(0), np.zeros(0), 2.0).tolist() == []


def test_runs_of_different_lengths_are_smoothed_alike(tmp_path, capsys, figures):
    rng = np.random.default_rng(0)
    returns = rng.uniform(size=200).tolist()
    long = saved_runs.save(tmp_path / "long", tiny.CONFIG, rows_of(returns))
    killed = tiny.config(model={"mixer": "none"})
    short = saved_runs.save(tmp_path / "short", killed, rows_of(returns[:40]))
    code, text, _ = compare(capsys, long, short, "--out", tmp_path / "x.png")
    assert code == 0
    (_, _, of_long), (_, _, of_short) = lines_of(figures[0].axes[0])
    assert of_short == of_long[:40]
    assert of_long[39] == pytest.approx(np.mean(returns[36:40]))  # a fiftieth of the longer one
    assert [line.split()[-2] for line in text.splitlines()[1:3]] == [
        f"{of_long[-1]:.2f}",
        f"{of_short[-1]:.2f}",
    ]


def test_a_band_covers_the_range_of_all_curves():
    panel = Figure().subplots()
    curves = [
        (np.arange(5.0), np.array([0.0, 1, 2, 3, 4])),
        (np.arange(3.0), np.array([2.0, 3, 4])),
        (np.zeros(0), np.zeros(0)),
    ]
    draw_band(panel, curves, "C1")
    mean, *beyond = panel.lines
    assert list(map(list, mean.get_data())) == [[0, 1, 2], [1, 2, 3]]
    assert [list(map(list, line.get_data())) for line in beyond] == [
        [[2, 3, 4], [2, 3, 4]],
        [[2], [4]],
    ]
    (band,) = panel.collections
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices.tolist()}
    assert corners == {(0, 0), (1, 1), (2, 2), (0, 2), (1, 3), (2, 4)}
    apart = Figure().subplots()
    draw_band(apart, [(x + 10 * x.sum(), y) for x, y in curves[:2]], "C1")
    assert [len(line.get_xdata()) for line in apart.lines] == [0, 5, 3]


def test_the_first_updates_do_not_set_the_axis():
    panel = Figure().subplots()
    limit(panel, [np.array([99.0, *[1.0] * 19]), np.array([2.0])], [1.5])
    assert panel.get_ylim() == (0, pytest.approx(2.2))
    limit(panel, [np.array([-1.0, 1.0])])
    assert panel.get_ylim() == (pytest.approx(-1.2), pytest.approx(1.2))
    limit(panel, [np.zeros(0)])
    assert panel.get_ylim() == (0, 1)


def test_names_are_escaped_in_pictures(tmp_path, capsys, figures):
    names = ["_a", "$b$", "c^2$", r"\$d"]
    folders = []
    for number, name in enumerate(names):
        changed = tiny.config(
            env={"max_steps": 16 + number},
            model={"width": 16 + number, "num_layers": 1 + number},
            method={"gamma": 0.5 + number / 10, "td_lambda": 0.5 + number / 10},
        )
        row = json.dumps(rows_of([1])[0]) + "\n"
        folders.append(tmp_path / name)
        folders[-1].mkdir()
        (folders[-1] / "config.json").write_text(json.dumps(to_dict(changed)))
        (folders[-1] / "metrics.jsonl").write_text(row)
    assert compare(capsys, *folders, "--out", tmp_path / "x.png")[0] == 0
    assert [shown(text) for text in figures[0].legends[0].get_texts()] == names


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("run run/", "run/ is named twice, by run and by run/"),
        ("link run", "run is named twice, by link and by run"),
        ("run/agent.safetensors ./run", "./run is named twice, by run/agent.safetensors and by"),
        ("many many/seed-1", "many/seed-1 is named twice, by many and by many/seed-1"),
        ("many/seed-0 many", "many/seed-0 is named twice, by many/seed-0 and by many"),
        ("small small", "small is named twice; name each run once"),
    ],
)
def test_a_run_is_identified_by_any_path(tmp_path, monkeypatch, given, sentence):
    monkeypatch.chdir(tmp_path)
    for folder in ("run", "many/seed-0", "many/seed-1"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "run" / "agent.safetensors").touch()
    (tmp_path / "link").symlink_to("run")
    with pytest.raises(ValueError, match=re.escape(sentence)):
        named(given.split())
    assert list(named(["run", "many", "small"])) == ["run", "many/seed-0", "many/seed-1", "small"]


def test_a_series_has_the_rows_with_all_metrics():
    rows = [{"steps": 1.0, "a": 5.0}, {"steps": 2.0}, {"a": 6.0}, {"steps": 4.0, "a": 7.0}]
    where, values = series(rows, "steps", "a")
    assert (where.tolist(), values.tolist()) == ([1, 4], [5, 7])
    assert [leaf.shape for leaf in series(rows, "steps", "b")] == [(0,), (0,)]


def test_the_curve_of_a_run_in_which_few_episodes_ended(monkeypatch):
    figures = []
    monkeypatch.setattr(curve, "png", lambda figure: figures.append(figure) or b"")
    results = {
        label: {"episode_return": 4.0, "memory_gain": gain}
        for label, gain in (("agent", 1.0), ("g", None), ("random", 1.0))
    }
    for returns in ([None, 2, None, 3], [None, None]):
        draw_curve("title", Finds().columns, rows_of(returns), results)
    panel = figures[0].axes[0]
    pale, smoothed, *_ = panel.lines
    assert list(map(list, pale.get_data())) == list(map(list, smoothed.get_data()))
    assert list(map(list, smoothed.get_data())) == [[0.2, 0.4], [2, 3]]
    assert [text.get_text() for text in panel.get_legend().get_texts()] == [
        *("training", "agent", "g", "random")
    ]
    gains = [line.get_label() for line in figures[0].axes[1].lines]
    assert gains[-2:] == ["agent", "random"]
    assert "g" not in gains
    monkeypatch.undo()
    assert draw_curve("title", Finds().columns, rows_of([1, 2]), results).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ("", "the following arguments are required: RUN"),
        ("{root}/nosuch", "there is no run folder"),
        ("{root}/run/config.json", "there is no run folder"),
        ("{root}", "is no run folder: config.json (No such file or directory)"),
        ("{root}/half", "is no run folder: metrics.jsonl (No such file or directory)"),
        ("{root}/empty", "has recorded no update yet: its metrics.jsonl is empty"),
        ("{root}/cut", "has recorded no update yet"),
        ("{root}/strange", "does not hold the settings of a run: there is no setting 'colour'"),
        ("{root}/list", "does not hold the settings of a run"),
        ("{root}/run {root}/run", "is named twice"),
        ("{root}/run --ouT x", "no option '--ouT' (did you mean '--out'?)"),
        ("{root}/run --out {root}/nosuch/x.png", "cannot write"),
        ("{root}/run --reach episode_return", "write a number, for example episode_return=1"),
        ("{root}/run --reach episode_return=nan", "write a number"),
        ("{root}/run --reach score=0.6", "they have episode_return, memory_gain: write"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(tmp_path, monkeypatch, capsys, argv, sentence):
    monkeypatch.chdir(tmp_path)
    for name, rows in (("run", rows_of([1])), ("empty", []), ("half", []), ("cut", [])):
        saved_runs.save(tmp_path / name, tiny.CONFIG, rows)
    (tmp_path / "half" / "metrics.jsonl").unlink()
    (tmp_path / "cut" / "metrics.jsonl").write_text('{"steps": 1')
    for name, settings in (("strange", {"colour": "red"}), ("list", [])):
        saved_runs.save(tmp_path / name, tiny.CONFIG, rows_of([1]))
        (tmp_path / name / "config.json").write_text(json.dumps(settings))
    code, text, problem = compare(capsys, *argv.format(root=tmp_path).split())
    assert (code, text) == (2, "")
    assert problem.startswith("error: ")
    assert sentence in problem
    assert problem.count("\n") == 1
    assert not list(tmp_path.glob("*.png"))
