"""Benches: what the gateway costs, beside a byte-forwarding proxy in the same run."""
