"""HTTP in, HTTP out: the FastAPI application. No decisions are made here."""
