"""A teacher: what it says of the states that a student reaches, and what that does to it."""

import json
import math
import shutil
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import foreign
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import saved_runs
import tiny
from flax import nnx
from safetensors.numpy import load_file

import gridmem
from gridmem.baselines import train
from gridmem.baselines.agent import WEIGHTS, load
from gridmem.baselines.config import EnvSettings, from_dict, to_dict
from gridmem.baselines.costs.jaxpr_costs import num_bytes
from gridmem.baselines.costs.plan import Plan
from gridmem.baselines.method import Stage
from gridmem.baselines.ppo.learner import init, make_batches, minibatch_loss, update
from gridmem.baselines.ppo.loss import LossMetrics
from gridmem.baselines.ppo.rollout import collect
from gridmem.baselines.ppo.teacher import lesson_loss, load_teacher, pinned, teacher_weight
from gridmem.baselines.runs.weights import to_bytes
from gridmem.baselines.training import loop as training
from gridmem.baselines.training.cli import parse
from gridmem.baselines.training.imitation import cross_entropy, kl_divergence, mean_squared_error
from gridmem.baselines.training.loop import Run
from gridmem.baselines.training.seeds import init_seeds, seed_slice, update_seeds
from gridmem.envs.environment import Discrete

STEPS = 8 * 16  # of an update
OF_TEACHER = tiny.config(model={"num_layers": 1, "window": 5})


@pytest.fixture(scope="module")
def school(tmp_path_factory):
    """The weights of an agent that prefers some actions."""
    path = tmp_path_factory.mktemp("school") / "teacher.safetensors"
    params = tiny.start(OF_TEACHER)[1].params
    params["action"][...] = 25 * params["action"][...]
    path.write_bytes(to_bytes(OF_TEACHER, params, 0))
    return str(path)


def student(teacher, method=None, **changes):
    """A recurrent student on the teacher's environment."""
    settings = {"teacher": teacher, "teacher_coef": 2.0, "teacher_steps": 3 * STEPS}
    model = {"num_layers": 1, "mixer": "gru"}
    return tiny.config(model=model, method={**settings, **(method or {})}, **changes)


ALONE = student(None, {"teacher_coef": 1.0, "teacher_steps": 1_000_000})


def test_losses_by_hand():
    # Probabilities 1/4 and 3/4, and 1/2 and 1/2; the third entry does not count.
    logits = jnp.array([[[0.0, math.log(3)], [1.0, 1.0], [5.0, -5.0]]])
    valid = jnp.array([[True, True, False]])
    found = cross_entropy(logits, jnp.array([[0, 1, 0]]), valid)
    assert found == pytest.approx((math.log(4) + math.log(2)) / 2, rel=1e-6)
    teacher = jnp.log(jnp.array([[[0.5, 0.5], [0.9, 0.1], [0.3, 0.7]]]))
    first = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    second = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    found = kl_divergence(teacher, logits, valid)
    assert found == pytest.approx((first + second) / 2, rel=1e-5)
    assert kl_divergence(jax.nn.log_softmax(logits), logits, valid) == 0
    found = mean_squared_error(logits, jnp.ones_like(logits), valid)
    assert found == pytest.approx((1 + (math.log(3) - 1) ** 2) / 4, rel=1e-6)
    for loss in (cross_entropy, kl_divergence, mean_squared_error):
        other = jnp.zeros((1, 3), jnp.int32) if loss is cross_entropy else jnp.zeros((1, 3, 2))
        one, two = (other, logits) if loss is kl_divergence else (logits, other)
        assert loss(one, two, jnp.zeros_like(valid)) == 0


def test_a_lesson_is_a_distribution_or_an_action():
    logits, valid = jnp.array([[[0.0, math.log(3)]] * 3]), jnp.array([[True, True, False]])
    log_probs = jnp.log(jnp.array([[[0.5, 0.5]] * 3]))
    assert lesson_loss(log_probs, logits, valid) == kl_divergence(log_probs, logits, valid)
    # From the first step the oracle has no path.
    found = lesson_loss(jnp.array([[2, 0, 1]]), logits, valid)
    assert found == pytest.approx(math.log(4), rel=1e-6)


