"""The side effects of workflows: one each, safe to run twice."""
