"""HTML templates of the report."""
