"""Bytes to nouns and back, stateless: template records, single values, whole records one at a time."""
