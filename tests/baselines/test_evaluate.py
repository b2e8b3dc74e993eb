"""`python -m gridmem.baselines.evaluate`, on tiny agents and few levels."""

import contextlib
import io
import json
import re
import tempfile
from dataclasses import replace

import jax
import matplotlib.image
import numpy as np
import pytest
import saved_runs
import tiny
from breadth import breadth
from refusing_disk import file_size_limit

import gridmem
from gridmem.baselines import load
from gridmem.baselines.evaluate import main, parse
from gridmem.baselines.evaluation import evaluator, rollouts
from gridmem.baselines.evaluation import plot as evaluation_picture
from gridmem.baselines.evaluation.report import Gap, Report, Row, table
from gridmem.baselines.evaluation.rollouts import draw_levels
from gridmem.baselines.evaluation.scenarios import changed_rules, fresh_scenario, own_scenario
from gridmem.baselines.runs.history import named
from gridmem.baselines.tables import aligned
from gridmem.baselines.training import final_evaluation
from gridmem.baselines.training.final_evaluation import over_seeds
from gridmem.envs.analysis.replay import load_replay
from gridmem.envs.analysis.score import Score
from gridmem.render.play import main as play_main

ID, N = "GridMem-9x9-v0", 24


def evaluate(*argv):
    """Exit code, stdout and stderr of the program."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in argv])
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders: two that differ in their seed, and one that is played by its id's rules."""
    root = tmp_path_factory.mktemp("runs")
    return {
        "first": saved_runs.save(root / "first", saved_runs.SMALL),
        "second": saved_runs.save(root / "second", replace(saved_runs.SMALL, seed=1)),
        "scored": saved_runs.save(root / "scored", saved_runs.SCORED),
    }


@pytest.fixture(scope="module")
def done(runs, tmp_path_factory):
    """What an evaluation of all of them printed and wrote."""
    out = tmp_path_factory.mktemp("out") / "deep"
    compiled = rollouts._play_chunk._cache_size()
    code, told, progress = evaluate(
        *runs.values(), "--levels", N, "--on", ID, "--agents", 2, "--out", out
    )
    assert code == 0, progress
    compiled = rollouts._play_chunk._cache_size() - compiled
    data = json.loads((out / "evaluation.json").read_text())
    return {"out": out, "told": told, "progress": progress, "data": data, "compiled": compiled}


def row(done, agent, player="sampled", levels="test", **env):
    """The only row of that kind; the first one, of the own environment, if `env` is not given."""
    rows = [
        row
        for row in done["data"]["rows"]
        if (row["agent"], row["player"], row["levels"]) == (agent, player, levels)
        and env.items() <= row["env"].items()
    ]
    assert rows
    assert len(rows) == 1 or not env
    return rows[0]


def test_every_player_has_its_row(done):
    rows = [
        (
            row["agent"],
            row["player"],
            row["levels"],
            row["env"]["max_steps"],
            row["env"]["view_size"],
            row["env"]["num_agents"],
        )
        for row in done["data"]["rows"]
    ]
    own = [("sampled", "test"), ("greedy", "test"), ("memory wiped", "test"), ("sampled", "fresh")]
    expected = []
    for agent, size in (("first", (16, 5)), ("second", (16, 5)), ("scored", (64, 3))):
        expected += [("", "random", "test", *size, 1)]
        expected += [(agent, *each, *size, 1) for each in own]
        for transfer in ((64, size[1], 1), (*size, 2)):
            expected += [("", "random", "test", *transfer), (agent, "sampled", "test", *transfer)]
    assert rows == list(dict.fromkeys(expected))
    assert all(row["num_levels"] == N and row["env_id"] == ID for row in done["data"]["rows"])


def test_agents_of_equal_shape_share_what_is_compiled(done):
    rows = done["data"]["rows"]
    programs = {
        (row["agent"].replace("second", "first"), row["player"], json.dumps(row["env"]))
        for row in rows
    }
    assert done["compiled"] == len(programs) < len(rows) - 4


