"""AdamW with linear warmup and cosine decay."""
