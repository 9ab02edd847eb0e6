"""Questions about records that were stored: SQL over what sinks wrote."""
