"""What the API refuses, by subject; `validation.request.check_request` runs them all."""