def test_the_weight_falls_linearly_to_the_end_of_the_stage():
    config = student("oracle", {"teacher_steps": 5 * STEPS // 2})
    weights = [teacher_weight(config, config.make_env(), jnp.int32(k)) for k in range(5)]
    np.testing.assert_allclose(weights, [2, 2 * 3 / 5, 2 / 5, 0, 0], rtol=1e-5)
    assert config.method.stages_of(config) == [Stage("teacher", 3), Stage("alone", 7)]
    short = replace(config, total_steps=2 * STEPS)
    assert short.method.stages_of(short) == [Stage("teacher", 2)]
    plain = tiny.CONFIG
    assert plain.method.stages_of(plain) == [Stage("", 10)]
    assert tiny.ppo(plain).inputs(0) == ()


def by_full_pass(model, obs, segments):
    """Its log-probabilities where a student has played, leaves [B, T, ...], in one pass."""
    caches = model.init_cache(len(obs.view), 0, segments is not None)
    return jax.nn.log_softmax(model.sequence(obs, caches, segments)[0])


@pytest.mark.slow
def test_whole_episodes_have_what_the_teacher_says_of_them(school):
    config, key = student(school), jax.random.key(1)
    env, teacher = config.make_env(), load_teacher(config, config.make_env())
    graphdef, learner = init(config, env, teacher)

    @jax.jit
    def both(params, teacher):
        model = nnx.merge(graphdef, params)
        experience = collect(config, env, model, None, key, key, teacher=teacher)
        (batch,) = make_batches(config, env, experience, jnp.float32(3))
        expected = by_full_pass(teacher.model, batch.obs, None)
        logits = model.sequence(batch.obs, batch.caches)[0]
        divergence = kl_divergence(expected, logits, batch.transitions.valid)
        loss = partial(minibatch_loss, config, graphdef, params)
        losses = loss([batch]), loss([batch._replace(lesson=None)])
        return batch.lesson, expected, divergence, losses

    lesson, expected, divergence, losses = both(learner.params, teacher)
    np.testing.assert_allclose(lesson, expected, atol=1e-5)
    assert divergence > 0.1
    (with_teacher, (metrics,)), (without, (plain,)) = losses
    assert metrics.auxiliary["teacher_kl"] == pytest.approx(float(divergence), rel=1e-4)
    assert with_teacher == pytest.approx(float(without + 3 * divergence), rel=1e-5)
    assert isinstance(plain, LossMetrics)


@pytest.mark.slow
@pytest.mark.parametrize("mixer", ["gru", "attention"])
def test_rollouts_that_continue_have_what_it_says_of_whole_episodes(school, mixer):
    config = student(school, {"rollout_steps": 12})
    config = replace(config, model=replace(config.model, mixer=mixer))
    env, key = config.make_env(), jax.random.key(1)
    teacher = load_teacher(config, env)
    graphdef, learner = init(config, env, teacher)

    @jax.jit
    def played(params, state, teacher):
        def rollout(state, _):
            model = nnx.merge(graphdef, params)
            experience = collect(config, env, model, state, key, key, teacher=teacher)
            (batch,) = make_batches(config, env, experience)
            return experience.state, (batch.obs, batch.segments, batch.lesson)

        parts = jax.lax.scan(rollout, state, length=3)[1]
        obs, segments, lesson = jax.tree.map(
            lambda x: jnp.swapaxes(x, 0, 1).reshape(8, 36, *x.shape[3:]), parts
        )
        return segments, lesson, by_full_pass(teacher.model, obs, segments)

    segments, lesson, expected = played(learner.params, learner.rollout_state, teacher)
    assert segments.max() >= 2
    np.testing.assert_allclose(lesson, expected, atol=1e-5)


@pytest.mark.slow
def test_the_memory_of_a_teacher_that_has_left_stays_as_it_is(school):
    config, key = student(school, {"rollout_steps": 12}), jax.random.key(1)
    env = config.make_env()
    graphdef, learner = init(config, env, load_teacher(config, env))
    state, model = learner.rollout_state, nnx.merge(graphdef, learner.params)
    experience = jax.jit(lambda state: collect(config, env, model, state, key, key))(state)
    assert experience.lesson is None
    before, after = (tiny.host(each.runner.carry.teacher) for each in (state, experience.state))
    assert all(map(np.array_equal, before, after))
    assert jax.tree.map(jnp.shape, experience.state) == jax.tree.map(jnp.shape, state)


ROOM = tiny.small_room(student("oracle", {"rollout_steps": 12}))


@pytest.mark.slow
@pytest.mark.parametrize("steps", [None, 12])
def test_the_oracle_says_where_to_go(steps):
    config, key = student("oracle", {"rollout_steps": steps}), jax.random.key(1)
    teacher = load_teacher(config, ROOM)
    graphdef, learner = init(config, ROOM, teacher)

    @jax.jit
    def rolled_out(params, state):
        experience = collect(
            config, ROOM, nnx.merge(graphdef, params), state, key, key, teacher=teacher
        )
        return experience.state, make_batches(config, ROOM, experience)[0]

    state = learner.rollout_state
    for _ in range(2):
        state, batch = rolled_out(learner.params, state)
        # The goal is in the middle of three cells, so that it is to the left or to the right.
        row, middle = batch.obs.view.shape[-1] // 2, batch.obs.view.shape[-1] // 2
        views = np.asarray(batch.obs.view).reshape(*batch.lesson.shape, *batch.obs.view.shape[-2:])
        right = views[..., row, middle + 1] == gridmem.Tile.GOAL
        left = views[..., row, middle - 1] == gridmem.Tile.GOAL
        seen = np.asarray(batch.transitions.valid) & (right | left)
        assert seen.any()
        expected = np.where(right, gridmem.Action.RIGHT, gridmem.Action.LEFT)
        np.testing.assert_array_equal(np.asarray(batch.lesson)[seen], expected[seen])


@pytest.mark.slow
def test_a_student_moves_towards_its_teacher(school):
    config = student(
        school,
        {"teacher_coef": 10.0, "teacher_steps": 100 * STEPS},
        total_steps=100 * STEPS,
        optimizer={"learning_rate": 1e-2, "warmup": 0.0},
    )
    method = tiny.ppo(config)
    state, divergences = method.init(), []
    for _ in range(20):
        state, metrics = update_seeds(method, state, 0)
        divergences.append(float(metrics.loss.auxiliary["teacher_kl"]))
    assert divergences[-1] < 0.5 * divergences[0]


def test_a_teacher_is_given_to_the_updates_of_its_stage_and_is_not_saved(school):
    config = student(school)
    taught, (teacher,) = tiny.ppo(config), tiny.ppo(config).inputs(0)
    assert taught.inputs(1) == ()
    assert num_bytes(teacher) > 0
    state = jax.eval_shape(taught.init)
    assert jax.tree.structure(state) == jax.tree.structure(jax.eval_shape(tiny.ppo(ALONE).init))


@pytest.mark.slow
def test_without_its_teacher_a_student_has_the_program_of_any_run(school):
    config, env = student(school), ALONE.make_env()
    graphdef, learner = tiny.start(ALONE)
    texts = [update.lower(each, env, graphdef, learner).as_text() for each in (config, ALONE)]
    assert texts[0] == texts[1]


@pytest.mark.slow
def test_seeds_that_share_a_teacher_are_what_they_are_alone(school):
    config = student(school, {"rollout_steps": 12}, seed=3, num_seeds=2)
    method = tiny.ppo(config)
    together, ends = init_seeds(method), []
    for one in config.seed_configs:
        alone = tiny.ppo(one)
        state, metrics = alone.init(), []
        for stage in (0, 0, 1):
            state, of_update = update_seeds(alone, state, stage)
            metrics.append(tiny.host(of_update))
        ends.append((tiny.host(state), metrics))
    for number, stage in enumerate((0, 0, 1)):
        together, of_update = update_seeds(method, together, stage)
        for seed in range(2):
            mine = tiny.host(seed_slice(of_update, config, seed))
            for one, other in zip(mine, ends[seed][1][number], strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    for seed in range(2):
        for one, other in zip(
            tiny.host(seed_slice(together, config, seed)), ends[seed][0], strict=True
        ):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [None, 12])
def test_the_plan_has_the_teacher(school, steps):
    config = student(school, {"rollout_steps": steps})
    with_teacher = Plan(config, None)
    without = Plan(student("oracle", {"rollout_steps": steps}), None)  # which has no network
    method, memory, other = tiny.ppo(config), with_teacher.memory, without.memory
    assert with_teacher.num_parameters == without.num_parameters
    assert memory.parameters == other.parameters + num_bytes(method.inputs(0))
    assert memory.rollout_state == num_bytes(jax.eval_shape(method.init).rollout_state)
    assert memory.caches > other.caches
    # Log-probabilities of four actions, and not an action.
    num_steps = config.ppo.steps_per_update(config.make_env())
    assert memory.rollout == other.rollout + num_steps * 3 * 4
    assert with_teacher.rollout.flops > 1.5 * without.rollout.flops


SMALL = "--num-layers 1 --width 16 --ff-width 16 --head-dim 8 --value-width 16 --num-envs 8"
SMALL = f"{SMALL} --num-minibatches 2 --eval-levels 0"


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ("--teacher nosuch", "the teacher cannot be used: there is no run folder, file or"),
        ("--teacher SCHOOL", "observes view 5x5, and the student view 3x3; they must observe"),
        (
            "--teacher SCHOOL --view-size 5 --compass",
            "the student view 5x5 and compass 2;",
        ),
        ("--teacher-steps 5", "teacher_steps is 5, and there is no teacher; give --teacher"),
        ("--teacher-coef 2", "teacher_coef is 2.0, and there is no teacher; give --teacher"),
        ("--teacher oracle --teacher-coef 0", "teacher_coef is 0.0; it must be a number above 0"),
        ("--teacher oracle --teacher-steps 0", "teacher_steps is 0; it must be a whole number"),
        (
            "--teacher oracle --env-id GridMem-9x9-v0+GridMem-13x13-v0 --rollout-steps 8",
            "a teacher is for one environment, and GridMem-9x9-v0+GridMem-13x13-v0 is a mixture",
        ),
        (
            "--teacher oracle --env-id Corridor-v0",
            "the oracle knows the maps of GridMem, and Corridor-v0 is no environment of it",
        ),
        (
            "--teacher GridMem-9x9-v0 --env-id Corridor-v0",
            "the teacher GridMem-9x9-v0 (trained in GridMem-9x9-v0) observes view 5x5, and the",
        ),
        (
            "--teacher SCHOOL --teacher-sha256 0123456789abcdef",
            "has other weights than the run began with: their SHA-256 is",
        ),
    ],
)
def test_teachers_that_cannot_be_are_refused_in_one_sentence(
    school, flags, sentence, tmp_path, capfd
):
    foreign.module("corridor")
    words = f"{SMALL} {flags} --total-steps 1 --run-dir {tmp_path / 'run'}"
    code, out, err = saved_runs.run(train, capfd, words.replace("SCHOOL", school))
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


