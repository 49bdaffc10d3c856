"""Muon, with AdamW for what is no hidden matrix."""
