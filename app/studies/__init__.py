"""What docs/measurements/ report: ``python -m ucbd.app.studies.NAME``. Nothing serves them."""
