"""Who may import which outside library, and how the tree is kept: files named by what they know."""

import ast
import importlib.machinery
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("sweeps", "trainables", "search_spaces", "cluster")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
NAMES = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FILES}
STUDIES = [path for path in sorted((ROOT / "sweeps").glob("*.py")) if path.stem != "__init__"]

TRACKING = {
    f"sweeps.runner.{name}"
    for name in ("mlflow_store", "mlflow_experiment", "mlflow_model", "mlflow_runs", "champion")
}

SERVED = ("sweeps.predict.model", "cluster.service.mlflow_gate")

Rule = Callable[[str], bool]
PLAIN = ("trainables.recipe", "trainables.metrics", "trainables.problems", "trainables.files")

HOMES: dict[str, Rule] = {  # the longest name that fits an import decides
    "torch": lambda name: name.startswith("trainables.") and name not in PLAIN,
    "torchvision": lambda name: name.startswith("trainables.") and name not in PLAIN,
    "optuna": lambda name: (
        name.startswith(("search_spaces.", "sweeps.report")) or name == "sweeps.runner.searcher"
    ),
    "mlflow": lambda name: name in TRACKING or name.startswith("sweeps.report") or name in SERVED,
    "ray": lambda name: name in ("cluster.session", "cluster.probes", "trainables.ray_trial"),
    "ray.tune": lambda name: name.startswith("sweeps.runner.") or name == "trainables.ray_trial",
    "ray.job_submission": lambda name: name.startswith("cluster."),
    "ray.exceptions": lambda name: name.startswith("cluster."),
    "ray.autoscaler": lambda name: name == "cluster.nodes",
    "aiohttp": lambda name: name == "cluster.service.jobserver",  # that of Ray's client for jobs
    "click": lambda name: name.startswith("sweeps.") or name.endswith(".__main__"),
    "psutil": lambda name: name.startswith("cluster.service."),
    "rich": lambda name: name.startswith("sweeps."),
    "pandas": lambda name: name.startswith("sweeps.report"),
    "numpy": lambda name: (
        name.startswith(("trainables.", "sweeps.report", "sweeps.predict."))
        or name in ("sweeps.tracking.registry", "sweeps.tracking.pyfunc")
    ),
    "PIL": lambda name: name.startswith("trainables."),
    "sklearn": lambda name: name.startswith("trainables.data."),
    "filelock": lambda name: name.startswith(("trainables.", "sweeps.runner.")),
    "alembic": lambda name: name in TRACKING,  # MLflow's
    "sqlalchemy": lambda name: name in TRACKING or name == "cluster.service.database",  # MLflow's
    "scipy": lambda name: name.startswith("sweeps.report") or name == "trainables.data.copies",
    "threadpoolctl": lambda name: name == "trainables.data.prints",
    "pillow_heif": lambda name: name == "trainables.data.decode",
    "safetensors": lambda name: name == "trainables.weights_file",
    "plotly": lambda name: name.startswith("sweeps.report"),
    "jinja2": lambda name: name.startswith("sweeps.report"),
}
LOOKS = ("sweeps.commands.doctor", "sweeps.commands.machine")  # at every library, whether it works


def _imports(path: Path) -> Iterator[str]:
    """Dotted names of all that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _home(imported: str) -> str | None:
    parts = imported.split(".")
    return next(
        (name for n in range(len(parts), 0, -1) if (name := ".".join(parts[:n])) in HOMES), None
    )


@pytest.mark.parametrize("path", FILES, ids=NAMES.values())
def test_an_outside_library_is_imported_only_at_home(path: Path) -> None:
    for imported in _imports(path):
        top = imported.partition(".")[0]
        if top in sys.stdlib_module_names or top in PACKAGES:
            continue
        home = _home(imported)
        assert home, f"{NAMES[path]} imports {imported}: say in HOMES who may"
        assert HOMES[home](NAMES[path]) or NAMES[path] in LOOKS, (
            f"{NAMES[path]} must not import {imported}"
        )


def test_ray_is_started_only_in_cluster() -> None:
    callers = [
        NAMES[path]
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if _starts_ray(node)
    ]
    assert callers == ["cluster.session"]


def _starts_ray(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Attribute) and node.attr == "init" and ast.unparse(node.value) == "ray"
    )


def test_nothing_in_sweeps_shadows_another_module() -> None:
    """`python sweeps/x.py` puts `sweeps/` first on the path, on Ray's workers too."""
    elsewhere = [
        entry
        for entry in sys.path
        if entry and Path(entry).resolve() not in (ROOT, ROOT / "sweeps")
    ]
    for path in (ROOT / "sweeps").iterdir():
        name = path.stem
        if (path.suffix == ".py" and name != "__init__") or (path / "__init__.py").exists():
            assert name not in sys.stdlib_module_names, name
            assert name not in sys.builtin_module_names, name
            assert importlib.machinery.PathFinder.find_spec(name, elsewhere) is None, name


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_study_is_a_question_under_70_lines_without_logic(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert len(text.splitlines()) < 70
    assert f"python sweeps/{path.name}" in (ast.get_docstring(tree) or ""), (
        "the docstring holds the command"
    )
    assert not [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.For | ast.While)
    ]
    sweeps = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Study"
    ]
    names = [
        ast.literal_eval(keyword.value)
        for call in sweeps
        for keyword in call.keywords
        if keyword.arg == "name"
    ]
    assert names == [path.stem], "a study is called like its file"


@pytest.mark.parametrize("path", FILES, ids=NAMES.values())
def test_a_file_is_short_and_named_after_what_it_knows(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
    assert not {"utils", "util", "common", "helpers", "helper", "manager", "misc", "v2"} & set(
        NAMES[path].split(".")
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_nothing(package: str) -> None:
    assert not list(_imports(ROOT / package / "__init__.py"))
