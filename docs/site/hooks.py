"""Pages of the site that are not in docs/: the files of pages/, and what the package says itself.

MkDocs calls `on_files` and `on_page_markdown`. Numbers come from the registry, the stored levels
and the tables of docs/, so they cannot differ from these.
"""

import base64
import contextlib
import io
import json
import os
import re
import runpy
from pathlib import Path

from mkdocs.structure.files import File

from gridmem import CONFIGS, difficulty, make
from gridmem.envs.analysis.level_packs import SHA256, pack
from gridmem.envs.analysis.score import normalized_score
from gridmem.envs.assets import asset
from gridmem.envs.types import Tile

ROOT = Path(__file__).parents[2]
DOCS, PAGES = ROOT / "docs", Path(__file__).parent / "pages"
GIF_LEVELS = runpy.run_path(str(DOCS / "images" / "make_ids.py"))["LEVELS"]
PROGRAMS = (
    "gridmem.render.play",
    "gridmem.baselines.train",
    "gridmem.baselines.evaluate",
    "gridmem.baselines.compare",
    "gridmem.baselines.bench",
    "gridmem.baselines.collect",
    "gridmem.baselines.decision_transformer",
    "gridmem.baselines.accelerate",
)
PLAYERS = {"agent": "the released agent", "oracle": "the oracle, which knows the cave"}


def on_files(files, config):
    """Adds the pages that are not in docs/."""
    for path in sorted(PAGES.rglob("*")):
        if path.is_file():
            name = path.relative_to(PAGES).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    for name in ("CONTRIBUTING", "CHANGELOG"):
        text = (ROOT / f"{name}.md").read_text().replace("](docs/", "](")
        files.append(File.generated(config, f"{name.lower()}.md", content=text))
    for id in CONFIGS:
        files.append(File.generated(config, f"ids/{id}.md", content=id_page(id)))
    for path in sorted((DOCS / "tutorials").glob("*.ipynb")):
        text, pictures = notebook_page(path)
        files.append(File.generated(config, f"tutorials/{path.stem}.md", content=text))
        for name, data in pictures.items():
            files.append(File.generated(config, f"tutorials/{name}", content=data))
    return files


def on_page_markdown(markdown, page, config, files):
    """Fills in what is generated, and leads links out of docs/ to the pages of the site."""
    for mark, make_text in MARKS.items():
        if mark in markdown:
            markdown = markdown.replace(mark, make_text())
    return markdown.replace("](../CONTRIBUTING.md", "](contributing.md")


def notebook_page(path):
    """A notebook as a page: its text, and its pictures by name."""
    title, *cells = json.loads(path.read_text())["cells"]
    download = f"[Download this notebook]({path.name}){{ download }}"
    parts, pictures = ["".join(title["source"]), download], {}
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source.replace(".ipynb)", ".md)"))
            continue
        parts.append(f"```python\n{source}\n```")
        outputs = cell["outputs"]
        drawn = [out for out in outputs if "image/png" in out.get("data", {})]
        texts = [
            out.get("text") or out["data"]["text/plain"] for out in outputs if out not in drawn
        ]
        if text := "".join("".join(lines) for lines in texts).strip():
            parts.append(f"```text\n{text}\n```")
        for out in drawn:
            picture = base64.b64decode(out["data"]["image/png"])
            ending = "gif" if picture.startswith(b"GIF") else "png"
            name = f"{path.stem}-{len(pictures) + 1}.{ending}"
            pictures[name] = picture
            parts.append(f"![Output of the cell above]({name})")
    return "\n\n".join(parts), pictures


def id_page(id):
    """The page of an id: picture, rules, and how good policies are."""
    env, player = make(id), "agent" if agent_row(id) else "oracle"
    rules, cave = env.config, env.config.map
    digging = f"takes {rules.dig_steps + 2} steps to pass"
    weights = "drawn for each cave" if cave.dirichlet else "equal"
    waves = ", ".join(map(str, cave.wavelengths))
    stored = pack(id)
    ring = slice(1, -1)
    solid = (stored.levels.tiles[:, ring, ring] == Tile[cave.solid.upper()]).mean()
    steps = difficulty(stored.levels, rules.dig_steps).mean()
    lines = [
        f"# {id}\n",
        f"![An episode of {id}](../images/ids/{id}.gif)\n",
        f"*Test level {GIF_LEVELS[id]}, played by {PLAYERS[player]}. The frame is what the agent "
        "sees; bright cells have been in view.*\n",
        f'```python\nimport gymnasium\nimport gridmem\n\nenv = gymnasium.make("{id}")\n```\n',
        "## Rules\n",
        "| | |\n|---|---|",
        f"| Cave | {cave.height} x {cave.width} cells in a ring of wall, new in every episode |",
        f"| Solid cells | {cave.solid}, {digging if rules.dig_steps else 'permanent'} |",
        f"| Noise | wavelengths {waves} cells, weights {weights}, threshold {cave.threshold} |",
        f"| Observation | `uint8[{env.view_size}, {env.view_size}]`: ids of the tiles around the "
        "agent, which is at the centre |",
        "| Actions | `Discrete(4)`: 0 up, 1 right, 2 down, 3 left |",
        "| Reward | 1 on entering the goal, which moves the agent to a random cell; else 0 |",
        f"| End | truncated after {env.max_steps} steps; never terminated |",
        "",
        "[All rules](../environments.md#rules) and [options](../environments.md#options).\n",
        "## Caves\n",
        f"Of the {len(stored.best_return):,} [stored test levels](../datasets.md#test-levels) "
        f"{solid:.0%} of the cells are {cave.solid}. Shortest paths from a start to the goal have "
        f"{steps:.0f} steps on average.\n",
        "## How good is a policy?\n",
        "Mean return on the test levels, that is finds of the goal in an episode; a score of 0 "
        f"is random actions, 1 the {stored.best}.\n",
        *policy_table(id),
        "",
        "A policy without memory can reach the row *reactive*. "
        "[What the policies do](../memory.md#baseline-policies), "
        "[controls](../memory.md#results-on-the-test-levels), "
        "[all results](../results.md).",
    ]
    return "\n".join(lines) + "\n"