def test_the_numbers_are_those_of_the_episodes(runs, done):
    agent = load(runs["scored"])
    levels = jax.tree.map(lambda leaf: leaf[:N], gridmem.levels(ID))
    key = jax.random.fold_in(jax.random.key(0), 0)
    for greedy, player in ((False, "sampled"), (True, "greedy")):
        unrolled = gridmem.play(agent.env, agent.policy(greedy), levels, key)
        actions = np.asarray(unrolled.rollout.action).T[..., None]
        metrics = gridmem.measure(agent.env, levels, actions)
        told = row(done, "scored", player)
        summary = gridmem.summary(metrics)
        assert {name: told[name] for name in summary} == summary
        assert told["score"] == gridmem.score(ID, metrics.episode_return)._asdict()
    told = row(done, "scored")
    low, high = told["intervals"]["episode_return"]
    assert low < told["episode_return"] < high
    assert (high - low) / told["return_standard_error"] == pytest.approx(2 * 1.96, rel=0.2)


def test_random_actions_have_rows_without_an_agent(done):
    assert row(done, "", "random", max_steps=64, view_size=3, num_agents=1)["score"]["score"] < 0.1
    same, crowd = (row(done, "", "random", max_steps=16, num_agents=number) for number in (1, 2))
    assert same["episode_return"] != crowd["episode_return"]


def test_a_wiped_memory_changes_nothing_for_a_memoryless_agent(done):
    sampled, wiped = (row(done, "scored", player) for player in ("sampled", "memory wiped"))
    assert {**sampled, "player": ""} == {**wiped, "player": ""}
    greedy = row(done, "scored", "greedy")
    assert sampled["episode_return"] != greedy["episode_return"]


def test_each_row_has_the_episodes_of_its_player(runs, monkeypatch):
    players = []

    def stand_still(env, player, params, levels, key):
        players.append((player.method is not None, player.greedy, player.forgetful))
        actions = np.full((len(levels.tiles), env.max_steps, env.num_agents), 9, np.uint8)
        length = np.full((len(actions), env.num_agents), env.max_steps, np.int32)
        return rollouts.Played(actions, actions.astype(np.float32), length)

    monkeypatch.setattr(evaluator, "play_levels", stand_still)
    report = evaluator.evaluate_agents({"a": load(runs["first"])}, N, 0, str)
    assert {each.player: who for each, who in zip(report.rows, players, strict=True)} == {
        "random": (False, False, False),
        "sampled": (True, False, False),
        "greedy": (True, True, False),
        "memory wiped": (True, False, True),
    }


def test_the_gap_is_between_fresh_levels_and_test_levels(done):
    for gap in done["data"]["generalisation_gaps"]:
        fresh, test = (row(done, gap["agent"], levels=kind) for kind in ("fresh", "test"))
        difference = fresh["episode_return"] - test["episode_return"]
        error = np.hypot(fresh["return_standard_error"], test["return_standard_error"])
        assert gap["difference"] == pytest.approx(difference)
        assert gap["standard_error"] == pytest.approx(error)
        line = f"{gap['agent']}: return on fresh levels minus that on test levels {difference:+.2f}"
        assert f"{line} ± {error:.2f}" in done["told"]
    agents = [gap["agent"] for gap in done["data"]["generalisation_gaps"]]
    assert agents == ["first", "second", "scored"]


def test_a_gap_by_hand():
    def played(kind, *finds):
        episodes = gridmem.EpisodeMetrics(*[np.float32(finds)[:, None]] * 9)
        scenario = type("Scenario", (), {"kind": kind})
        return saved_row(scenario, episodes)

    report = Report([played("test", 1, 3), played("fresh", 2, 2, 8)], 0)
    # 4 - 2; the variances are 2 of two levels and 12 of three.
    assert report.gaps == [Gap("a", 2.0, pytest.approx((2 / 2 + 12 / 3) ** 0.5))]


@pytest.mark.slow
def test_fresh_levels_are_neither_stored_nor_held_out(runs):
    agent = load(runs["first"])
    fresh, stored = fresh_scenario(agent, 200).levels, own_scenario(agent, 1000).levels
    held_out, _ = draw_levels(agent.env, 200)

    def distinct(levels):
        return {np.asarray(leaf).tobytes() for leaf in levels.spawns}

    assert len(distinct(fresh)) == 200
    assert not distinct(fresh) & (distinct(stored) | distinct(held_out))


