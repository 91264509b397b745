"""What repeated runs are evidence for: statistics over seeds, verdicts, and the ledger of published claims."""
