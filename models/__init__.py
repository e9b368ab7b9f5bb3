"""Models seen from outside: engines that generate, embedders, the embedded reference model.

Knows neither HTTP nor decisions.
"""
