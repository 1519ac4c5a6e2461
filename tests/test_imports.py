import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import blurgen

PACKAGE = Path(blurgen.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
# what a file at each place may not reach, directly
HEAVY = (
    "numpy",
    "scipy",
    "numba",
    "pydantic",
    "h5py",
    "torch",
    "matplotlib",
    "typer",
    "rich",
    "dask",
    "cv2",
    "PIL",
)


def modules_after(statement):
    script = f"{statement}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PACKAGE.parent, capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in json.loads(done.stdout)}


def test_importing_blurgen_is_cheap():
    assert modules_after("import blurgen").isdisjoint(HEAVY)


def test_degrading_needs_no_other_heavy_library():
    statement = (
        "import blurgen, numpy\n"
        "blurgen.degrade(numpy.zeros((1, 8, 8), numpy.uint8), 'anime-box')\n"
        "blurgen.convolve(numpy.zeros((1, 8, 8), numpy.uint8), blurgen.psf.disk(2))"
    )
    absent = {"torch", "matplotlib", "typer", "rich", "dask", "cv2", "h5py", "PIL", "requests"}
    assert modules_after(statement).isdisjoint(absent)


@pytest.mark.parametrize("name", blurgen.__all__)
def test_public_names_resolve(name):
    assert getattr(blurgen, name) is not None
    assert name in dir(blurgen)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match=r"^module 'blurgen' has no attribute 'degrad'$"):
        blurgen.degrad  # noqa: B018
    assert not hasattr(blurgen, "__wrapped__")


def test_names_of_psf_resolve():
    from blurgen import psf

    assert all(callable(getattr(psf, name)) for name in psf.__all__)


def imports_of(path):
    """The modules that a file imports, anywhere in it, but for those that only type checkers see."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for part in node.body
        for inner in ast.walk(part)
    }
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def place(path):
    return path.relative_to(PACKAGE).as_posix()


def importers_of(*libraries):
    return {
        place(path) for path in FILES if any(name.split(".")[0] in libraries for name in imports_of(path))
    }


def test_loops_import_nothing_of_ours():
    for path in FILES:
        if place(path).startswith("loops/"):
            ours = [name for name in imports_of(path) if name.split(".")[0] == "blurgen"]
            assert all(name.startswith("blurgen.loops") for name in ours), path


def test_only_the_pair_file_and_array_sources_know_hdf5():
    assert all(
        path.split("/")[0].removesuffix(".py") == "pairs"
        or path in ("sources/arrays.py", "untrusted/hdf5.py")
        for path in importers_of("h5py")
    )


def test_only_downloads_know_the_network():
    clients = ("requests", "urllib", "urllib3", "http", "ftplib", "httpx")
    assert importers_of(*clients) <= {"sources/download.py"}
    assert importers_of("socket") <= {"sources/download.py", "play/server.py"}  # which only listens


def test_only_the_cluster_knows_dask():
    assert importers_of("dask", "distributed") == {"cluster.py"}


def test_only_torch_knows_torch():
    assert all(path.split("/")[0].removesuffix(".py") == "torch" for path in importers_of("torch"))


def test_only_its_transform_knows_albumentations():
    assert importers_of("albumentations") == {"albumentations.py"}


def test_the_library_does_not_know_its_command():
    for path in FILES:
        if place(path) not in ("cli.py", "__main__.py"):
            for name in imports_of(path):
                assert name.split(".")[0] not in ("typer", "click"), path
                assert not name.startswith(("blurgen.cli", "trainers")), path


ORDER = [
    "errors",
    "loops",
    "draws",
    "distributions",
    "psf",
    "stages",
    "recipe",
    "degradation",
    "maker",
    "cli",
]


def test_imports_run_downwards():
    for path in FILES:
        own = place(path).removesuffix(".py").split("/")[0]
        if own not in ORDER:
            continue
        for name in imports_of(path):
            parts = name.split(".")
            if parts[0] == "blurgen" and len(parts) > 1 and parts[1] in ORDER:
                assert ORDER.index(parts[1]) <= ORDER.index(own), f"{place(path)} imports {name}"