class FiveActions(gridmem.Env):
    actions = Discrete(5)


def test_a_teacher_with_other_actions_or_of_another_method_is_refused(school, monkeypatch):
    config = student(school)
    env = config.make_env()
    with pytest.raises(ValueError, match=r"has the actions Discrete\(n=4\), and the student Disc"):
        load_teacher(config, FiveActions(env.config))
    other = SimpleNamespace(config=SimpleNamespace(method=SimpleNamespace(name="td3")))
    monkeypatch.setattr("gridmem.baselines.agent.load", lambda _: other)
    with pytest.raises(ValueError, match="was trained by td3, and must be an agent of ppo"):
        load_teacher(config, env)


def test_a_teacher_from_another_id_is_named(school):
    """It is accepted where it sees the same."""
    config = replace(student(school), env=EnvSettings("GridMem-13x13-v0"))
    assert (
        "trained in GridMem-9x9-v0; weight 2, falling to 0 over 384"
        in tiny.ppo(config).about["teacher"]
    )
    assert tiny.ppo(tiny.CONFIG).about == {}


def begun(folder, config):
    """The folder of a run as far as it matters for what resumes it."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(to_dict(config)))
    return folder


def test_a_run_is_resumed_with_its_own_teacher_only(school, tmp_path, capfd):
    own = tmp_path / "own.safetensors"
    shutil.copy(school, own)
    folder = begun(tmp_path / "run", pinned(student(str(own))))
    own.write_bytes(to_bytes(OF_TEACHER, tiny.start(OF_TEACHER)[1].params, 0))
    code, _, err = saved_runs.run(train, capfd, f"--resume {folder}")
    assert code == 2
    assert err.startswith(f"error: the teacher {own} has other weights than the run began with")
    own.unlink()
    code, _, err = saved_runs.run(train, capfd, f"--resume {folder}")
    assert code == 2
    assert err.startswith("error: the teacher cannot be used: there is no run folder, file or")


def test_the_digest_of_a_config_is_kept_and_the_oracle_has_none(school):
    config = pinned(student(school))
    assert len(config.ppo.teacher_sha256) == 64
    assert pinned(config) == config
    other = student(school, {"teacher_sha256": "0" * 64})
    assert pinned(other) == other
    for each in (student("oracle"), tiny.CONFIG):
        assert pinned(each) == each
    assert from_dict(to_dict(config)) == config


@pytest.mark.parametrize(("updates", "extra"), [(2, 9), (2, 1), (4, 3)])
def test_a_run_is_extended_from_either_stage(tmp_path, updates, extra):
    folder = begun(tmp_path / "run", replace(student("oracle"), total_steps=updates * STEPS))
    config = parse(["--resume", str(folder), "--extend", str(extra * STEPS)], "train").config
    number = updates + extra
    assert config.num_updates == number
    expected = [Stage("teacher", min(number, 3)), Stage("alone", number - 3)]
    assert config.method.stages_of(config) == [each for each in expected if each.num_updates > 0]


class Killed(BaseException):
    """An exception that the program never catches."""


@pytest.mark.slow
@pytest.mark.parametrize(("call", "steps"), [(2, None), (4, 12), (5, 12)])
def test_a_resumed_run_crosses_the_stages_as_one_that_never_stopped(
    school, tmp_path, monkeypatch, call, steps
):
    config = student(school, {"rollout_steps": steps, "teacher_steps": 3 * 8 * (steps or 16)})
    config = replace(config, total_steps=6 * 8 * (steps or 16), checkpoint_seconds=0.0)

    def start(folder):
        return Run.new("tiny", replace(config, run_dir=str(folder)), "resume", "")

    assert start(tmp_path / "a").run() == 0
    original, calls = training.update_seeds, []

    def dying(*args):
        calls.append(1)
        if len(calls) == call:
            raise Killed
        return original(*args)

    with monkeypatch.context() as patch:
        patch.setattr(training, "update_seeds", dying)
        with pytest.raises(Killed):
            start(tmp_path / "b").run()
    folder = tmp_path / "b"
    stored = from_dict(json.loads((folder / "config.json").read_text()))
    assert stored == pinned(config)
    assert Run.resumed("b", replace(stored, run_dir=str(folder)), "resume").run() == 0
    rows = saved_runs.rows_of(tmp_path / "a")
    assert rows == saved_runs.rows_of(folder)
    assert ["teacher_kl" in row for row in rows] == [True] * 3 + [False] * 3
    one, other = (load_file(tmp_path / each / WEIGHTS) for each in "ab")
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert load(folder).config.ppo.teacher == school
