"""The single-cluster rate: of the traffic by shadow draws, of the model by a canary set."""
