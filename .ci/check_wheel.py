"""Fails when the wheel in a folder lacks what the package reads at run time, or is too large."""

import sys
from pathlib import Path
from zipfile import ZipFile

LARGEST = 30_000_000  # bytes


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
if wheel.stat().st_size > LARGEST:
    sys.exit(f"{wheel.name} has {wheel.stat().st_size / 1e6:.1f} MB, more than 30")
print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, {len(expected)} files, none missing")
