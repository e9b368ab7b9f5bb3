"""The clusterers, one file each: which of several answers say the same."""
