"""The collector's side of TLS: its certificate, and whose certificates it accepts (RFC 7011 §11.3)."""

from __future__ import annotations

import ssl
from collections.abc import Collection, Iterable
from ipaddress import ip_address
from typing import Any, Final

from headwater.transport.certificates import VERSIONS, check_files, load_own, unusable
from headwater.transport.incoming.url import ListenUrl

_NAMES: Final = ("DNS", "IP Address")


def server_context(url: ListenUrl) -> ssl.SSLContext:
    """TLS 1.2 or later; exporters show certificates of `ca`, which are not on the list `crl`. Raises TransportError."""
    options = url.options
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[options.get("tls", "1.2")]
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0  # an exporter never reads, so tickets would fill its buffer
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION
    check_files(url)
    for name in ("ca", "crl"):
        if name in options:
            try:
                context.load_verify_locations(options[name])
            except (OSError, ssl.SSLError) as error:
                raise unusable(url, name, error) from error
    if "crl" in options:
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
    load_own(context, url)
    return context


def names_of(certificate: Any) -> frozenset[str]:
    """Names and addresses of a certificate as ssl.SSLSocket.getpeercert has it: subjectAltName and Common Name."""
    names = {value for kind, value in certificate.get("subjectAltName", ()) if kind in _NAMES}
    names |= {value for part in certificate.get("subject", ()) for kind, value in part if kind == "commonName"}
    return plain_names(names)


def plain_names(names: Iterable[str]) -> frozenset[str]:
    """Names in one spelling."""
    return frozenset(map(_plain, names))


def may_export(names: Collection[str], allowed: Collection[str]) -> bool:
    """Whether one of the names of a certificate is on the list; everybody may if there is none.

    RFC 7011 §11.3: "Collecting Processes MUST support verification of Exporting Processes by an explicitly authorized
    list of peer certificates identified by Common Name", so that is a name as good as any other here.
    """
    return not allowed or any(name in allowed for name in names)


def _plain(name: str) -> str:
    name = name.strip().lower().rstrip(".")
    try:
        return str(ip_address(name))
    except ValueError:
        return name
