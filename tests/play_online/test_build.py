"""The committed files of the page are those that its sources give."""

import base64
from functools import partial

import jax
import numpy as np
import pytest
from episodes import FOLDER, content, load_build, of_page
from safetensors.numpy import load

import gridmem
from gridmem.baselines.agent import load as load_agent
from gridmem.baselines.agent import weights_file
from gridmem.envs.registry import CONFIGS
from gridmem.envs.types import Level

MOST_BYTES = 1_500_000
build = load_build()


def test_built_files_are_those_that_were_committed():
    built = build.outputs()
    stored = {path.relative_to(FOLDER).as_posix() for path in (FOLDER / "data").iterdir()}
    assert stored | {"play.js"} == set(built)
    changed = [
        path for path, text in built.items() if (FOLDER / path).read_bytes() != text.encode()
    ]
    assert not changed, "run `uv run python docs/play_online/build.py`"


def test_the_folder_is_small():
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    own = [path for path in files if not {"node_modules", "__pycache__"} & set(path.parts)]
    assert sum(path.stat().st_size for path in own) < MOST_BYTES


def test_every_id_has_its_data():
    for id in CONFIGS:
        assert content(FOLDER / f"data/{id}-levels.js")
    assert set(build.AGENTS) <= set(CONFIGS)


def test_weights_are_the_released_ones_rounded():
    (name, *_) = build.AGENTS
    page = load(base64.b85decode(content(FOLDER / f"data/{name}-agent.js")))
    released = load(weights_file(name).read_bytes())
    played = {key: x for key, x in released.items() if not key.startswith(build.NEXT_VIEW)}
    assert {name for name in page if not name.endswith(build.SCALE)} == played.keys()
    for tensor, value in played.items():
        small = page[tensor].astype(np.float32)
        if page[tensor].dtype == np.int8:
            scale = page[tensor + build.SCALE].astype(np.float32)
            assert (abs(small * scale - value) <= 0.51 * scale).all()
        else:
            np.testing.assert_array_equal(page[tensor], value.astype(np.float16))


@pytest.mark.slow
@pytest.mark.parametrize("id", build.AGENTS)
def test_scores_with_the_weights_of_the_page_are_those_of_the_released(id):
    agent, levels = load_agent(id), gridmem.levels(id)

    def finds(agent):
        policy = agent.policy(greedy=True)
        played = jax.jit(partial(gridmem.play, agent.env, policy))(levels, jax.random.key(0))
        return np.asarray(played.rollout.reward).sum(axis=0)

    before, after = finds(agent), finds(of_page(agent))
    difference = after - before
    error = difference.std() / len(difference) ** 0.5
    scores = [gridmem.score(id, each).score for each in (before, after)]
    print(f"{id}: {scores}, finds differ by {difference.mean()} +- {error}")
    assert abs(difference.mean()) < 2 * error


def test_a_level_has_more_spawns_than_trips_fit_into_an_episode():
    level = gridmem.make_level(["#####", "#0.G#", "#####"])  # 2 steps a trip
    levels = Level(*(np.asarray(leaf)[None] for leaf in level))
    for max_steps, spawns in ((1, 1), (2, 2), (127, 64), (128, 65)):
        assert build.enough_spawns(levels, max_steps) == spawns
    levels = levels._replace(spawns=levels.spawns[:, :64])
    with pytest.raises(ValueError, match="64 spawns do not last for an episode of 128 steps"):
        build.enough_spawns(levels, max_steps=128)


def test_comments_on_lines_of_their_own_are_left_out():
    code = "  /** @type {A} */ (a).b();\n  c = 1; // one\n"
    comments = "  // one\n/**\n * @returns {A}\n */\n  /** one */\n"
    assert build.COMMENT.sub("", comments + code + comments) == code


@pytest.mark.parametrize(
    "line",
    [
        'import { a as b } from "./rules.js";',
        'import * as rules from "./rules.js";',
        'import "./rules.js";',
        "export { a };",
        "export default 1;",
        "export let a = 1;",
    ],
)
def test_modules_that_cannot_be_joined_are_refused(line):
    rules = "export const a = 1;\n"
    known = 'import {\n  a,\n} from "./rules.js";\nexport class B {}\n'
    assert "const {\n  a,\n} = bundle.rules;" in build.join({"rules": rules, "page": known})
    with pytest.raises(ValueError, match="does not know this form"):
        build.join({"rules": rules, "page": f"{known}{line}\n"})
