"""An item to numbers, without files; shared by data and export."""