def test_only_what_is_played_by_the_rules_of_its_id_is_scored(done):
    for each in done["data"]["rows"]:
        by_the_rules = each["env"]["max_steps"] == 64 and each["levels"] == "test"
        assert (each["score"] is not None) == by_the_rules
    note = f"no score: {ID} has changed rules: max_steps 16 instead of 64"
    assert done["data"]["notes"][0] == note
    assert done["told"].count(note) == 1


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        ({}, []),
        ({"view_size": 9, "num_agents": 3, "compass": True}, []),
        ({"max_steps": 65}, ["max_steps 65 instead of 64"]),
        ({"goal_moves": True}, ["goal_moves True instead of False"]),
        (
            {"height": 11, "dig_steps": 2},
            ["height 11 instead of 9", "dig_steps 2 instead of 0"],
        ),
    ],
)
def test_changed_rules_are_listed(options, changes):
    assert changed_rules(ID, gridmem.make(ID, **options)) == changes


def test_levels_are_drawn_where_the_stored_ones_do_not_fit(runs):
    agent = load(runs["first"])
    large = replace(agent, env=gridmem.make(ID, height=11))
    scenario = own_scenario(large, 8)
    assert (scenario.kind, scenario.levels.tiles.shape) == ("held-out", (8, 13, 11))
    assert scenario.why_no_score
    levels, _ = draw_levels(large.env, 8)
    assert np.array_equal(scenario.levels.tiles, levels.tiles)
    assert own_scenario(agent, 8).kind == "test"


def test_the_table_is_aligned_and_agrees_with_the_file(done):
    blocks = done["told"].split("\n\n")[:-1]
    assert [block.splitlines()[0] for block in blocks] == [
        f"{ID}, view {view} x {view}, {steps} steps, {agents}; {N} {kinds} levels"
        for view, steps, agents, kinds in [
            (5, 16, "1 agent", "test and fresh"),
            (5, 64, "1 agent", "test"),
            (5, 16, "2 agents", "test"),
            (3, 64, "1 agent", "test and fresh"),
            (3, 64, "2 agents", "test"),
        ]
    ]
    lines = blocks[3].splitlines()[2:]
    assert [re.split(r"\s{2,}", line)[0] for line in lines] == [
        "random",
        *(f"scored, {what}" for what in ("sampled", "greedy", "memory wiped", "fresh levels")),
    ]
    told = row(done, "scored", view_size=3, num_agents=1)
    assert f"{told['episode_return']:.2f} ± {told['return_standard_error']:.2f}" in lines[1]
    assert lines[1].endswith(f" {told['bumps']:.2f}")


def test_a_table_by_hand(runs):
    scenario = own_scenario(load(runs["scored"]), 2)
    finds = gridmem.EpisodeMetrics(*[np.float32([[2], [4]])] * 9)
    names = [name for name in gridmem.EpisodeMetrics._fields if name != "bumps"]
    told = {**dict(zip(names, map(float, range(1, 9)), strict=True)), "return_standard_error": 0.25}
    random = saved_row(scenario, finds, "random", Score(0, -0.01, 0.01, ""))
    random = random._replace(agent="", metrics={**told, "bumps": None, "memory_gain": None})
    random = random._replace(intervals={"memory_gain": None})
    agent = saved_row(scenario, finds, score=Score(0.5, 0.25, 0.75, ""))
    agent = agent._replace(metrics={**told, "bumps": 12.5, "memory_gain": 1.5})
    agent = agent._replace(intervals={"memory_gain": (1.25, 2.0)})
    many = np.full((30, 1), 2, np.int32)
    agent = agent._replace(episodes=finds._replace(visits=many))
    random = random._replace(episodes=finds._replace(visits=many))
    columns = [
        ("          ", "random    ", "a, sampled"),
        ("     return", "1.00 ± 0.25", "1.00 ± 0.25"),
        ("score", "0.000", "0.500"),
        ("           95 %", "-0.010 to 0.010", " 0.250 to 0.750"),
        ("gain", "    ", "1.50"),
        ("        95 %", "            ", "1.25 to 2.00"),
        ("found again", "         30", "         30"),
        ("first find", "      3.00", "      3.00"),
        ("later trip", "      4.00", "      4.00"),
        ("shortest", "    5.00", "    5.00"),
        ("path ratio", "      6.00", "      6.00"),
        ("unseen", "  7.00", "  7.00"),
        ("bumps", "", "12.50"),
    ]
    assert table(Report([random, agent], 0)).splitlines()[:4] == [
        f"{ID}, view 3 x 3, 64 steps, 1 agent; 2 test levels",
        *("  ".join(row).rstrip() for row in zip(*columns, strict=True)),
    ]


