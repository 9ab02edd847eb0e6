"""Data Sets to columns and back: plans, the columnar decoder and encoder, structured data, rows and Arrow."""

from headwater.batch.batch import Batch
from headwater.batch.decode import Decoder
from headwater.batch.encode import Encoder
from headwater.batch.lists import ListGroup, Lists, MultiLists, Structs
from headwater.batch.schema import Column, Schema
from headwater.batch.strings import Strings

__all__ = ["Batch", "Column", "Decoder", "Encoder", "ListGroup", "Lists", "MultiLists", "Schema", "Strings", "Structs"]
