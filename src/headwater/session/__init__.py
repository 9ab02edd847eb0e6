"""What transport sessions have taught us: Templates, sequence numbers, types. No I/O, no clock."""

from headwater.session.collecting import Session
from headwater.session.datagrams import Datagrams
from headwater.session.events import (
    DataSets,
    Event,
    Messages,
    Scope,
    SequenceGap,
    TemplateLearned,
    TemplateWithdrawn,
)
from headwater.session.key import KeyPolicy, KeyRule, SessionKey, Transport
from headwater.session.limits import Limits
from headwater.session.sequence import DomainLedger

__all__ = [
    "DataSets",
    "Datagrams",
    "DomainLedger",
    "Event",
    "KeyPolicy",
    "KeyRule",
    "Limits",
    "Messages",
    "Scope",
    "SequenceGap",
    "Session",
    "SessionKey",
    "TemplateLearned",
    "TemplateWithdrawn",
    "Transport",
]
