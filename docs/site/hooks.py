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
POLICIES = {
    "random": "random actions (floor)",
    "reactive": "reactive, without memory",
    "wiped": "released agent, its memory wiped at each find",
    "agent": "released agent, sampled actions",
}


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
    config, stored = make(id).config, pack(id)
    cave, dig_steps = config.map, config.dig_steps
    interior = stored.levels.tiles[:, 1:-1, 1:-1]
    return (
        (Path(__file__).parent / "id.md")
        .read_text()
        .format(
            id=id,
            level=GIF_LEVELS[id],
            height=cave.height,
            width=cave.width,
            solid=cave.solid,
            passing=f"takes {dig_steps + 2} steps to pass" if dig_steps else "permanent",
            wavelengths=", ".join(map(str, cave.wavelengths)),
            weights="drawn for each cave" if cave.dirichlet else "equal",
            threshold=cave.threshold,
            view=config.view_size,
            max_steps=config.max_steps,
            num_levels=len(interior),
            share=(interior == Tile[cave.solid.upper()]).mean(),
            distance=difficulty(stored.levels, dig_steps).mean(),
            best=stored.best,
            policies=policy_table(id),
        )
    )


def policy_table(id):
    """The returns and scores of policies, from floor to ceiling."""
    lines = ["| policy | return | score | |", "|---|---|---|---|"]
    for name, (value, score) in policies(id).items():
        bar = f'<span class="bar" style="width: {6 * max(score, 0):.2f}rem"></span>'
        lines.append(f"| {POLICIES.get(name, pack(id).best)} | {value:.2f} | {score:.3f} | {bar} |")
    return "\n".join(lines)


def policies(id):
    """The mean returns and scores of the policies that have them, the lowest first."""
    stored = pack(id)
    return {
        "random": (float(stored.random_return.mean()), 0.0),
        "reactive": reactive_result(id),
        **agent_results(id),
        "best": (float(stored.best_return.mean()), 1.0),
    }


def reactive_result(id):
    """Of the table in docs/memory.md."""
    section = (DOCS / "memory.md").read_text().split(f"**`{id}`**")[1]
    return result("reactive", section)


def agent_results(id):
    """Those of the released agent, of the table in docs/results.md."""
    _, found, rows = (DOCS / "results.md").read_text().partition(f"\n| `{id}` | agent, sampled |")
    if not found:
        raise ValueError(f"docs/results.md has no row of the released agent of {id}")
    rows = "| agent, sampled |" + re.split(r"\n(?!\| \|)", rows)[0]  # until another id
    names = {"wiped": "memory wiped at each find", "agent": "agent, sampled"}
    return {key: result(name, rows) for key, name in names.items()}


def result(name, rows):
    """Return and score of a policy in a table."""
    cells = re.search(rf"\| {name} \| ([^|]+) \| ([^|]+) \|", rows)
    return number(cells[1]), number(cells[2])


def number(cell):
    """The mean in a cell such as "5.14 ± 0.13"."""
    return float(cell.split("±")[0])


def ids_table():
    """All ids, with links."""
    columns = "random", "reactive", "agent", "best"
    lines = [f"| id | cave | view | steps | {' | '.join(columns)} |", "|---" * 8 + "|"]
    for id in CONFIGS:
        env, returns = make(id), policies(id)
        cave = env.config.map
        cells = [
            f"[{id}]({id}.md)",
            f"{cave.height} x {cave.width}, {cave.solid}",
            f"{env.view_size} x {env.view_size}",
            env.max_steps,
            *(f"{returns[name][0]:.2f}" for name in columns),
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
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
    os.environ["COLUMNS"] = "80"
    return "\n\n".join(f"## {name}\n\n```text\n{help_of(name)}\n```" for name in PROGRAMS)


def help_of(program):
    """The text of a program's `--help`."""
    from importlib import import_module

    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        import_module(program).main(["--help"])
    return printed.getvalue().strip()


def embedded_page():
    """The page to play in a browser."""
    return (
        "## Play\n\n"
        '<iframe class="play" src="play_online/index.html" title="Play GridMem"></iframe>\n\n'
        "Click into it before you use the keys. "
        "[Open it as a page of its own](play_online/index.html), "
        "[what it shows](play_online.md)."
    )


MARKS = {
    "<!-- ids -->": ids_table,
    "<!-- levels -->": levels_table,
    "<!-- programs -->": programs,
    "<!-- play online -->": embedded_page,
}
