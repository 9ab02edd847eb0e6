"""Nouns: data types, Information Elements, registries, templates and their text forms. No bytes of any message."""
