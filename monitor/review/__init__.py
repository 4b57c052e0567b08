"""Cases, the queue and its leases, verdicts, and the audit of all of it."""
