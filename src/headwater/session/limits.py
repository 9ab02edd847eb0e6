"""Bounds on what one peer can make us keep or do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits. What exceeds them is refused and counted; nothing grows without bound.

    sessions: transport sessions with Templates of their own; the limits that follow hold for each of them.
    templates: (Options) Templates known at once, over all Observation Domains.
    template_octets: octets of their field specifiers.
    domains: Observation Domains.
    templates_in_all, template_octets_in_all, domains_in_all: the same for all sessions together.
    template_lifetime_s: seconds a Template lives on UDP or DTLS without being sent again (RFC 7011 §8.4, RFC 6728).
    held_octets, held_sets, held_s: Data Sets of all sessions that are kept until their Template arrives (RFC 7011
        §8); 0 sets = none.
    list_depth: levels of lists in lists (RFC 6313). list_elements: items of one list value.
    learned_elements: Information Elements taught by type information records (RFC 5610).
    """

    sessions: int = 1 << 16
    templates: int = 4096
    template_octets: int = 4 << 20
    domains: int = 1024
    templates_in_all: int = 1 << 19
    template_octets_in_all: int = 64 << 20
    domains_in_all: int = 1 << 17
    template_lifetime_s: float = 1800.0
    held_octets: int = 1 << 20
    held_sets: int = 1024
    held_s: float = 60.0
    list_depth: int = 16
    list_elements: int = 1 << 20
    learned_elements: int = 4096
