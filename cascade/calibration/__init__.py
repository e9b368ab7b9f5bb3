"""From labelled answers to a policy that holds an error rate, with stated confidence.

``probability`` and ``profile`` are what a gateway runs; ``fit``, ``certify`` and ``calibrate`` make
them. Nothing here knows where answers or labels come from.
"""
