"""How good the signals are: records in, a report out."""
