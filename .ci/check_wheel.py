"""Fails when the wheel in a folder lacks what the package reads at run time."""

import sys
from pathlib import Path
from zipfile import ZipFile


def contents(root: str, home: str) -> set[str]:
    """Names that the files of a folder of the checkout have inside the wheel."""
    files = (path for path in Path(root).rglob("*") if path.is_file())
    kept = (path for path in files if "__pycache__" not in path.parts)
    return {f"{home}/{path.relative_to(root).as_posix()}" for path in kept}


(wheel,) = Path(sys.argv[1]).glob("*.whl")
expected = (
    contents("tsformer", "tsformer")
    | contents("datasets", "tsformer/data/embedded")
    | contents("configs", "tsformer/evaluation/configs")
)
missing = expected - set(ZipFile(wheel).namelist())
if missing:
    sys.exit(f"{wheel.name} lacks {sorted(missing)}")
print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, {len(expected)} files, none missing")
