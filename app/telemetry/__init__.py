"""What operators are told: logs, metrics, traces. Never a prompt, an answer or a key."""