@pytest.mark.parametrize(("found_again", "shown"), [(29, False), (30, True)])
def test_a_memory_gain_of_few_episodes_is_not_shown(runs, found_again, shown, monkeypatch):
    scenario = own_scenario(load(runs["scored"]), 2)
    visits = np.repeat(np.int32([2, 0, 1]), [found_again, 7, 7])[:, None]
    episodes = gridmem.EpisodeMetrics(*[visits] * 9)
    metrics = dict.fromkeys([*gridmem.EpisodeMetrics._fields, "return_standard_error"], 1.0)
    row = saved_row(scenario, episodes)._replace(
        metrics={**metrics, "memory_gain": 1.75},
        intervals={"memory_gain": (1.21, 2.62), "episode_return": None},
    )
    report = Report([row], 0)
    told = table(report)
    assert ("1.75" in told, "1.21 to 2.62" in told) == (shown, shown)
    assert f" {found_again} " in told.splitlines()[2]
    assert ("memory gain omitted: fewer than 30 episodes" in told) != shown
    (as_data,) = report.to_dict()["rows"]
    assert (as_data["memory_gain"], as_data["found_again"]) == (1.75, found_again)
    figures = []
    monkeypatch.setattr(evaluation_picture, "png", lambda figure: figures.append(figure) or b"")
    evaluation_picture.draw_evaluation(report)
    panel = figures[0].axes[-1]
    assert [text.get_text() for text in panel.texts] == ["1.75 (30)" if shown else "(29)"]
    assert len(panel.patches) == shown
    for rows in ([row], [row, row]):
        report = Report(rows, None)
        lines = final_evaluation.table(
            report, {"sampled": over_seeds(report, "sampled")}, len(rows)
        )
        assert ("1.75" in lines[1]) == shown
        assert ("1.75 ± 0.00" in lines[1]) == (shown and len(rows) == 2)


def test_columns_are_aligned_and_empty_ones_left_out():
    cells = [["", "return", "score", "digs"], ["ab", "1", "", "2"], ["c", "1234567", "", ""]]
    assert aligned(cells) == [
        "     return  digs",
        "ab        1     2",
        "c   1234567",
    ]
    assert aligned([["x", "y", "z"], ["1", "22", "3"]], left=2) == ["x  y   z", "1  22  3"]


def test_progress_goes_to_stderr(done):
    lines = done["progress"].splitlines()
    number = len(done["data"]["rows"])
    assert len(lines) == number
    assert lines[0] == (f"1 of {number}: random, {ID}, view 5 x 5, 16 steps, 1 agent, test levels")


def replays(done, agent):
    """name -> (return, path), as the file says."""
    paths = sorted((done["out"] / "replays").glob(f"{agent}-*.npz"))
    return {path.stem: (load_replay(path).visits.sum(), path) for path in paths}


def test_the_best_the_median_and_the_worst_episode_are_saved_as_replays(
    runs, done, tmp_path, capsys
):
    assert len(list((done["out"] / "replays").iterdir())) == 9
    agent = load(runs["scored"])
    levels = own_scenario(agent, N).levels
    actions = rollouts.play_levels(
        agent.env, rollouts.Player(agent.method.acting), agent.params, levels, jax.random.key(0)
    ).action
    returns = np.asarray(gridmem.measure(agent.env, levels, actions).episode_return)[:, 0]
    found = replays(done, "scored")
    wanted = {"best": returns.max(), "median": np.sort(returns)[12], "worst": returns.min()}
    assert {name: value for name, (value, _) in found.items()} == {
        f"scored-{name}": value for name, value in wanted.items()
    }
    best = load_replay(found["scored-best"][1])
    index = int(best.title.split()[-1])
    assert best.title == f"{ID}, scored, sampled, test level {index}"
    assert best.config == agent.env.config
    assert np.array_equal(best.level.tiles, levels.tiles[index])
    assert np.array_equal(best.actions, actions[index])
    picture = tmp_path / "best.png"
    assert play_main(["--replay", str(found["scored-best"][1]), "--picture", str(picture)]) == 0
    assert matplotlib.image.imread(picture).size
    assert f"--replay {done['out']}/replays/first-best.npz\n" in done["told"]


