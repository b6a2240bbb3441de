"""What operators read and switch; every route needs the admin scope."""
