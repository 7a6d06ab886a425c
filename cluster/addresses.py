"""Addresses of servers and databases as people may see them: without passwords and tokens."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable

SERVERS = ("http", "https")
SERVER_DATABASES = ("postgresql", "mysql", "mssql")
MASK = "***"
SECRET_FLAGS = ("--notify",)
"""Flags whose values may hold a token anywhere."""
# In names of a query's parts: the value that follows is neither shown nor written down.
_SECRETS = (
    "pass",
    "pwd",
    "token",
    "secret",
    "key",
    "credential",
    "auth",
    "signature",
    "odbc_connect",
)
_AFTER_LOGIN = re.compile(r"[/?#]")
_QUERY = re.compile(r"(?P<begin>[?&;])(?P<name>[^?&;=#\s]+)=[^&;#\s]*")
_ADDRESS = re.compile(r"\S+://\S+")


def without_password(uri: str) -> str:
    """Return the URI for people to read, such as `http://user:***@host` and `http://***@host`.

    The secrets of a query are masked too: `postgresql://host/db?password=***`. A login without a
    colon is a token where it is a server's, and a user's name where it is a database's.
    """
    scheme, separator, rest = uri.partition("://")
    login, at, place = rest.rpartition("@")
    user, colon, password = login.partition(":")
    if at and colon and password:
        rest = f"{user}:{MASK}@{place}"
    elif (at and colon) or (at and scheme.endswith(SERVERS) and not _AFTER_LOGIN.search(login)):
        rest = f"{MASK}@{place}"
    return f"{scheme}{separator}{_QUERY.sub(_masked, rest)}"


def without_login(uri: str) -> str:
    """Return a server's address without a user, a password or a token, for a browser to open."""
    scheme, separator, rest = uri.partition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}{separator}{place.rpartition('@')[2]}{slash}{path}".rstrip("/")


def without_passwords(text: str) -> str:
    """Return a text in which every URI, and every query without its URI, is free of secrets."""
    return _QUERY.sub(_masked, _ADDRESS.sub(lambda uri: without_password(uri[0]), text))


def without_secrets(arguments: Iterable[str]) -> list[str]:
    """Return a command's arguments for people to read, and for a file: without secrets."""
    shown = []
    flag = ""
    for word in arguments:
        name, equals, _ = word.partition("=")
        if flag in SECRET_FLAGS:
            shown.append(MASK)
        elif equals and name in SECRET_FLAGS:
            shown.append(f"{name}={MASK}")
        else:
            shown.append(without_password(word))
        flag = "" if flag in SECRET_FLAGS else word
    return shown


def is_masked(uri: str) -> bool:
    """Return whether a URI lacks what `without_password` took from it: it must not be used."""
    return MASK in uri


def _masked(part: re.Match[str]) -> str:
    """Return a part of a query, without its value where that is a secret."""
    name = urllib.parse.unquote_plus(part["name"]).lower()
    if any(word in name for word in _SECRETS):
        return f"{part['begin']}{part['name']}={MASK}"
    return part[0]
