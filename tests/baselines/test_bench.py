"""`python -m gridmem.baselines.bench`."""

import json
from itertools import count

import jax
import pytest
import tiny

from gridmem.baselines import bench
from gridmem.baselines.bench import main
from gridmem.baselines.config import to_dict
from gridmem.baselines.costs import benchmark, hardware, plan
from gridmem.baselines.costs.benchmark import (
    TABLE_HEAD,
    Measurement,
    measure_environment,
    table_row,
)

CONFIG = tiny.config(model={"num_layers": 1})
MEASURED = Measurement(
    part="rollout",
    mixer="attention",
    num_layers=6,
    num_steps=32_000,
    compile_seconds=12.34,
    seconds=(16.0, 2.0, 4.0),
    matmul_speed=160e9,
    flops=5.218e6,
    plan_bytes=309 * 1024.0,
    xla_bytes=None,
)


@pytest.fixture
def preset(tmp_path):
    """A file with the settings of a run."""
    file = tmp_path / "tiny.json"
    file.write_text(json.dumps(to_dict(CONFIG)))
    return file


def run(capsys, *argv):
    """Exit code, stdout and stderr of the program."""
    code = main([str(word) for word in argv])
    return code, *capsys.readouterr()


def test_speeds_follow_from_the_median():
    assert MEASURED.steps_per_second == 8000
    assert MEASURED.speed == pytest.approx(41.744e9)
    assert MEASURED.share == pytest.approx(0.2609)
    data = MEASURED.to_dict()
    assert data["seconds"] == (16, 2, 4)
    assert data["flops_per_second"] == MEASURED.speed
    assert (data["steps_per_second"], data["share_of_matmul"]) == (8000, MEASURED.share)


def test_the_lines_are_a_table():
    environment = Measurement("environment", None, None, 500, 1.0, (0.5,))
    assert [TABLE_HEAD, table_row(environment), table_row(MEASURED)] == [
        "mixer      layers  part         agent steps/s  compile, s    GFLOP/s  of matmul"
        "  MFLOP a step  KiB, plan   KiB, XLA",
        "                   environment          1,000         1.0",
        "attention       6  rollout              8,000        12.3       41.7       26 %"
        "          5.22        309",
    ]


@pytest.mark.slow
def test_all_parts_are_measured_and_written(monkeypatch, tmp_path, capsys, preset):
    monkeypatch.setattr(hardware, "SIDES", {jax.default_backend(): (32,)})
    out = tmp_path / "out.json"
    flags = ["--mixers", "none", "--layers", "1", "--repeats", "2"]
    code, told, problem = run(capsys, "--preset", preset, *flags, "--out", out)
    assert (code, problem) == (0, "")
    settings, kernels, _, title, *lines = told.splitlines()[1:]
    assert kernels.startswith("kernels: feed-forward layers by ")
    assert settings == "GridMem-9x9-v0, 8 x 1 agents, 16 steps, 2 x 2 minibatches, float32"
    assert title == TABLE_HEAD
    assert [row[19:30].strip() for row in lines] == list(bench.PARTS)
    kept = json.loads(out.read_text())
    assert kept["config"] == to_dict(CONFIG)
    assert kept["machine"]["versions"]["jax"] == jax.__version__
    results = kept["results"]
    assert [result["part"] for result in results] == list(bench.PARTS)
    for result in results:
        assert result["num_steps"] == 8 * 16
        assert len(result["seconds"]) == 2
        assert result["compile_seconds"] > 0
    environment, rollout, training, whole = results
    assert environment["mixer"] is environment["flops"] is None
    planned = plan.Plan(tiny.config(model={"num_layers": 1, "mixer": "none"}), None)
    assert rollout["flops"] == planned.rollout.flops
    assert training["plan_bytes"] == planned.training.bytes
    assert whole["flops"] == planned.rollout.flops + planned.training.flops
    assert whole["xla_bytes"] == rollout["xla_bytes"] + training["xla_bytes"]
    assert rollout["xla_bytes"] > rollout["plan_bytes"]


@pytest.mark.slow
def test_seconds_are_those_of_each_call_but_the_first(monkeypatch):
    ticks = count()  # each call takes one second
    monkeypatch.setattr("time.perf_counter", lambda: float(next(ticks)))
    assert measure_environment(CONFIG, 3).seconds == (1, 1, 1)


