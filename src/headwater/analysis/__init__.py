"""Questions about records that were stored: SQL over what sinks wrote."""

from headwater.errors import SourceError

try:
    import duckdb  # noqa: F401  # that it is missing is told here, once for all
    import pyarrow  # noqa: F401
except ImportError as missing:
    hint = "pip install 'headwater[sql,arrow]'"
    raise SourceError(f"queries need {missing.name}, which is not installed: {hint}") from None
