"""Training of generators on unpaired clinical CT and micro-CT."""
