"""The dialects of the API: views of the resources, with tables of exceptions."""
