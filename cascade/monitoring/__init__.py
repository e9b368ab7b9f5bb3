"""What labels that come in say of the decisions: live metrics, and an alarm when they drift."""
