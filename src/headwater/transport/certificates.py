"""What TLS and DTLS of either direction share: files of certificates, names in them, and OpenSSL's reasons."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, Final, Protocol

from headwater.errors import TransportError

VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
DTLS_1_2: Final = 0xFEFD
DTLS_CIPHERS: Final = b"ECDHE+AESGCM:ECDHE+CHACHA20"
_FILES: Final = ("ca", "cert", "key", "crl")


class Endpoint(Protocol):
    """A URL of either direction."""

    @property
    def url(self) -> str: ...
    @property
    def options(self) -> Mapping[str, Any]: ...
    @property
    def name(self) -> str: ...


def check_files(endpoint: Endpoint) -> None:
    """Raise TransportError if a file of the options cannot be read."""
    if "key" in endpoint.options and "cert" not in endpoint.options:
        raise TransportError(f"{endpoint.name}: key= is without cert=", url=endpoint.url)
    for name in _FILES:
        if name in endpoint.options:
            try:
                with open(endpoint.options[name], "rb") as file:  # noqa: PTH123  # a name, for one moment
                    file.read(1)
            except OSError as error:
                raise unusable(endpoint, name, error) from error


def load_own(context: ssl.SSLContext, endpoint: Endpoint) -> None:
    """Take the certificate and key of the options, if there are any. Raises TransportError."""
    options = endpoint.options
    try:
        if "cert" in options:
            context.load_cert_chain(options["cert"], options.get("key"), password=_no_password)
    except (OSError, ssl.SSLError) as error:
        name, why = "key" if "key" in options else "cert", error
        if isinstance(error, ssl.SSLError) and "pem lib" in reason_of(error):  # which says neither what nor where
            why = OSError("it holds no private key")
            if not _has_certificate(options["cert"]):
                name, why = "cert", OSError("it holds no certificate")
        raise unusable(endpoint, name, why) from error


def unusable(endpoint: Endpoint, name: str, error: OSError) -> TransportError:
    """What to raise for a file that the option of that name says."""
    why = reason_of(error) if isinstance(error, ssl.SSLError) else (error.strerror or str(error)).lower()
    path = endpoint.options.get(name, "the system's")
    return TransportError(f"{endpoint.name}: {name}={path} cannot be used: {why}", url=endpoint.url)


def reason_of(error: ssl.SSLError) -> str:
    """What OpenSSL says, in words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message).lower()
    return (error.reason or str(error)).replace("_", " ").lower()


def dtls_reason_of(error: Any) -> str:
    """What OpenSSL says to pyOpenSSL, in words: the last part of the last entry of its queue."""
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return str(queue[-1][-1]).lower() if queue else (str(error) or type(error).__name__).lower()


def alternative_names(certificate: Any) -> set[str]:
    """DNS names and addresses in the subjectAltName of an x509.Certificate of `cryptography`, in small letters."""
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(one.value).lower() for one in found if isinstance(one, x509.DNSName | x509.IPAddress)}


def _has_certificate(path: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (OSError, ssl.SSLError):
        return False
    return True


def _no_password() -> str:
    raise OSError("the private key is encrypted; give one that is not")
