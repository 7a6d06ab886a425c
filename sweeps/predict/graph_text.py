"""Whether the text in a `torch.export` archive is more than names and arithmetic.

Torch evaluates some of it as Python, so it is read here first. Three kinds of it are code:
expressions of sizes, which `sympy.sympify` evaluates, guards, which `exec` runs, and names of
functions, which are looked up from `torch` on, where `torch.os.system` is one too. All other text
becomes names in the source that `torch.fx` writes.
"""

from __future__ import annotations

import ast
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

# Texts by key of the JSON: any other one is a name.
_NAME = re.compile(r"[\w.]*", re.ASCII)
_OTHER = {
    "torch_version": re.compile(r"[\w.+]*", re.ASCII),
    "in_spec": re.compile(r'[\w.\[\]{}":, ]*', re.ASCII),
    "out_spec": re.compile(r'[\w.\[\]{}":, ]*', re.ASCII),
}
_EXPRESSIONS = ("expr_str", "guards_code")
_FUNCTIONS = ("target", "as_operator")

# Functions that a node of the graph may call.
_ARITHMETIC = "add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|lt|le|gt|ge|and_|or_|getitem"
_FUNCTION = re.compile(
    r"torch\.ops\.(aten|prims)\.\w+(\.\w+)?|torch\.sym_\w+"
    rf"|_operator\.({_ARITHMETIC})|math\.(ceil|floor|trunc)",
    re.ASCII,
)

# Expressions: their letters, without line ends, comments or escapes; their nodes, and names.
_LETTERS = re.compile(r"[\w ()\[\]+\-*/%,.=<>!']*", re.ASCII)
_NODES = (
    ast.Expression,
    ast.Call,
    ast.keyword,
    ast.Name,
    ast.Load,
    ast.Constant,
    ast.Attribute,
    ast.Subscript,
    ast.BinOp,
    ast.UnaryOp,
    ast.BoolOp,
    ast.Compare,
    ast.operator,
    ast.unaryop,
    ast.boolop,
    ast.cmpop,
)
_VARIABLE = re.compile(
    r"L|torch|math|true|false|[su]\d+|Symbol|Integer|Rational|Float|Add|Mul|Pow|Min|Max|Abs|Mod"
    r"|And|Or|Not|Eq|Ne|Lt|Le|Gt|Ge|Equality|Unequality|StrictLessThan|LessThan|StrictGreaterThan"
    r"|GreaterThan|FloorDiv|CeilDiv|CleanDiv|ModularIndexing|Where|PythonMod|IntTrueDiv"
    r"|FloatTrueDiv|FloatPow|PowByNatural|CeilToInt|FloorToInt|TruncToInt|TruncToFloat|RoundToInt"
    r"|ToFloat|Identity",
    re.ASCII,
)
_ATTRIBUTE = re.compile(r"size|stride|storage_offset|sym_\w+|ceil|floor|trunc", re.ASCII)


def suspicious_text(archive: Path) -> str | None:
    """Return the first text of a `.pt2` archive that is more than names and arithmetic.

    Returns:
        The text; None where there is none.

    Raises:
        OSError, ValueError, zipfile.BadZipFile: It is no such archive.
    """
    with zipfile.ZipFile(archive) as file:
        names = file.namelist()

        # Which of two files of one name torch reads is its own affair.
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            return twice[0]
        for name in names:
            if name.lower().endswith(".json") or "models/" in name.lower():
                for key, text in _texts(json.loads(file.read(name)), ""):
                    if not _harmless(key, text):
                        return text
    return None


def _texts(value: object, key: str) -> Iterator[tuple[str, str]]:
    """Yield all text in JSON with the key that it lies under.

    Keys are text too. Left out are the notes that torch keeps of a node's origin.
    """
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
    # Python's own names lead everywhere.
    if "__" in text and key in (*_EXPRESSIONS, *_FUNCTIONS):
        return False
    if key in _EXPRESSIONS:
        return _is_arithmetic(text)
    if key in _FUNCTIONS:
        return _FUNCTION.fullmatch(text) is not None
    return _OTHER.get(key, _NAME).fullmatch(text) is not None


def _is_arithmetic(text: str) -> bool:
    """Return whether an expression only calculates with sizes.

    Of the names that it may call, none reaches anything else.
    """
    if not _LETTERS.fullmatch(text):
        return False
    try:
        nodes = list(ast.walk(ast.parse(text.strip(), mode="eval")))
    except (SyntaxError, RecursionError, MemoryError):
        return False
    return all(isinstance(node, _NODES) and _is_known(node) for node in nodes)


def _is_known(node: ast.AST) -> bool:
    """Return whether the names in a node of an expression are known ones."""
    match node:
        case ast.Name(id=name):
            return _VARIABLE.fullmatch(name) is not None
        case ast.Attribute(attr=name):
            return _ATTRIBUTE.fullmatch(name) is not None
        case ast.Constant(value=str() as text):
            return text.isidentifier()
        case _:
            return True
