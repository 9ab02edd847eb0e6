"""Octets in and out: files, streams and their compression."""

from headwater.transport.content import Content, ForeignContent
from headwater.transport.file import Source, find_sources, open_source
from headwater.transport.windows import WINDOW, Windows

__all__ = ["WINDOW", "Content", "ForeignContent", "Source", "Windows", "find_sources", "open_source"]
