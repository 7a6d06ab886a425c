"""Servers that answer as MLflow's API does, or otherwise; over TLS by an authority of theirs."""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

API = "/api/2.0/mlflow/experiments/search"


@contextmanager
def answering(
    status: int, body: str = "{}", *, login: str = "", certificate: Path | None = None
) -> Iterator[str]:
    """Run a server for a `with` block, which gets its address.

    Args:
        status: Of the API; all else is 404, `/health` too.
        body: Of the API's answer.
        login: The header without which it answers 401.
        certificate: A PEM file with certificate and key, for TLS.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            code = status if self.path.endswith(API) else 404
            if login and self.headers.get("Authorization") != login:
                code = 401
            text = body.encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{scheme}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def experiments() -> str:
    """Return the API's answer of a store without experiments."""
    return json.dumps({"experiments": []})


def signed(folder: Path) -> tuple[Path, Path]:
    """Return the files of an authority, and of a certificate with key that it signed."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("An authority", authority_key, "An authority", authority_key)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate("127.0.0.1", key, "An authority", authority_key)
    of_authority = folder / "authority.pem"
    of_authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    of_server = folder / "server.pem"
    of_server.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return of_authority, of_server


def _certificate(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(subject == issuer, None), critical=True)
    )
    if subject != issuer:
        address = x509.IPAddress(ipaddress.ip_address(subject))
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
