"""What a release carries beside the wheel: its bill of materials."""
