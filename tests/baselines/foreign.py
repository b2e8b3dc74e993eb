"""The environment, the mixer and the method of docs/extending.md, as modules."""

import importlib
import re
import sys
import tempfile
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
FOLDER = Path(tempfile.mkdtemp(prefix="gridmem-extending-"))

for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
    if named := re.match(r'"""(\w+\.py):', block):
        (FOLDER / named[1]).write_text(block)
sys.path.append(str(FOLDER))


def module(name):
    """One of the modules; importing it registers what it has."""
    return importlib.import_module(name)
