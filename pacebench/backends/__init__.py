"""The two frameworks behind one contract."""
