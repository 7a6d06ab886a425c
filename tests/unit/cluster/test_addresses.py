"""No secret of an address is shown, wherever in it users write one."""

import string
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.addresses import (
    is_masked,
    without_login,
    without_password,
    without_passwords,
    without_secrets,
)

MARK = "S3CR3T"
TEXT = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=12)
PLAIN = st.text(string.ascii_letters + string.digits + "-_.", min_size=1, max_size=12)
SERVER, DATABASE = (
    st.sampled_from(["http", "https"]),
    st.sampled_from(["postgresql", "mysql+pymysql", "mssql+pyodbc"]),
)
SECRET = st.sampled_from(
    [
        "password",
        "token",
        "access_token",
        "PWD",
        "pass%77ord",
        "api_key",
        "client_secret",
        "odbc_connect",
    ]
)


@given(
    scheme=SERVER | DATABASE,
    user=PLAIN | st.just(""),
    before=TEXT,
    after=TEXT,
    host=PLAIN,
    path=PLAIN,
)
def test_a_password_is_masked_whatever_is_in_it(
    scheme: str, user: str, before: str, after: str, host: str, path: str
) -> None:
    for shown in _shown(f"{scheme}://{user}:{before}{MARK}{after}@{host}:5000/{path}"):
        assert f"{user}:***@{host}:5000/{path}" in shown


@given(scheme=SERVER, token=PLAIN, colon=st.sampled_from(["", ":"]), host=PLAIN)
def test_a_token_as_the_login_of_a_server_is_masked(
    scheme: str, token: str, colon: str, host: str
) -> None:
    for shown in _shown(f"{scheme}://{token}{MARK}{colon}@{host}/api"):
        assert f"{scheme}://***@{host}/api" in shown


@given(
    scheme=SERVER | DATABASE,
    name=SECRET,
    value=TEXT,
    first=st.sampled_from(["", "sslmode=require&"]),
    host=PLAIN,
)
def test_a_secret_in_a_query_is_masked(
    scheme: str, name: str, value: str, first: str, host: str
) -> None:
    quoted = urllib.parse.quote(value, safe="/:@?")
    for shown in _shown(f"{scheme}://{host}/db?{first}{name}={quoted}{MARK}&timeout=5#x"):
        assert f"{name}=***&timeout=5#x" in shown or "@" in value


def _shown(uri: str) -> tuple[str, ...]:
    """A URI as each message shows it; none may hold the secret."""
    shown = (
        without_password(uri),
        without_password(f"--tracking-uri={uri}"),
        without_passwords(f"cannot reach {uri} now"),
    )
    for text in shown:
        assert MARK not in text
        assert is_masked(text)
        assert without_password(text) == text
    return shown


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite:////home/anna/mlflow.db",
        "sqlite:////home/anna@work/mlflow.db",
        "http://127.0.0.1:5000",
        "https://host/team@2/mlflow",
        "http://[::1]:5000/x?timeout=5&name=a",
        "postgresql://anna@db.example:5432/mlflow?sslmode=require",
        "--preset",
        "photos/a?b=c",
        "",
    ],
)
def test_what_holds_no_secret_stays_as_it_is(uri: str) -> None:
    assert without_password(uri) == uri
    assert not is_masked(uri)


def test_a_query_without_its_uri_is_masked_too() -> None:
    assert without_passwords("with url: /api/2.0?token=abc (refused)") == (
        "with url: /api/2.0?token=*** (refused)"
    )


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://team:5ecre7@db/mlflow",
        "mssql+pyodbc:///?odbc_connect=UID%3Dteam%3BPWD%3D5ecre7",
    ],
)
def test_an_address_with_a_secret_is_not_the_one_that_is_shown(uri: str) -> None:
    assert without_password(uri) != uri


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://ann:secret@mlflow.example:5000/team/", "http://mlflow.example:5000/team"),
        ("https://token@mlflow.example", "https://mlflow.example"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("http://host/a@b", "http://host/a@b"),
    ],
)
def test_a_browser_gets_an_address_without_a_login(uri: str, shown: str) -> None:
    assert without_login(uri) == shown


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["x.py", "--notify", "slack://a/b/c", "--trials", "3"], "x.py --notify *** --trials 3"),
        (["x.py", "--notify=tell T0KEN"], "x.py --notify=***"),
        (["x.py", "--notify", "--notify", "--gpus", "0"], "x.py --notify *** --gpus 0"),
        (["x.py", "--tracking-uri=http://u:p@h"], "x.py --tracking-uri=http://u:***@h"),
        (["x.py", "--notify"], "x.py --notify"),
    ],
)
def test_arguments_are_shown_without_what_may_hold_a_token(given: list[str], shown: str) -> None:
    assert " ".join(without_secrets(given)) == shown
