"""What the gateway tells about itself: metrics over all processes, and log lines."""