def test_a_full_disk_is_refused_before_the_evaluation(runs, tmp_path):
    with file_size_limit(1000):
        code, told, problem = evaluate(runs["scored"], "--out", tmp_path)
    assert (code, told) == (2, "")
    assert problem == (
        f"error: cannot write the results into {tmp_path} (File too large); name another folder "
        "with --out\n"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("has_fallback", breadth([True, False], True))
def test_a_disk_that_fails_during_the_evaluation_does_not_cost_the_table(
    runs, tmp_path, monkeypatch, has_fallback
):
    out, elsewhere = tmp_path / "out", tmp_path / "temporary"
    elsewhere.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    evaluate_agents = evaluator.evaluate_agents

    def evaluate_and_break(*args, **options):
        report = evaluate_agents(*args, **options)
        out.rmdir()
        if not has_fallback:
            elsewhere.rmdir()
        return report

    monkeypatch.setattr(evaluator, "evaluate_agents", evaluate_and_break)
    code, told, progress = evaluate(runs["scored"], "--levels", N, "--replays", 1, "--out", out)
    assert "Traceback" not in progress
    assert "scored, memory wiped" in told
    assert f"could not write {out}/evaluation.json (No such file or directory)" in told
    warnings = [line for line in told.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 3
    assert f"results are in {out}" not in told
    assert (code, len(list(elsewhere.rglob("*.npz")))) == ((0, 1) if has_fallback else (1, 0))
    assert ("watch an episode" in told) == has_fallback


def saved_row(scenario, episodes, player="sampled", score=None):
    return Row("a", player, scenario, np.zeros((1, 1, 1), np.uint8), episodes, {}, {}, score)


@pytest.mark.parametrize(
    ("number", "examples"),
    [
        (0, {}),
        (1, {"best": 3}),
        (2, {"best": 3, "worst": 1}),
        (3, {"best": 3, "median": 4, "worst": 1}),
        (5, {"best": 3, "rank-2": 0, "median": 4, "rank-4": 2, "worst": 1}),
        (9, {"best": 3, "rank-2": 0, "median": 4, "rank-4": 2, "worst": 1}),
    ],
)
def test_examples_go_evenly_from_best_to_worst(number, examples):
    finds = np.float32([[7], [0], [3], [8], [6]])
    row = saved_row(None, gridmem.EpisodeMetrics(*[finds] * 9))
    assert row.examples(number) == examples


def test_the_picture_shows_values_and_intervals(done, runs, monkeypatch, tmp_path):
    assert matplotlib.image.imread(done["out"] / "evaluation.png").shape[2] == 4
    figures = []
    monkeypatch.setattr(evaluation_picture, "png", lambda figure: figures.append(figure) or b"")
    assert evaluate(runs["scored"], "--levels", N, "--replays", 0, "--out", tmp_path)[0] == 0
    panels = figures[0].axes
    assert [panel.get_xlabel() for panel in panels] == [
        "mean return per episode",
        "score",
        "memory gain",
    ]
    texts = [text.get_text() for text in panels[0].get_yticklabels()]
    assert texts[0] == f"{ID}, view 3 x 3, 64 steps, 1 agent"
    assert panels[0].yaxis_inverted()  # the first line on top
    told = row(done, "scored")
    for panel, value, interval in (
        (panels[0], told["episode_return"], told["intervals"]["episode_return"]),
        (panels[1], told["score"]["score"], (told["score"]["low"], told["score"]["high"])),
    ):
        bars = {bar.get_y() + bar.get_height() / 2: bar for bar in panel.patches}
        place = texts.index("scored, sampled")
        assert bars[place].get_width() == pytest.approx(value)
        ends = [line.get_segments() for line in panel.collections]
        at = [s for segments in ends for s in segments if s[0][1] == pytest.approx(place)]
        assert at[0][:, 0] == pytest.approx(interval)


def test_an_evaluation_depends_on_its_seed_only(runs, done, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = []
    for seed in (0, 0, 1):
        code, _, _ = evaluate(runs["first"] / "agent.safetensors", "--levels", N, "--seed", seed)
        assert code == 0
        results.append(json.loads((tmp_path / "evaluation.json").read_text()))
    assert results[0] == results[1]
    one, other = ({each["player"]: each for each in data["rows"][:4]} for data in results[1:])
    assert one["greedy"] == other["greedy"]
    assert one["sampled"] != other["sampled"]
    assert one["random"] != other["random"]
    mine = [each for each in done["data"]["rows"] if each["agent"] in ("", "first")]
    assert [each for each in results[0]["rows"] if each not in mine] == []


def test_the_results_of_one_run_are_kept_in_its_folder(tmp_path):
    run = saved_runs.save(tmp_path / "run", saved_runs.SMALL)
    code, told, _ = evaluate(run, "--levels", N, "--replays", 1)
    assert code == 0
    assert f"the results are in {run}\n" in told
    assert {path.name for path in run.iterdir()} == {
        *("config.json", "metrics.jsonl", "agent.safetensors"),
        *("evaluation.json", "evaluation.png", "replays"),
    }
    assert [path.name for path in (run / "replays").iterdir()] == ["run-best.npz"]


def test_runs_of_the_same_name_are_named_by_their_paths(runs, tmp_path, monkeypatch):
    other = saved_runs.save(tmp_path / "x" / "first", saved_runs.SMALL)
    given = [str(runs["first"]), f"{other}/agent.safetensors", str(runs["second"])]
    assert list(named(given)) == given
    assert list(named(given[1:])) == ["first", "second"]
    monkeypatch.chdir(runs["first"])
    assert list(named(["."])) == ["first"]
    assert list(named(["some/thing.safetensors", "quickstart"])) == ["thing", "quickstart"]


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ("", "the following arguments are required: RUN"),
        ("nosuch", "there is no run folder, file or released agent 'nosuch'"),
        ("{first} {first}", "is named twice; name each run once"),
        ("{first} --level 3", "no option '--level' (did you mean '--levels'?)"),
        ("{first} --levels 3 {second}", "; name all runs before the first option"),
        ("{first} --levels 1", "'1' is not a whole number of at least 2"),
        ("{first} --levels 1001", "--levels is 1001; there are 1,000 test levels"),
        ("{first} --seed -1", "'-1' is not a whole number of at least 0"),
        ("{first} --seed 4294967296", "--seed is 4294967296; it must be below 2**32"),
        ("{first} --agents 0", "'0' is not a whole number of at least 1"),
        ("{first} --agents 999", "too few for 1 goals and 999 agents"),
        ("{first} --on GridMem-9x9", "'GridMem-9x9' (did you mean 'GridMem-9x9-v0'?)"),
        ("{full} --on GridMem-13x13-v0", "the 25 x 25 of GridMem-13x13-v0 are more or fewer than"),
        ("{first} --out {first}/config.json", "cannot make the folder"),
    ],
)
def test_bad_input_is_refused_in_one_sentence_before_the_evaluation(
    runs, tmp_path, monkeypatch, argv, sentence
):
    monkeypatch.chdir(tmp_path)
    if "{full}" in argv:
        full = tiny.config(env={"view_size": "full"}, model={"num_layers": 1})
        runs = {"full": saved_runs.save(tmp_path / "full", full)}
    before = sorted(tmp_path.rglob("*"))
    code, told, problem = evaluate(*argv.format(**runs).split())
    assert (code, told) == (2, "")
    assert problem.startswith("error: ")
    assert sentence in problem
    assert problem.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_options_have_defaults():
    options = parse(["a"])
    assert (options.levels, options.seed, options.replays, options.out) == (None, 0, 3, None)
