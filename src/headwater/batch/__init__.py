"""Data Sets to columns: plans, the columnar decoder, structured data, rows and Arrow."""

from headwater.batch.batch import Batch
from headwater.batch.decode import Decoder
from headwater.batch.lists import ListGroup, Lists, MultiLists, Structs
from headwater.batch.schema import Column, Schema
from headwater.batch.strings import Strings

__all__ = ["Batch", "Column", "Decoder", "ListGroup", "Lists", "MultiLists", "Schema", "Strings", "Structs"]
