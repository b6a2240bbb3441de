"""What each request used and cost: one event a request, from the journal file to the reports."""