def policy_table(id):
    """Lines of a table: floor, reactive, released agent, ceiling."""
    bars = ["| policy | return | score | |", "|---|---|---|---|"]
    for name, value, score in policies(id):
        width = max(min(score, 1), 0)
        bar = f'<span class="bar" style="width: {10 * width:.2f}rem"></span>'
        bars.append(f"| {name} | {value:.2f} | {score:.3f} | {bar} |")
    return bars


def policies(id):
    """(name, return, score) of each policy that there are numbers for, the worst first."""
    stored = pack(id)
    random, best = float(stored.random_return.mean()), float(stored.best_return.mean())
    rows = [("random actions (floor)", random)]
    rows.append(("reactive, without memory", reactive_return(id)))
    if agent := agent_row(id):
        rows.append(("released agent", agent))
    end = "shortest paths (ceiling)" if stored.best == "ceiling" else "shortest-path oracle"
    rows.append((end, best))
    return [(name, value, normalized_score(value, random, best)) for name, value in rows]


def reactive_return(id):
    """Of the table in docs/memory.md."""
    section = (DOCS / "memory.md").read_text().split(f"**`{id}`**")[1]
    return number(re.search(r"^\| reactive \| ([^|]+)", section, re.MULTILINE)[1])


def agent_row(id):
    """The return of the released agent, with sampled actions, in docs/results.md; or None."""
    text = (DOCS / "results.md").read_text()
    start = r"\| 1 agent, default rules" if id == "GridMem-v0" else rf"\| `{id}`"
    row = re.search(rf"^{start} \| agent, sampled \| ([^|]+)", text, re.MULTILINE)
    return number(row[1]) if row else None


def number(cell):
    """The mean in a cell such as "5.14 ± 0.13"."""
    return float(cell.split("±")[0])


def ids_table():
    """All ids, with links."""
    lines = ["| id | cave | view | steps | random | reactive | agent | best |", "|---|" * 8]
    lines[1] = "|---" * 8 + "|"
    for id in CONFIGS:
        env, returns = make(id), {name.split()[0]: value for name, value, _ in policies(id)}
        known = [returns.get(name) for name in ("random", "reactive", "released")]
        shown = [f"{x:.2f}" if x is not None else "" for x in known]
        cave = env.config.map
        lines.append(
            f"| [{id}]({id}.md) | {cave.height} x {cave.width}, {cave.solid} "
            f"| {env.view_size} x {env.view_size} | {env.max_steps} | {' | '.join(shown)} "
            f"| {policies(id)[-1][1]:.2f} |"
        )
    return "\n".join(lines)


def levels_table():
    """The files of test levels."""
    lines = ["| id | levels | size | SHA-256 of the arrays |", "|---|---|---|---|"]
    for id, sha256 in SHA256.items():
        number_of, size = len(pack(id).best_return), asset(f"levels/{id}-test.npz").stat().st_size
        lines.append(f"| [{id}](ids/{id}.md) | {number_of:,} | {size / 1e6:.1f} MB | `{sha256}` |")
    return "\n".join(lines)


def programs():
    """What `--help` of each program prints."""
    os.environ["COLUMNS"] = "90"
    return "\n\n".join(f"## {name}\n\n```text\n{help_of(name)}\n```" for name in PROGRAMS)


def help_of(program):
    """The text of a program's `--help`."""
    from importlib import import_module

    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        import_module(program).main(["--help"])
    return printed.getvalue().strip()


def embedded_page():
    """The page to play in a browser, if it is in docs/."""
    if not (DOCS / "play_online" / "index.html").exists():
        return ""
    return (
        '<iframe class="play" src="play_online/index.html" title="Play GridMem"></iframe>\n\n'
        "[Open it as a page of its own](play_online/index.html)"
    )


MARKS = {
    "<!-- ids -->": ids_table,
    "<!-- levels -->": levels_table,
    "<!-- programs -->": programs,
    "<!-- play online -->": embedded_page,
}
