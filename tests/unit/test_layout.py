"""Who may import which outside library, and how the tree is kept: files named by what they know."""

import ast
import importlib.machinery
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("sweeps", "trainables", "search_spaces", "cluster")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
NAMES = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FILES}
STUDIES = [path for path in sorted((ROOT / "sweeps").glob("*.py")) if path.stem != "__init__"]

HOMES: dict[str, tuple[str, ...]] = {  # the longest name that fits an import decides
    "torch": ("trainables.*",),
    "torchvision": (
        "trainables.backbones",
        "trainables.weights",
        "trainables.data.cifar10",
        "trainables.data.trivial",
    ),
    "safetensors": ("trainables.weights_file",),
    "ray": ("cluster.session", "cluster.probes", "trainables.ray_trial"),
    "ray.tune": (
        "sweeps.runner.callbacks",
        "sweeps.runner.capacity",
        "sweeps.runner.finalists.training",
        "sweeps.runner.scheduler",
        "sweeps.runner.searcher",
        "sweeps.runner.trials",
        "trainables.ray_trial",
    ),
    "ray.autoscaler": ("cluster.nodes",),
    "ray.exceptions": ("cluster.service.jobserver",),
    "ray.job_submission": ("cluster.service.jobserver",),
    "aiohttp": ("cluster.service.jobserver",),  # that of Ray's client for jobs
    "psutil": ("cluster.service.listeners", "cluster.service.processes"),
    "optuna": (
        "search_spaces.to_optuna",
        "sweeps.runner.searcher",
        "sweeps.report.search_effects",
    ),
    "mlflow": ("sweeps.tracking.*", "sweeps.predict.model", "cluster.service.mlflow_gate"),
    "alembic": ("sweeps.tracking.store",),  # MLflow's
    "sqlalchemy": ("sweeps.tracking.store", "cluster.service.database"),  # MLflow's
    "click": (
        "sweeps.commands.*",
        "sweeps.runner.cli",
        "sweeps.runner.options",
        "sweeps.runner.flag_values",
        "sweeps.runner.misuse",
        "sweeps.runner.study_help",
        "sweeps.runner.typed",
        "trainables.__main__",
    ),
    "rich": (
        "sweeps.checks.*",
        "sweeps.commands.*",
        "sweeps.report.terminal",
        "sweeps.runner.dry_run",
        "sweeps.runner.keeping",
        "sweeps.runner.progress",
        "sweeps.runner.view",
        "sweeps.terminal.*",
    ),
    "apprise": ("sweeps.runner.notify",),
    "numpy": (
        "trainables.*",
        "sweeps.records.champion",
        "sweeps.report.*",
        "sweeps.predict.*",
        "sweeps.tracking.pyfunc",
        "sweeps.tracking.registry",
    ),
    "pandas": ("sweeps.report.*", "sweeps.runner.notebook.result"),
    "scipy": ("sweeps.report.*", "trainables.data.copies"),
    "jinja2": ("sweeps.report.page",),
    "PIL": ("trainables.data.*",),
    "pillow_heif": ("trainables.data.decode",),
    "sklearn": ("trainables.data.digits",),
    "threadpoolctl": ("trainables.data.prints",),
    "filelock": (
        "sweeps.tracking.delivery",
        "sweeps.tracking.store",
        "trainables.compute",
        "trainables.source_model",
        "trainables.feature_store",
        "trainables.data.cifar10",
        "trainables.data.decoding",
    ),
}
LOOKS = ("sweeps.commands.doctor", "sweeps.checks.machine")  # at every library, whether it works
PLAIN = {  # what every part of the project may import, in no time
    f"trainables.{name}" for name in ("recipe", "metrics", "problems", "files", "finalist_config")
}


def _imports(path: Path) -> Iterator[str]:
    """Dotted names of all that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _outside(path: Path) -> list[str]:
    """Return what a file imports that is neither Python's nor the project's."""
    own = {*sys.stdlib_module_names, *PACKAGES}
    return [name for name in _imports(path) if name.partition(".")[0] not in own]


def _home(imported: str) -> str | None:
    parts = imported.split(".")
    return next(
        (name for n in range(len(parts), 0, -1) if (name := ".".join(parts[:n])) in HOMES), None
    )


def _permitted(name: str, library: str) -> bool:
    return any(fnmatchcase(name, permit) for permit in HOMES[library])


@pytest.mark.parametrize("path", FILES, ids=NAMES.values())
def test_an_outside_library_is_imported_only_at_home(path: Path) -> None:
    name = NAMES[path]
    for imported in _outside(path):
        home = _home(imported)
        assert home, f"{name} imports {imported}: say in HOMES who may"
        assert _permitted(name, home) or name in LOOKS, f"{name} must not import {imported}"
        assert name not in PLAIN, f"{name} must not import {imported}"


@pytest.mark.parametrize("library", HOMES)
def test_who_may_import_a_library_does(library: str) -> None:
    users = {NAMES[path] for path in FILES if library in map(_home, _outside(path))}
    for permit in HOMES[library]:
        assert any(fnmatchcase(name, permit) for name in users), (
            f"{permit} does not import {library}: take it out of HOMES"
        )


@pytest.mark.parametrize("name", LOOKS)
def test_who_looks_at_every_library_needs_to(name: str) -> None:
    (path,) = (path for path in FILES if NAMES[path] == name)
    foreign = [home for imported in _outside(path) if (home := _home(imported))]
    assert not all(_permitted(name, home) for home in foreign)


def test_plain_modules_are_there() -> None:
    assert set(NAMES.values()) >= PLAIN


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
