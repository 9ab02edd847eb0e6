"""The loss ledger of a Collecting Process: what each exporter sent, and what became of it."""
