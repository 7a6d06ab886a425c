"""How much a reader must hold at once: four figures of production code, by package and together.

    python benchmarks/density.py [PATH…]

Prints conditional expressions, comprehensions and parallel assignments per 1,000 statements, and
the share of lines that are comments of their own. The aims are 20, 35, 3 and 3%.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("sweeps", "search_spaces", "cluster", "trainables")
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def counted(source: str) -> Counter[str]:
    """Count what is dense in a file's source, its statements and its lines."""
    counts = Counter(lines=len(source.splitlines()))
    for node in ast.walk(ast.parse(source)):
        counts["statements"] += isinstance(node, ast.stmt)
        counts["conditional"] += isinstance(node, ast.IfExp)
        counts["comprehensions"] += isinstance(node, COMPREHENSIONS)
        counts["parallel"] += isinstance(node, ast.Assign) and _parallel(node)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        alone = token.line.lstrip().startswith("#")
        counts["comments"] += token.type == tokenize.COMMENT and alone
    return counts


def _parallel(node: ast.Assign) -> bool:
    """Whether it is `a, b = x, y`."""
    return isinstance(node.value, ast.Tuple) and isinstance(node.targets[0], ast.Tuple)


def _row(name: str, files: Iterable[Path]) -> str:
    total: Counter[str] = Counter()
    for path in files:
        total += counted(path.read_text())
    # An empty selection has no density.
    thousands = max(total["statements"], 1) / 1000
    dense = [total[kind] / thousands for kind in ("conditional", "comprehensions", "parallel")]
    comments = 100 * total["comments"] / max(total["lines"], 1)
    figures = "".join(f"{figure:14.1f}" for figure in dense)
    return f"{name:24}{total['lines']:8}{total['statements']:12}{figures}{comments:11.1f}%"


def main(arguments: list[str]) -> None:
    """Print a row per package, or per path given, and one of all of them."""
    paths = [Path(argument) for argument in arguments] or [ROOT / name for name in PACKAGES]
    print(
        f"{'':24}{'lines':>8}{'statements':>12}{'conditional':>14}{'comprehension':>14}"
        f"{'parallel':>14}{'comments':>12}"
    )
    everything: list[Path] = []
    for path in paths:
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        everything += files
        print(_row(str(path).removeprefix(f"{ROOT}/"), files))
    print(_row("together", everything))


if __name__ == "__main__":
    main(sys.argv[1:])
