"""Messages in: listeners of every transport hand over blocks of what they received, and decode nothing."""
