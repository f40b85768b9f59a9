"""What tests share: the other ends of ports, and stand-ins that say so in their names."""
