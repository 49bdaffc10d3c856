"""NAdam with decoupled weight decay."""
