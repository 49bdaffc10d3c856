"""Pages and figures made from rows and scores."""
