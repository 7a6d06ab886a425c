"""Whether MLflow's database opens, asked before MLflow: that would try for two minutes, or wait for a host that is silent."""

from __future__ import annotations

WITHIN_S = 10


def problem(uri: str, flag: str) -> str:
    """Why a server's database, such as PostgreSQL, does not open, and what to do; empty where it does. No password is in it.

    Args:
        uri: As SQLAlchemy takes it.
        flag: By which it was given.
    """
    if uri.startswith("sqlite"):
        return ""
    from sqlalchemy import NullPool, create_engine
    from sqlalchemy.exc import SQLAlchemyError

    limit = {"connect_timeout": WITHIN_S} if uri.startswith("postgresql") else {}
    try:
        create_engine(uri, poolclass=NullPool, connect_args=limit).connect().close()
    except ImportError as error:
        return f"needs {error.name}, which is not installed: for PostgreSQL pip install 'psycopg[binary]' 'sqlalchemy>=2.1'."
    except (SQLAlchemyError, ValueError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return f"does not open ({lines[0] if lines else type(error).__name__}): correct {flag}, or start it."
    return ""
