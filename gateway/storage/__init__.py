"""The only door to Valkey and PostgreSQL."""