@pytest.mark.slow
def test_xla_need_not_have_a_cost_analysis(monkeypatch, tmp_path, capsys, preset):
    monkeypatch.setattr(hardware, "SIDES", {jax.default_backend(): (32,)})
    monkeypatch.setattr(jax.stages.Compiled, "cost_analysis", lambda _: None)
    flags = ["--parts", "rollout", "--mixers", "none", "--repeats", "1"]
    code, _, _ = run(capsys, "--preset", preset, *flags, "--out", tmp_path / "out.json")
    (rollout,) = json.loads((tmp_path / "out.json").read_text())["results"]
    assert (code, rollout["xla_bytes"]) == (0, None)


@pytest.fixture
def planned(monkeypatch):
    """The configs that are planned; none of them fits, so that nothing is measured."""
    configs = []
    monkeypatch.setattr(plan, "problem", lambda each: configs.append(each.config) or "too large")
    return configs


def test_without_a_preset_it_is_the_reference_in_a_size_for_the_device(capsys, planned):
    _, out, problem = run(capsys, "--parts", "whole")
    on_cpu = jax.default_backend() == "cpu"
    num_envs, dtype = (4, "float32") if on_cpu else (256, "bfloat16")
    expected = f"GridMem-v0, {num_envs} x 16 agents, 512 steps, 1 x 16 minibatches, {dtype}\n"
    assert expected in out
    assert problem == "error: too large\n"
    assert [(each.model.mixer, each.model.num_layers) for each in planned] == [("attention", 6)]


def test_options_change_the_preset(capsys, planned, monkeypatch):
    monkeypatch.setattr(plan, "problem", lambda each: planned.append(each.config))
    monkeypatch.setattr(benchmark, "measure", lambda *_: [])
    words = "--preset small --mixers none,attention,none --layers 3 --num-envs 6 --dtype float32"
    code, _, _ = run(capsys, *words.split(), "--num-minibatches", "8", "--parts", "whole")
    assert code == 0
    assert [(each.model.mixer, each.model.num_layers) for each in planned] == [
        ("none", 3),
        ("attention", 3),
    ]
    for config in planned:
        assert config.env.env_id == "GridMem-9x9-v0"
        assert (config.ppo.num_envs, config.ppo.num_minibatches) == (6, 8)
        assert config.model.dtype == "float32"


def test_the_compilation_cache_is_off_while_measuring_and_restored(capsys, planned, monkeypatch):
    before, during = jax.config.jax_enable_compilation_cache, []

    def problem(_):
        during.append(jax.config.jax_enable_compilation_cache)
        return "too large"

    monkeypatch.setattr(plan, "problem", problem)
    assert run(capsys, "--parts", "whole")[0] == 2
    assert during == [False]
    assert jax.config.jax_enable_compilation_cache == before


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ("--mixers atention", "--mixers is given 'atention' (did you mean 'attention'?); it takes"),
        ("--mixers none,", "--mixers is given ''; it takes attention, gru"),
        ("--parts rolout", "--parts is given 'rolout' (did you mean 'rollout'?); it takes"),
        ("--layers 1,two", "--layers has 'two'; it must be whole numbers above 0, as in 1,2,6"),
        ("--layers 0", "--layers has '0'; it must be"),
        ("--preset referense", "there is no preset 'referense' (did you mean 'reference'?)"),
        ("--preset nosuch.json", "nosuch.json cannot be used (No such file or directory)"),
        ("--dtype float16", "--dtype is 'float16'; it must be float32 or bfloat16"),
        ("--num-envs 4 --num-minibatches 7", "num_minibatches is 7; it must divide the"),
        ("--repeats 0", "'0' is not a whole number of at least 1"),
        ("--reppeats 2", "there is no option '--reppeats' (did you mean '--repeats'?)"),
        ("attention", "unexpected argument 'attention'; all arguments are options"),
        ("--out nosuch/x.json", "cannot write nosuch/x.json (No such file or directory)"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(tmp_path, monkeypatch, capsys, argv, sentence):
    monkeypatch.chdir(tmp_path)
    code, told, problem = run(capsys, *argv.split())
    assert (code, told) == (2, "")
    assert problem.startswith("error: ")
    assert sentence in problem
    assert problem.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_model_that_does_not_fit_is_refused(planned, capsys, preset):
    flags = ["--parts", "whole", "--mixers", "none", "--layers", "3"]
    code, _, problem = run(capsys, "--preset", preset, *flags)
    assert (code, problem) == (2, "error: too large\n")
    xla = dict.fromkeys(("attention", "decode", "feed_forward"), "xla")
    model = {"num_layers": 3, "mixer": "none", **xla}
    assert planned == [tiny.config(model=model)]
