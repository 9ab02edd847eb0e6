"""The Collecting Process (RFC 7011 §2): from every transport to storage, with a ledger of what was lost and why."""
