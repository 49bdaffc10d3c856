"""AdamG, a method without a learning rate to tune."""
