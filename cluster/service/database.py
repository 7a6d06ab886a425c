"""A look at MLflow's database before MLflow has one.

MLflow would try for two minutes, or wait for a host that is silent.
"""

from __future__ import annotations

WITHIN_S = 10


def problem(uri: str, flag: str) -> str:
    """Return why a server's database, such as PostgreSQL, does not open, and what to do.

    It holds no password, and is empty where the database opens.

    Args:
        uri: The database's address, as SQLAlchemy takes it.
        flag: The flag by which it was given.
    """
    if uri.startswith("sqlite"):
        return ""
    from sqlalchemy import NullPool, create_engine
    from sqlalchemy.exc import SQLAlchemyError

    limit = {}
    if uri.startswith("postgresql"):
        limit["connect_timeout"] = WITHIN_S
    try:
        create_engine(uri, poolclass=NullPool, connect_args=limit).connect().close()
    except ImportError as error:
        return (
            f"needs {error.name}, which is not installed: for PostgreSQL "
            "pip install 'psycopg[binary]' 'sqlalchemy>=2.1'."
        )
    except (SQLAlchemyError, ValueError) as error:
        # The first line; SQLAlchemy adds the statement and a link.
        said = str(error).strip().partition("\n")[0].strip() or type(error).__name__
        return f"does not open ({said}): correct {flag}, or start it."
    return ""
