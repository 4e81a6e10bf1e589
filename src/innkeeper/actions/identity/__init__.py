"""One person behind many records: resolution, the merge ledger, identity rules, previews."""
