"""Batches out: one small file per format. A sink takes batches, and a mask where not all records are wanted."""
