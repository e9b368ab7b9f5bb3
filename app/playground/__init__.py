"""The playground: one static page, as it lies here, and the route that serves it."""
