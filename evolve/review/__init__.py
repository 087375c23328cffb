"""Pull requests in the run's own lineage: plain git branches, and records of the journal. No server, no forge."""
