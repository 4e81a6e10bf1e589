"""The dialects of the resources: declarations and tables of exceptions."""
