"""The collector's side of DTLS 1.2 by pyOpenSSL: `pip install headwater[dtls]`."""

from __future__ import annotations

import hmac
from importlib import import_module
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Any, Final

from headwater.errors import TransportError
from headwater.transport.certificates import (
    DTLS_1_2,
    DTLS_CIPHERS,
    alternative_names,
    check_files,
    dtls_reason_of,
    load_own,
)
from headwater.transport.incoming.certificates import plain_names
from headwater.transport.incoming.url import ListenUrl

_RELEASE_BUFFERS: Final = 0x10
"""SSL_MODE_RELEASE_BUFFERS, which pyOpenSSL has a name for only since 23.0."""
_PROBLEMS: Final = {
    3: "unable to get certificate CRL",
    9: "certificate is not yet valid",
    10: "certificate has expired",
    12: "CRL has expired",
    18: "self-signed certificate",
    19: "self-signed certificate in certificate chain",
    20: "unable to get local issuer certificate",
    21: "unable to verify the first certificate",
    23: "certificate revoked",
    26: "unsuitable certificate purpose",
}
"""Words of OpenSSL for codes that pyOpenSSL tells."""


class Caller:
    """Who a connection of pyOpenSSL is for, as its application data.

    address: of the exporter, as the socket has it. problem: what is wrong with its certificate, or "".
    """

    __slots__ = ("address", "problem")

    def __init__(self, address: tuple[Any, ...]) -> None:
        self.address = address
        self.problem = ""


def pyopenssl(url: ListenUrl) -> Any:
    """The module OpenSSL.SSL. Raises TransportError."""
    try:
        return import_module("OpenSSL.SSL")
    except ImportError:
        message = f"{url.name}: DTLS needs pyOpenSSL (pip install 'headwater[dtls]')"
        raise TransportError(message, url=url.url) from None


def dtls_context(url: ListenUrl, secret: bytes) -> Any:
    """DTLS 1.2; exporters show certificates of `ca`, which are not on the list `crl`. Raises TransportError.

    secret: of cookies, which prove that an exporter receives at the address it says (RFC 6347 §4.2.1).
    The application data of its connections are Callers.
    """
    ssl, options = pyopenssl(url), url.options
    check_files(url)
    context = ssl.Context(ssl.DTLS_SERVER_METHOD)
    context.set_min_proto_version(DTLS_1_2)
    context.set_max_proto_version(DTLS_1_2)
    context.set_cipher_list(DTLS_CIPHERS)
    no_renegotiation = getattr(ssl, "OP_NO_RENEGOTIATION", 0x40000000)
    context.set_options(ssl.OP_NO_QUERY_MTU | ssl.OP_COOKIE_EXCHANGE | ssl.OP_NO_TICKET | no_renegotiation)
    context.set_mode(_RELEASE_BUFFERS)
    context.set_session_cache_mode(ssl.SESS_CACHE_OFF)
    needed = ssl.VERIFY_PEER | ssl.VERIFY_FAIL_IF_NO_PEER_CERT
    context.set_verify(needed, _is_good)
    context.set_cookie_generate_callback(lambda one: _cookie(secret, one))
    context.set_cookie_verify_callback(lambda one, cookie: hmac.compare_digest(cookie, _cookie(secret, one)))
    name = "ca"
    try:
        context.load_verify_locations(options["ca"])
        name = "cert"
        load_own(SSLContext(PROTOCOL_TLS_SERVER), url)  # pyOpenSSL would ask the terminal for a password
        context.use_certificate_chain_file(options["cert"])
        name = "key" if "key" in options else "cert"
        context.use_privatekey_file(options.get("key", options["cert"]))
        context.check_privatekey()
        name = "crl"
        if "crl" in options:
            _add_revoked(context, options["crl"])
    except (ssl.Error, ValueError) as error:
        message = f"{url.name}: {name}={options[name]} cannot be used: {dtls_reason_of(error)}"
        raise TransportError(message, url=url.url) from error
    return context


def dtls_names(connection: Any) -> frozenset[str]:
    """Names and addresses in the peer's certificate: subjectAltName and Common Name."""
    found = connection.get_peer_certificate()
    if found is None:
        return frozenset()
    certificate = found.to_cryptography()
    oid = import_module("cryptography.x509.oid").NameOID.COMMON_NAME
    common = {str(one.value) for one in certificate.subject.get_attributes_for_oid(oid)}
    return plain_names(alternative_names(certificate) | common)


def _add_revoked(context: Any, path: str) -> None:
    x509, crypto = import_module("cryptography.x509"), import_module("OpenSSL.crypto")
    store = context.get_cert_store()
    store.add_crl(x509.load_pem_x509_crl(Path(path).read_bytes()))
    store.set_flags(crypto.X509StoreFlags.CRL_CHECK)


def _is_good(connection: Any, _certificate: Any, code: int, _depth: int, ok: int) -> bool:
    if not ok:
        connection.get_app_data().problem = _PROBLEMS.get(code, f"certificate error {code}")
    return bool(ok)


def _cookie(secret: bytes, connection: Any) -> bytes:
    return hmac.digest(secret, repr(connection.get_app_data().address).encode(), "sha256")
