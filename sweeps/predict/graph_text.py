"""What the text in a `torch.export` archive says. Torch evaluates some of it as Python, so it is read here first.

Three kinds of it are code: expressions of sizes, which `sympy.sympify` evaluates, guards, which `exec` runs, and names of
functions, which are looked up from `torch` on, where `torch.os.system` is one too. All other text becomes names in the
source that `torch.fx` writes.
"""

from __future__ import annotations

import ast
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

_NAME = re.compile(r"[\w.]*", re.ASCII)
_OTHER = {
    "torch_version": re.compile(r"[\w.+]*", re.ASCII),
    "in_spec": re.compile(r'[\w.\[\]{}":, ]*', re.ASCII),
    "out_spec": re.compile(r'[\w.\[\]{}":, ]*', re.ASCII),
}
_ARITHMETIC = "add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|lt|le|gt|ge|and_|or_|getitem"
_FUNCTION = re.compile(
    rf"torch\.ops\.(aten|prims)\.\w+(\.\w+)?|torch\.sym_\w+|_operator\.({_ARITHMETIC})|math\.(ceil|floor|trunc)",
    re.ASCII,
)
_LETTERS = re.compile(r"[\w ()\[\]+\-*/%,.=<>!']*", re.ASCII)  # no line ends, comments or escapes
_NODES = (
    *(
        ast.Expression,
        ast.Call,
        ast.keyword,
        ast.Name,
        ast.Load,
        ast.Constant,
        ast.Attribute,
        ast.Subscript,
    ),
    *(
        ast.BinOp,
        ast.UnaryOp,
        ast.BoolOp,
        ast.Compare,
        ast.operator,
        ast.unaryop,
        ast.boolop,
        ast.cmpop,
    ),
)
_VARIABLE = re.compile(
    r"L|torch|math|true|false|[su]\d+|Symbol|Integer|Rational|Float|Add|Mul|Pow|Min|Max|Abs|Mod|And|Or|Not|Eq|Ne|Lt|Le|Gt|Ge"
    r"|Equality|Unequality|StrictLessThan|LessThan|StrictGreaterThan|GreaterThan|FloorDiv|CeilDiv|CleanDiv|ModularIndexing"
    r"|Where|PythonMod|IntTrueDiv|FloatTrueDiv|FloatPow|PowByNatural|CeilToInt|FloorToInt|TruncToInt|TruncToFloat|RoundToInt"
    r"|ToFloat|Identity",
    re.ASCII,
)
_ATTRIBUTE = re.compile(r"size|stride|storage_offset|sym_\w+|ceil|floor|trunc", re.ASCII)


def suspicious_text(archive: Path) -> str | None:
    """Return the first text of a `.pt2` archive that is more than names and arithmetic; None where there is none.

    Raises:
        OSError, ValueError, zipfile.BadZipFile: It is no such archive.
    """
    with zipfile.ZipFile(archive) as file:
        twice = [name for name, count in Counter(file.namelist()).items() if count > 1]
        if twice:  # which of them torch reads is its own affair
            return twice[0]
        for name in file.namelist():
            if name.lower().endswith(".json") or "models/" in name.lower():
                texts = _texts(json.loads(file.read(name)), "")
                found = next((text for key, text in texts if not _harmless(key, text)), None)
                if found is not None:
                    return found
    return None


def _texts(value: object, key: str) -> Iterator[tuple[str, str]]:
    """All text in JSON with the key that it lies under; keys too, but not the notes that torch keeps of a node's origin."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, key)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield "", name
            if key != "metadata" or not isinstance(item, str):
                yield from _texts(item, name)


def _harmless(key: str, text: str) -> bool:
    if "__" in text and key in ("expr_str", "guards_code", "target", "as_operator"):
        return False
    if key in ("expr_str", "guards_code"):
        return _is_arithmetic(text)
    if key in ("target", "as_operator"):
        return _FUNCTION.fullmatch(text) is not None
    return _OTHER.get(key, _NAME).fullmatch(text) is not None


def _is_arithmetic(text: str) -> bool:
    """Whether an expression only calculates with sizes; of the names that it may call, none reaches anything else."""
    if not _LETTERS.fullmatch(text):
        return False
    try:
        nodes = list(ast.walk(ast.parse(text.strip(), mode="eval")))
    except (SyntaxError, RecursionError, MemoryError):
        return False
    return all(isinstance(node, _NODES) and _is_known(node) for node in nodes)


def _is_known(node: ast.AST) -> bool:
    match node:
        case ast.Name(id=name):
            return _VARIABLE.fullmatch(name) is not None
        case ast.Attribute(attr=name):
            return _ATTRIBUTE.fullmatch(name) is not None
        case ast.Constant(value=str() as text):
            return text.isidentifier()
        case _:
            return True
